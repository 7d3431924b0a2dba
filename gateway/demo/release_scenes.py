"""The chapters from an approved request on: the worker, the recipient with the extract, a part alone, the auditor."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pycountry
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.client import package
from gateway.demo.fetching import fetch
from gateway.demo.questions import ONWARD
from gateway.demo.request_scenes import IDENTITY
from gateway.demo.scene import Scene, few
from gateway.demo.stage import AUDITOR, RESEARCHER, SECOND, STEWARD, Door
from gateway.errors import Broken

DELIVERED = "delivered"
_POLL, _PATIENCE = 0.4, 600.0
_SHOWN = ("USUBJID", "AGE", "SEX", "COUNTRY", "ARMCD", "RFSTDTC")


def work(scene: Scene) -> None:
    """The worker carries the release through its steps, watched over the API."""
    tell, release = scene.narrator, scene.found["release"]
    tell.chapter("worker", "prepares, treats, judges, packs, logs, delivers")
    seen, seconds = _watched(scene, release["id"])
    if seen["step"] != DELIVERED:
        raise Broken(f"the release stopped: {seen['fault']}")
    tell.did(
        f"GET /v1/releases/{release['id']}, again and again",
        f"delivered after {seconds:.1f} s; downloadable until {seen['expires'][:10]}",
    )


def _watched(scene: Scene, release: str) -> tuple[Mapping[str, Any], float]:
    """Follow a release until it is delivered or stops; a bar on a terminal. Returns its last state and the seconds."""
    console, door, began = scene.narrator.console, scene.doors(RESEARCHER), time.monotonic()
    columns = (TextColumn("  {task.description:<10}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        bar = bars.add_task("queued", total=1.0)
        while True:
            seen = door.must("GET", f"/v1/releases/{release}")
            bars.update(bar, description=seen["step"], completed=seen["progress"])
            if seen["step"] == DELIVERED or seen["fault"]:
                return seen, time.monotonic() - began
            if time.monotonic() - began > _PATIENCE:
                raise Broken("the release did not end in time")
            time.sleep(_POLL)


def receive(scene: Scene) -> None:
    """Download with a broken connection, verify offline, open, load."""
    tell, door, release = scene.narrator, scene.doors(RESEARCHER), scene.found["release"]
    tell.chapter("researcher", "downloads, verifies, opens, loads")
    extract, opened = scene.desk / release["id"] / "extract", scene.desk / release["id"] / "tables"
    _download(scene, door, release["id"], extract)
    checked = package.verify(extract)
    tell.did(
        f"offline: gateway verify {extract.name}",
        f"{'OK' if checked.sound else 'NOT OK'} {checked.good}/{checked.files} files, logged in {checked.log}",
    )
    _altered(scene, extract)
    _, paths = package.open_release(extract, scene.desk / IDENTITY, opened)
    tell.did(f"gateway open {extract.name} --identity {IDENTITY}", few([path.name for path in paths], 12))
    dm = pd.read_parquet(opened / "DM.parquet")
    rows = dm[[name for name in _SHOWN if name in dm.columns]].head(3)
    tell.did('pandas.read_parquet("DM.parquet").head(3)', f"{len(dm)} subjects, none left out; the first three:")
    tell.table([*rows.columns], [[_cell(value) for value in row] for row in rows.itertuples(index=False)])
    tell.say(
        "Ids are keyed, ages banded, dates moved; an outlier keeps its row and loses the cells that tell it apart."
    )
    manifest = json.loads((extract / "manifest.json").read_bytes())
    before, after = manifest["risk"]["before"], manifest["risk"]["after"]
    tell.did(
        "reads report.html and the signed manifest",
        f"smallest class {before['k']} before, {after['k']} after; alone {before['uniques']:.0%} before, "
        f"{after['uniques']:.0%} after; average risk {after['average_risk']:.3f}",
    )
    release |= {"k_before": before["k"], "k_after": after["k"], "sound": checked.sound}
    scene.found["opened"] = [path.name for path in paths]
    scene.found["look"] |= {
        "extract": str(extract),
        "report": str((extract / "report.html").resolve()),
        "tables": str(opened),
    }


def _download(scene: Scene, door: Door, release: str, extract: Path) -> None:
    shutil.rmtree(extract, ignore_errors=True)
    files = door.must("GET", f"/v1/releases/{release}/files")["files"]
    resumed = fetch(door, release, files, extract)
    scene.narrator.did(
        f"downloads {len(files)} files; the connection breaks in {resumed.name} after {resumed.before:,} bytes",
        f"Range: bytes={resumed.before}- with If-Range goes on there: {resumed.status}, "
        f"{resumed.size:,} bytes, SHA-256 as listed",
    )
    scene.found["resumed"] = {"file": resumed.name, "before": resumed.before, "size": resumed.size}


def _altered(scene: Scene, extract: Path) -> None:
    """One bit flipped in a copy of the extract: the check names the file."""
    copy = extract.with_name("altered")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(extract, copy)
    target = copy / "DM.parquet.age"
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    problems = package.verify(copy).problems
    shutil.rmtree(copy)
    scene.narrator.refused("flips one bit in a copy, and verifies that", "; ".join(problems))
    scene.found["altered"] = list(problems)


def _cell(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - a missing number is unequal to itself
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def partial(scene: Scene) -> None:
    """Where the rules hold only some countries' part, the clean part is asked for and released alone."""
    tell, door, onward = scene.narrator, scene.doors(RESEARCHER), scene.found["onward"]
    tell.chapter("partial release", "what nobody holds may go")
    clean = onward["clean"]
    if not clean:
        tell.say("The rules hold no part of it by itself today.")
        return
    scene.doors(STEWARD).must(
        "POST", f"/v1/requests/{onward['request']}/return", {"note": f"ask for {', '.join(clean)} alone"}
    )
    tell.did(ONWARD.title, f"held for some countries; clean by themselves: {', '.join(clean)}; returned")
    codes = [country.alpha_3 for code in clean if (country := pycountry.countries.get(alpha_2=code))]
    key = (scene.desk / IDENTITY).read_text("utf-8").splitlines()[0].removeprefix("# public key: ")
    rows = [{"table": "DM", "column": "COUNTRY", "in": codes}]
    door.must("PUT", f"/v1/requests/{onward['request']}", {**ONWARD.document(key, scene.take), "rows": rows})
    verdict = door.must("POST", f"/v1/requests/{onward['request']}/submit")["verdict"]
    scene.found["verdicts"]["the clean part alone"] = verdict["decision"]
    tell.did(f"asks again for {', '.join(codes)} alone", f"the rules say {verdict['decision']}")
    yes = {"note": "the clean part alone"}
    for person in (STEWARD, SECOND):
        answer = scene.doors(person).must("POST", f"/v1/requests/{onward['request']}/approve", yes)
    seen, seconds = _watched(scene, answer["release"])
    scene.found["partial"] = {"release": seen["id"], "step": seen["step"]}
    if seen["step"] == DELIVERED:
        tell.did(f"two stewards approve; the worker releases {seen['id']}", f"delivered after {seconds:.1f} s")
    else:
        tell.refused(f"two stewards approve; the worker begins {seen['id']}", str(seen["fault"]))


def audit(scene: Scene) -> None:
    """The auditor follows the release through the log, and verifies the log. The data stay closed to them."""
    tell, door, release = scene.narrator, scene.doors(AUDITOR), scene.found["release"]["id"]
    tell.chapter("auditor", "reads what happened, and checks that the log is whole")
    reply = door.ask("GET", f"/v1/releases/{release}/files/DM.parquet.age")
    tell.refused(f"{AUDITOR.name} tries to download the data", reply.problem)
    events = door.must("GET", f"/v1/audit/events?about={scene.found['request']}&limit=1000")["events"]
    told = [event for event in reversed(events) if event["kind"] not in {"release.read", "request.read"}]
    tell.did(f"GET /v1/audit/events?about={scene.found['request']}", f"{len(told)} events besides plain looks:")
    tell.table(
        ("time", "who", "event"), [(event["time"][11:19], event["actor"], _event(event)) for event in _thinned(told)]
    )
    refused = door.must("GET", "/v1/audit/events?outcome=refused&limit=1000")["events"]
    counted = Counter(str(event["facts"].get("rule") or event["facts"].get("fault")) for event in refused)
    scene.found["refusals"] = dict(counted)
    tell.did(
        "GET /v1/audit/events?outcome=refused",
        f"{len(refused)} refusals: {few([f'{rule} {many}×' for rule, many in counted.most_common()], 9)}",
    )
    log = door.must("POST", "/v1/audit/verify")
    scene.found["log"] = {"sound": log["sound"], "size": log["size"], "root": log["root"], "findings": log["findings"]}
    tell.did(
        "POST /v1/audit/verify: reads database and log again from the first event",
        f"{'sound' if log['sound'] else 'NOT SOUND'}: {log['size']} events, root {log['root'][:16]}…",
    )


def _thinned(events: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without each single file's and each table's step: those are many and alike."""
    return [
        event for event in events if not event["kind"].startswith("download.") and event["facts"].get("step") != "table"
    ]


def _event(event: Mapping[str, Any]) -> str:
    facts = event["facts"]
    more = facts.get("verdict") or facts.get("step") or ""
    return f"{event['kind']}{f' ({more})' if more else ''}" + (
        "" if event["outcome"] == "done" else f": {event['outcome']}"
    )
