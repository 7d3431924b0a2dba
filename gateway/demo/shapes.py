"""The shape of the synthetic tables: SDTM variables with labels and kinds, in submission order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

Cell = str | int | float | None
Row = Mapping[str, Cell]

TEXT, WHOLE, DECIMAL = pa.string(), pa.int64(), pa.float64()


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: name (at most 8 characters), label (at most 40 bytes), Arrow type."""

    name: str
    label: str
    kind: pa.DataType


@dataclass(frozen=True, slots=True)
class Shape:
    """One table: its SDTM name (`AE`), label and variables in order."""

    name: str
    label: str
    variables: tuple[Variable, ...]

    def table(self, rows: Sequence[Row]) -> pa.Table:
        """Rows as an Arrow table; a variable a row does not name is null.

        Raises `KeyError` when a row names a variable this shape does not have.
        """
        known = {variable.name for variable in self.variables}
        strange = {name for row in rows for name in row} - known
        if strange:
            raise KeyError(f"`{self.name}` has no variable {', '.join(f'`{name}`' for name in sorted(strange))}")
        return pa.table({v.name: pa.array([row.get(v.name) for row in rows], type=v.kind) for v in self.variables})


_KINDS = {"text": TEXT, "whole": WHOLE, "decimal": DECIMAL}
_SHARED = {
    "STUDYID": "Study Identifier",
    "DOMAIN": "Domain Abbreviation",
    "RDOMAIN": "Related Domain Abbreviation",
    "USUBJID": "Unique Subject Identifier",
    "VISITNUM": "Visit Number",
    "VISIT": "Visit Name",
    "VISITDY": "Planned Study Day of Visit",
    "IDVAR": "Identifying Variable",
    "IDVARVAL": "Identifying Variable Value",
}
_WHOLE_ENDINGS = ("SEQ", "DY")


def _shape(name: str, label: str, described: str) -> Shape:
    """A shape from lines of `NAME label`; a shared variable needs no label; `NAME:kind label` sets the kind."""
    variables = []
    for line in described.strip().splitlines():
        head, _, text = line.strip().partition(" ")
        variable, _, kind = head.partition(":")
        ending = "whole" if variable.endswith(_WHOLE_ENDINGS) else "text"
        if variable == "VISITNUM":
            ending = "decimal"
        variables.append(Variable(variable, text or _SHARED[variable], _KINDS[kind or ending]))
    return Shape(name, label, tuple(variables))


_SUPP = """
STUDYID
RDOMAIN
USUBJID
IDVAR
IDVARVAL
QNAM Qualifier Variable Name
QLABEL Qualifier Variable Label
QVAL Data Value
QORIG Origin
QEVAL Evaluator
"""

SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        _shape(
            "DM",
            "Demographics",
            """
            STUDYID
            DOMAIN
            USUBJID
            SUBJID Subject Identifier for the Study
            RFSTDTC Subject Reference Start Date/Time
            RFENDTC Subject Reference End Date/Time
            RFXSTDTC Date/Time of First Study Treatment
            RFXENDTC Date/Time of Last Study Treatment
            RFICDTC Date/Time of Informed Consent
            RFPENDTC Date/Time of End of Participation
            DTHDTC Date/Time of Death
            DTHFL Subject Death Flag
            SITEID Study Site Identifier
            INVID Investigator Identifier
            INVNAM Investigator Name
            BRTHDTC Date/Time of Birth
            AGE:whole Age
            AGEU Age Units
            SEX Sex
            RACE Race
            ETHNIC Ethnicity
            ARMCD Planned Arm Code
            ARM Description of Planned Arm
            ACTARMCD Actual Arm Code
            ACTARM Description of Actual Arm
            COUNTRY Country
            DMDTC Date/Time of Collection
            DMDY Study Day of Collection
            """,
        ),
        _shape(
            "AE",
            "Adverse Events",
            """
            STUDYID
            DOMAIN
            USUBJID
            AESEQ Sequence Number
            AESPID Sponsor-Defined Identifier
            AETERM Reported Term for the Adverse Event
            AEDECOD Dictionary-Derived Term
            AEBODSYS Body System or Organ Class
            AESEV Severity/Intensity
            AESER Serious Event
            AEACN Action Taken with Study Treatment
            AEREL Causality
            AEOUT Outcome of Adverse Event
            AESDTH Results in Death
            AESHOSP Requires or Prolongs Hospitalization
            AEDTC Date/Time of Collection
            AESTDTC Start Date/Time of Adverse Event
            AEENDTC End Date/Time of Adverse Event
            AESTDY Study Day of Start of Adverse Event
            AEENDY Study Day of End of Adverse Event
            AEENRTPT End Relative to Reference Time Point
            AEENTPT End Reference Time Point
            """,
        ),
        _shape(
            "CM",
            "Concomitant Medications",
            """
            STUDYID
            DOMAIN
            USUBJID
            CMSEQ Sequence Number
            CMSPID Sponsor-Defined Identifier
            CMTRT Reported Name of Drug, Med, or Therapy
            CMDECOD Standardized Medication Name
            CMINDC Indication
            CMDOSE:decimal Dose per Administration
            CMDOSU Dose Units
            CMDOSFRQ Dosing Frequency per Interval
            CMROUTE Route of Administration
            CMDTC Date/Time of Collection
            CMSTDTC Start Date/Time of Medication
            CMENDTC End Date/Time of Medication
            CMSTDY Study Day of Start of Medication
            CMENDY Study Day of End of Medication
            CMENRTPT End Relative to Reference Time Point
            CMENTPT End Reference Time Point
            """,
        ),
        _shape(
            "DS",
            "Disposition",
            """
            STUDYID
            DOMAIN
            USUBJID
            DSSEQ Sequence Number
            DSTERM Reported Term for the Disposition Event
            DSDECOD Standardized Disposition Term
            DSCAT Category for Disposition Event
            DSDTC Date/Time of Collection
            DSSTDTC Start Date/Time of Disposition Event
            DSSTDY Study Day of Start of Disposition Event
            """,
        ),
        _shape(
            "EX",
            "Exposure",
            """
            STUDYID
            DOMAIN
            USUBJID
            EXSEQ Sequence Number
            EXTRT Name of Actual Treatment
            EXDOSE:decimal Dose per Administration
            EXDOSU Dose Units
            EXDOSFRM Dose Form
            EXDOSFRQ Dosing Frequency per Interval
            EXROUTE Route of Administration
            VISITNUM
            VISIT
            VISITDY
            EXSTDTC Start Date/Time of Treatment
            EXENDTC End Date/Time of Treatment
            EXSTDY Study Day of Start of Treatment
            EXENDY Study Day of End of Treatment
            """,
        ),
        _shape(
            "LB",
            "Laboratory Test Results",
            """
            STUDYID
            DOMAIN
            USUBJID
            LBSEQ Sequence Number
            LBTESTCD Lab Test or Examination Short Name
            LBTEST Lab Test or Examination Name
            LBCAT Category for Lab Test
            LBORRES Result or Finding in Original Units
            LBORRESU Original Units
            LBSTRESC Character Result/Finding in Std Format
            LBSTRESN:decimal Numeric Result/Finding in Standard Units
            LBSTRESU Standard Units
            LBNRIND Reference Range Indicator
            LBNAM Vendor Name
            LBBLFL Baseline Flag
            VISITNUM
            VISIT
            VISITDY
            LBDTC Date/Time of Specimen Collection
            LBDY Study Day of Specimen Collection
            """,
        ),
        _shape(
            "MH",
            "Medical History",
            """
            STUDYID
            DOMAIN
            USUBJID
            MHSEQ Sequence Number
            MHTERM Reported Term for the Medical History
            MHDECOD Dictionary-Derived Term
            MHCAT Category for Medical History
            MHBODSYS Body System or Organ Class
            MHDTC Date/Time of History Collection
            MHSTDTC Start Date/Time of Medical History Event
            MHDY Study Day of History Collection
            """,
        ),
        _shape(
            "RELREC",
            "Related Records",
            """
            STUDYID
            RDOMAIN
            USUBJID
            IDVAR
            IDVARVAL
            RELTYPE Relationship Type
            RELID Relationship Identifier
            """,
        ),
        _shape("SUPPAE", "Supplemental Qualifiers for AE", _SUPP),
        _shape("SUPPDM", "Supplemental Qualifiers for DM", _SUPP),
        _shape(
            "SV",
            "Subject Visits",
            """
            STUDYID
            DOMAIN
            USUBJID
            VISITNUM
            VISIT
            VISITDY
            SVSTDTC Start Date/Time of Visit
            SVENDTC End Date/Time of Visit
            SVSTDY Study Day of Start of Visit
            SVENDY Study Day of End of Visit
            """,
        ),
        _shape(
            "VS",
            "Vital Signs",
            """
            STUDYID
            DOMAIN
            USUBJID
            VSSEQ Sequence Number
            VSTESTCD Vital Signs Test Short Name
            VSTEST Vital Signs Test Name
            VSORRES Result or Finding in Original Units
            VSORRESU Original Units
            VSSTRESC Character Result/Finding in Std Format
            VSSTRESN:decimal Numeric Result/Finding in Standard Units
            VSSTRESU Standard Units
            VSBLFL Baseline Flag
            VISITNUM
            VISIT
            VISITDY
            VSDTC Date/Time of Measurements
            VSDY Study Day of Vital Signs
            """,
        ),
    )
}
"""Every table of the synthetic trial by its SDTM name."""
