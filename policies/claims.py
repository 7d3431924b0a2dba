"""Claims that data are de-identified, tested against the values and fields that are stated.

Each finding gives the changes that would make a claim true; an empty list says the claim stands as far as stated.
The values in a change are the ones the asker wrote into the facts.
"""

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from policies.registry import Truth, finding, test

# Values that, kept with a limited data set, would be one of the sixteen identifiers it must lose (164.514(e)(2)).
LDS_REMOVED = frozenset(
    [
        "name", "names", "full_name", "patient_name", "street_address", "postal_address", "address", "phone",
        "telephone", "telephone_number", "fax", "fax_number", "email", "email_address", "ssn",
        "social_security_number", "mrn", "medical_record_number", "health_plan_number", "account_number",
        "certificate_number", "license_number", "licence_number", "vehicle_id", "license_plate", "licence_plate",
        "device_id", "device_serial", "device_serial_number", "url", "web_address", "ip", "ip_address", "biometric",
        "fingerprint", "voice_print", "face_photo", "full_face_photo", "photo",
    ]
)  # fmt: skip
_DATE = re.compile(r"(\d{4})-(\d{2})(-\d{2})?")
OLDEST = "90 or older"


@finding("list", "over")
def safe_harbor_changes(view: dict[str, Any], arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The changes Safe Harbor asks of sample values: ages over 89, dates to the year, ZIP codes to ZIP3 or 000.

    45 CFR 164.514(b)(2)(i)(B) and (C). An age of 89 stays. A restricted ZIP3 becomes 000, never two digits.
    """
    restricted = arguments["members"]
    changes: list[Mapping[str, Any]] = []
    for name, value in sorted(view.get("field_values", {}).items()):
        if (
            "age" in re.split(r"[^a-z]+", name.lower())
            and isinstance(value, int | float)
            and math.floor(value) > arguments["over"]
        ):
            changes.append({"field": name, "from": value, "to": OLDEST})
        elif isinstance(value, date):
            changes.append({"field": name, "from": value.isoformat(), "to": str(value.year)})
        elif isinstance(value, str) and (found := _DATE.match(value)):
            changes.append({"field": name, "from": value, "to": found.group(1)})
        elif "zip" in name.lower() and isinstance(value, str | int):
            changes.extend(_zip_change(name, str(value), restricted))
    for value in view.get("safe_harbor_check.zip3_values", ()):
        changes.extend(_zip_change("zip3", value, restricted))
    return tuple(changes)


def _zip_change(name: str, value: str, restricted: frozenset[str]) -> list[Mapping[str, Any]]:
    digits = re.sub(r"\D", "", value)
    kept = "000" if digits[:3] in restricted or len(digits) < 3 else digits[:3]
    return [] if value == kept else [{"field": name, "from": value, "to": kept}]


@test()
def keeps_direct_identifiers(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether a limited data set still holds one of the sixteen identifiers it must lose (45 CFR 164.514(e)(2))."""
    if view.get("direct_identifiers_present"):
        return True
    if "fields_retained" not in view:
        return frozenset({"fields_retained"}) if "direct_identifiers_present" not in view else False
    return any(name.lower() in LDS_REMOVED for name in view["fields_retained"])


@test()
def direct_identifiers(view: dict[str, Any], _: Mapping[str, Any]) -> Truth:
    """Whether any direct identifier is stated to be in the data."""
    if "direct_identifiers_present" not in view:
        return frozenset({"direct_identifiers_present"})
    return bool(view["direct_identifiers_present"])


@finding()
def limited_data_set_changes(view: dict[str, Any], _: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The fields that must go before data are a limited data set."""
    named = {*view.get("direct_identifiers_present", ())}
    named |= {name for name in view.get("fields_retained", ()) if name.lower() in LDS_REMOVED}
    return tuple({"field": name, "to": "removed"} for name in sorted(named))


@test("name")
def flagged(view: dict[str, Any], arguments: Mapping[str, Any]) -> Truth:
    """Whether a Safe Harbor check reports identifiers of a kind as still there (`names`, `other_identifiers`).

    Read from the words in use: true, a list with something in it, or any word but none, removed, absent, no.
    """
    path = f"safe_harbor_check.{arguments['name']}"
    if path not in view:
        return frozenset({path})
    value = view[path]
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.lower() not in ("none", "removed", "absent", "no", "")
    return bool(value)
