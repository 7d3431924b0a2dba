"""The words of the synthetic trial: countries, reactions, histories, medicines, lab tests. All invented or everyday."""

from collections.abc import Mapping
from dataclasses import dataclass

STUDY = "GWDEMO01"
TRIAL_START = "2022-02-01"


@dataclass(frozen=True, slots=True)
class Country:
    """A country of the trial: share of subjects, language of its people, how it writes birth dates and dates.

    `birth` is the precision its ethics committees allow for BRTHDTC: 10, 7 or 4 characters of an ISO date.
    """

    code: str
    share: float
    locale: str
    birth: int
    written: str
    races: Mapping[str, float]


_EUROPE = {"WHITE": 0.93, "ASIAN": 0.03, "BLACK OR AFRICAN AMERICAN": 0.03, "OTHER": 0.01}
_AMERICA = {
    "WHITE": 0.74,
    "BLACK OR AFRICAN AMERICAN": 0.16,
    "ASIAN": 0.07,
    "AMERICAN INDIAN OR ALASKA NATIVE": 0.02,
    "NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER": 0.01,
}

COUNTRIES: tuple[Country, ...] = (
    Country("USA", 0.30, "en_US", 10, "%d%b%Y", _AMERICA),
    Country("DEU", 0.17, "de_DE", 4, "%d.%m.%Y", _EUROPE),
    Country("FRA", 0.13, "fr_FR", 4, "%d/%m/%Y", {"NOT REPORTED": 1.0}),
    Country("POL", 0.12, "pl_PL", 10, "%d.%m.%Y", _EUROPE),
    Country("ESP", 0.11, "es_ES", 10, "%d/%m/%Y", _EUROPE),
    Country("NLD", 0.09, "nl_NL", 7, "%d-%m-%Y", _EUROPE),
    Country("CAN", 0.07, "en_CA", 10, "%d %b %Y", _AMERICA),
    Country("GBR", 0.01, "en_GB", 7, "%d %B %Y", _EUROPE),
)

_SKIN = "SKIN AND SUBCUTANEOUS TISSUE DISORDERS"
_GUT = "GASTROINTESTINAL DISORDERS"
_NERVE = "NERVOUS SYSTEM DISORDERS"
_HEART = "CARDIAC DISORDERS"
_LIMB = "MUSCULOSKELETAL AND CONNECTIVE TISSUE DISORDERS"
_GERM = "INFECTIONS AND INFESTATIONS"
_MIND = "PSYCHIATRIC DISORDERS"
_WOUND = "INJURY, POISONING AND PROCEDURAL COMPLICATIONS"
_BODY = "GENERAL DISORDERS AND ADMINISTRATION SITE CONDITIONS"
_BLOOD = "VASCULAR DISORDERS"
_TUMOUR = "NEOPLASMS BENIGN, MALIGNANT AND UNSPECIFIED"
_BREATH = "RESPIRATORY, THORACIC AND MEDIASTINAL DISORDERS"
_TEST = "INVESTIGATIONS"

COMMON_REACTIONS: tuple[tuple[str, str], ...] = (
    ("HEADACHE", _NERVE),
    ("DIZZINESS", _NERVE),
    ("NAUSEA", _GUT),
    ("DIARRHOEA", _GUT),
    ("CONSTIPATION", _GUT),
    ("FATIGUE", _BODY),
    ("OEDEMA PERIPHERAL", _BODY),
    ("HYPOTENSION", _BLOOD),
    ("HYPERKALAEMIA", "METABOLISM AND NUTRITION DISORDERS"),
    ("COUGH", _BREATH),
    ("DYSPNOEA", _BREATH),
    ("NASOPHARYNGITIS", _GERM),
    ("URINARY TRACT INFECTION", _GERM),
    ("FALL", _WOUND),
    ("BACK PAIN", _LIMB),
    ("ARTHRALGIA", _LIMB),
    ("ATRIAL FIBRILLATION", _HEART),
    ("INSOMNIA", _MIND),
    ("RASH", _SKIN),
    ("PRURITUS", _SKIN),
)

RARE_REACTIONS: tuple[tuple[str, str], ...] = (
    ("HIV TEST POSITIVE", _TEST),
    ("SUICIDAL IDEATION", _MIND),
    ("ALCOHOL WITHDRAWAL SYNDROME", _MIND),
    ("BREAST CANCER", _TUMOUR),
    ("CREUTZFELDT-JAKOB DISEASE", _NERVE),
    ("ANAPHYLACTIC SHOCK", "IMMUNE SYSTEM DISORDERS"),
    ("TOXIC EPIDERMAL NECROLYSIS", _SKIN),
    ("SYPHILIS", _GERM),
    ("GUNSHOT WOUND", _WOUND),
    ("SNAKE BITE", _WOUND),
    ("AORTIC DISSECTION", _BLOOD),
    ("TUBERCULOSIS", _GERM),
    ("DEAFNESS UNILATERAL", "EAR AND LABYRINTH DISORDERS"),
    ("MYASTHENIA GRAVIS", _NERVE),
    ("LEGIONELLA INFECTION", _GERM),
)

FATAL_REACTIONS = (("SUDDEN CARDIAC DEATH", _HEART), ("MYOCARDIAL INFARCTION", _HEART))

PRIMARY_DIAGNOSIS = "CHRONIC HEART FAILURE"

HISTORIES: tuple[tuple[str, str], ...] = (
    ("HYPERTENSION", _BLOOD),
    ("TYPE 2 DIABETES MELLITUS", "METABOLISM AND NUTRITION DISORDERS"),
    ("OSTEOARTHRITIS", _LIMB),
    ("MYOCARDIAL INFARCTION", _HEART),
    ("ATRIAL FIBRILLATION", _HEART),
    ("CATARACT", "EYE DISORDERS"),
    ("CHRONIC OBSTRUCTIVE PULMONARY DISEASE", _BREATH),
    ("DEPRESSION", _MIND),
    ("GASTROOESOPHAGEAL REFLUX DISEASE", _GUT),
    ("APPENDICECTOMY", "SURGICAL AND MEDICAL PROCEDURES"),
    ("HIP ARTHROPLASTY", "SURGICAL AND MEDICAL PROCEDURES"),
    ("CEREBROVASCULAR ACCIDENT", _NERVE),
    ("HYPOTHYROIDISM", "ENDOCRINE DISORDERS"),
    ("PROSTATE CANCER", _TUMOUR),
    ("HEPATITIS C", _GERM),
)

MEDICINES: tuple[tuple[str, str, float, str], ...] = (
    ("ACETYLSALICYLIC ACID", "PREVENTION OF THROMBOSIS", 100.0, "mg"),
    ("RAMIPRIL", "HYPERTENSION", 5.0, "mg"),
    ("METOPROLOL", "HYPERTENSION", 50.0, "mg"),
    ("FUROSEMIDE", "OEDEMA", 40.0, "mg"),
    ("SPIRONOLACTONE", "HEART FAILURE", 25.0, "mg"),
    ("ATORVASTATIN", "HYPERLIPIDAEMIA", 20.0, "mg"),
    ("METFORMIN", "DIABETES", 850.0, "mg"),
    ("LEVOTHYROXINE", "HYPOTHYROIDISM", 75.0, "ug"),
    ("PARACETAMOL", "PAIN", 500.0, "mg"),
    ("OMEPRAZOLE", "REFLUX", 20.0, "mg"),
    ("APIXABAN", "ATRIAL FIBRILLATION", 5.0, "mg"),
    ("AMOXICILLIN", "INFECTION", 1000.0, "mg"),
)

HOME_REMEDIES: tuple[str, ...] = (
    "VITAMIN TABLETS",
    "HERBAL SLEEPING TEA",
    "PAIN CREAM FROM PHARMACY",
    "FISH OIL",
    "EYE DROPS",
    "GRANDMOTHER'S COUGH SYRUP",
    "MAGNESIUM POWDER",
)


@dataclass(frozen=True, slots=True)
class LabTest:
    """A lab test: centre, spread and normal range in standard units, and the factor to American units (1: none)."""

    code: str
    name: str
    group: str
    unit: str
    centre: float
    spread: float
    low: float
    high: float
    digits: int
    american_unit: str = ""
    american_factor: float = 1.0


LAB_TESTS: tuple[LabTest, ...] = (
    LabTest("ALB", "Albumin", "CHEMISTRY", "g/L", 41, 4, 33, 49, 0, "g/dL", 0.1),
    LabTest("ALT", "Alanine Aminotransferase", "CHEMISTRY", "U/L", 26, 11, 6, 43, 0),
    LabTest("AST", "Aspartate Aminotransferase", "CHEMISTRY", "U/L", 25, 9, 9, 36, 0),
    LabTest("BILI", "Bilirubin", "CHEMISTRY", "umol/L", 10, 4, 3, 21, 1, "mg/dL", 0.0585),
    LabTest("CK", "Creatine Kinase", "CHEMISTRY", "U/L", 140, 90, 39, 308, 0),
    LabTest("CREAT", "Creatinine", "CHEMISTRY", "umol/L", 92, 22, 53, 124, 0, "mg/dL", 0.0113),
    LabTest("GLUC", "Glucose", "CHEMISTRY", "mmol/L", 5.9, 1.6, 3.9, 6.9, 1, "mg/dL", 18.02),
    LabTest("HGB", "Hemoglobin", "HEMATOLOGY", "g/L", 137, 14, 120, 175, 0, "g/dL", 0.1),
    LabTest("K", "Potassium", "CHEMISTRY", "mmol/L", 4.3, 0.4, 3.4, 5.4, 1),
    LabTest("PLAT", "Platelets", "HEMATOLOGY", "10^9/L", 240, 60, 140, 400, 0),
    LabTest("SODIUM", "Sodium", "CHEMISTRY", "mmol/L", 140, 3, 132, 147, 0),
    LabTest("WBC", "Leukocytes", "HEMATOLOGY", "10^9/L", 6.8, 1.9, 3.8, 10.7, 2),
)

MORE_LAB_TESTS: tuple[LabTest, ...] = (
    LabTest("ALP", "Alkaline Phosphatase", "CHEMISTRY", "U/L", 72, 20, 31, 115, 0),
    LabTest("BASO", "Basophils", "HEMATOLOGY", "10^9/L", 0.04, 0.03, 0, 0.2, 2),
    LabTest("CA", "Calcium", "CHEMISTRY", "mmol/L", 2.35, 0.1, 2.1, 2.6, 2),
    LabTest("CHOL", "Cholesterol", "CHEMISTRY", "mmol/L", 5.2, 1.0, 3.0, 7.5, 1),
    LabTest("CL", "Chloride", "CHEMISTRY", "mmol/L", 104, 3, 94, 112, 0),
    LabTest("EOS", "Eosinophils", "HEMATOLOGY", "10^9/L", 0.17, 0.1, 0, 0.57, 2),
    LabTest("GGT", "Gamma Glutamyl Transferase", "CHEMISTRY", "U/L", 27, 16, 8, 61, 0),
    LabTest("LYM", "Lymphocytes", "HEMATOLOGY", "10^9/L", 1.8, 0.6, 0.8, 3.4, 2),
    LabTest("MCV", "Ery. Mean Corpuscular Volume", "HEMATOLOGY", "fL", 92, 5, 80, 100, 0),
    LabTest("MONO", "Monocytes", "HEMATOLOGY", "10^9/L", 0.4, 0.15, 0.1, 1.0, 2),
    LabTest("PHOS", "Phosphate", "CHEMISTRY", "mmol/L", 1.15, 0.17, 0.7, 1.6, 2),
    LabTest("PROT", "Protein", "CHEMISTRY", "g/L", 70, 5, 60, 85, 0),
    LabTest("URATE", "Urate", "CHEMISTRY", "umol/L", 320, 80, 140, 500, 0),
)
"""The rest of the panel, for the large study."""

VITAL_SIGNS: tuple[tuple[str, str, str, float, float], ...] = (
    ("SYSBP", "Systolic Blood Pressure", "mmHg", 134, 16),
    ("DIABP", "Diastolic Blood Pressure", "mmHg", 78, 9),
    ("PULSE", "Pulse Rate", "beats/min", 72, 9),
    ("TEMP", "Temperature", "C", 36.6, 0.3),
)

VISITS: tuple[tuple[float, str, int], ...] = (
    (1, "SCREENING", -14),
    (2, "BASELINE", 1),
    (3, "WEEK 2", 15),
    (4, "WEEK 4", 29),
    (5, "WEEK 8", 57),
    (6, "WEEK 12", 85),
    (7, "WEEK 16", 113),
    (8, "WEEK 24", 169),
)
"""VISITNUM, VISIT, planned study day (VISITDY)."""

ARMS: tuple[tuple[str, str, float], ...] = (
    ("PBO", "Placebo", 0.0),
    ("LOW", "Gatesartan 50 mg", 50.0),
    ("HIGH", "Gatesartan 100 mg", 100.0),
)
"""ARMCD, ARM, daily dose in mg."""
