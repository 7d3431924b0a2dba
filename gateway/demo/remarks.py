"""Free text as sites write it: a term with a name, a date, a place or a telephone number inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from faker import Faker

from gateway.demo.people import Subject

_ABOUT_REACTIONS: Mapping[str, tuple[str, ...]] = {
    "DEU": ("{term}, LAUT DR. {name} AM {day}", "{term} NACH STURZ ZU HAUSE, TOCHTER {name} RIEF AN {day}"),
    "FRA": ("{term}, SELON LE DR {name} LE {day}", "{term} ; HOSPITALISATION À {city} LE {day}"),
    "POL": ("{term}, WG DR {name} DNIA {day}", "{term}, SZPITAL {city}, {day}"),
    "ESP": ("{term}, SEGÚN LA DRA. {name} EL {day}", "{term}; INGRESO EN {city} EL {day}"),
    "NLD": ("{term}, VOLGENS HUISARTS {name} OP {day}", "{term}; OPNAME TE {city} {day}"),
    "": (
        "{term}, REPORTED BY DAUGHTER {name} ON {day}",
        "{term} - SEEN BY DR {name} AT {city} GENERAL ON {day}",
        "{term} (INITIALS {initials}, SEE CALL WITH {name} {day}, TEL {phone})",
    ),
}
_ABOUT_LEAVING: Mapping[str, tuple[str, ...]] = {
    "WITHDRAWAL BY SUBJECT": (
        "PATIENT IS MOVING TO {city} TO LIVE WITH SON {name}",
        "CONSENT WITHDRAWN BY TELEPHONE ON {day}, SPOKE WITH {name}",
    ),
    "LOST TO FOLLOW-UP": (
        "LAST SEEN {day}; CALLS TO {phone} NOT ANSWERED",
        "LETTER TO {name}, {city}, CAME BACK {day}",
    ),
    "ADVERSE EVENT": ("STOPPED BY DR {name} ON {day} AFTER ADMISSION IN {city}",),
    "DEATH": ("DIED {day} AT HOME, FOUND BY NEIGHBOUR {name}", "DEATH CERTIFICATE {city} {day}, DR {name}"),
    "SCREEN FAILURE": ("EXCLUSION CRITERION MET, GP {name} INFORMED {day}", "INCLUSION CRITERION NOT MET"),
}
_COMMENTS = (
    "CALL WITH SPOUSE {name} ON {day}; PATIENT HAD MISSED TWO DOSES",
    "SEE LETTER OF {city} HOSPITAL DATED {day}",
)


@dataclass(frozen=True, slots=True)
class Remarks:
    """Writes what a site would write; `names` holds a Faker per country code."""

    rng: np.random.Generator
    names: Mapping[str, Faker]

    def about_reaction(self, term: str, subject: Subject, day: date) -> str:
        """A verbatim AETERM with something personal inside, in the language of the site."""
        templates = _ABOUT_REACTIONS.get(subject.site.country.code, _ABOUT_REACTIONS[""])
        return self._fill(templates, subject, day, term)

    def about_leaving(self, reason: str, subject: Subject, day: date) -> str:
        """A verbatim DSTERM for a DSDECOD; a reason nobody writes about stays as it is."""
        return self._fill(_ABOUT_LEAVING.get(reason, (reason,)), subject, day)

    def comment(self, subject: Subject, day: date) -> str:
        """A site's comment for SUPPAE."""
        return self._fill(_COMMENTS, subject, day)

    def _fill(self, templates: tuple[str, ...], subject: Subject, day: date, term: str = "") -> str:
        fake = self.names[subject.site.country.code]
        first, last = fake.first_name(), fake.last_name()
        return (
            templates[int(self.rng.integers(len(templates)))]
            .format(
                term=term,
                name=f"{first} {last}",
                initials=f"{first[0]}{last[0]}",
                day=day.strftime(subject.site.country.written),
                city=subject.site.city,
                phone=fake.phone_number(),
            )
            .upper()
        )
