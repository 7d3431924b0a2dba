"""Countries: ISO 3166-1 codes and names, and the UN M49 region and continent each lies in."""

from functools import cache
from importlib.resources import files

import pycountry


@cache
def regions() -> dict[str, tuple[str, str]]:
    """ISO alpha-2 code → (region, continent), after UN M49."""
    found: dict[str, tuple[str, str]] = {}
    text = files("pseudonymization.hierarchies").joinpath("regions.csv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            continent, region, codes = line.split(";")
            found.update(dict.fromkeys(codes.split(), (region, continent)))
    return found


@cache
def _countries() -> dict[str, str]:
    found = {"XK": "XK", "XKX": "XK", "KOSOVO": "XK", "UK": "GB", "ENGLAND": "GB", "SCOTLAND": "GB", "WALES": "GB"}
    for country in pycountry.countries:
        fields = ("alpha_2", "alpha_3", "name", "common_name", "official_name")
        spoken = (getattr(country, field, "") for field in fields)
        found.update({name.upper(): country.alpha_2 for name in spoken if name})
    return found


def country_code(text: str) -> str | None:
    """The ISO alpha-2 code that an alpha-2 code, an alpha-3 code or an English name means; None if unknown."""
    return _countries().get(text.strip().upper())


def place(text: str) -> tuple[str, str] | None:
    """(region, continent) of a country; None if unknown."""
    code = country_code(text)
    return regions().get(code) if code else None
