"""Ages in months and days through the whole line: the extract as its recipient opens it, its risk counted again."""

import csv
import json

import pandas as pd

from gateway.actions import datasets
from gateway.client import package

UNITS = ("MONTHS", "YEARS", "days")


def released(world, folder, rows, **asked):
    place = folder / "paediatric"
    place.mkdir()
    with (place / "dm.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["STUDYID", "DOMAIN", "USUBJID", "RFSTDTC", "AGE", "AGEU", "SEX", "COUNTRY"])
        writer.writerows(["S", "DM", f"S-{at:04d}", "2021-03-04", *row, "F", "USA"] for at, row in enumerate(rows))
    datasets.add(world.gateway, world.people["steward"], place, key="units", accept=True)
    release = world.released(dataset="units", **asked)
    _, files = package.open_release(world.folder(release), world.identities["researcher"], folder / "opened")
    manifest = json.loads((world.folder(release) / "manifest.json").read_bytes())
    return pd.read_parquet(next(f for f in files if f.name == "DM.parquet")), manifest


def test_case_16_ages_of_several_units_leave_exact_where_each_is_shared(fresh, tmp_path):
    rows = [(18, unit) for unit in UNITS for _ in range(12)]
    found, manifest = released(fresh, tmp_path, rows, tables={"DM": ["AGE", "SEX"]})
    sizes = found.groupby(["AGE", "AGEU"]).size()
    assert {(float(age), unit) for age, unit in sizes.index} == {(18.0, unit) for unit in UNITS}
    assert manifest["risk"]["after"]["k"] == sizes.min() == 12


def test_case_16_ages_of_few_leave_as_bands_of_years_and_the_old_as_one_class(fresh, tmp_path):
    rows = [(at, "MONTHS") for at in range(12, 36)] + [(1090 + at, "MONTHS") for at in range(20)]
    found, manifest = released(fresh, tmp_path, rows, tables={"DM": ["AGE", "AGEU", "SEX"]}, mode="public")
    assert set(found["AGEU"]) == {"YEARS"}
    assert not any(str(age).isdecimal() and int(age) > 89 for age in found["AGE"])
    assert manifest["risk"]["after"]["k"] == found.groupby("AGE", dropna=False).size().min() >= 11
