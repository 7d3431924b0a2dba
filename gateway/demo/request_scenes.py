"""The chapters before a release: registering, asking, returning, curing, approving; and a request for each verdict."""

from typing import Any

from gateway.actions import accounts, datasets
from gateway.crypto import recipients
from gateway.demo.questions import DATASET, GALLERY, MAIN, ONWARD, OWN, Question
from gateway.demo.scene import Scene, few, first_reason, reasons
from gateway.demo.settling import choice, settle
from gateway.demo.stage import RESEARCHER, SECOND, STEWARD, Door

IDENTITY = "identity.txt"


def register(scene: Scene) -> None:
    """The steward registers the study and settles what waits; on the way, the researcher asks too early."""
    tell, gateway = scene.narrator, scene.gateway
    tell.chapter("steward", "brings the study into the catalogue")
    steward = accounts.local_actor(gateway, STEWARD.id)
    title = "Gatesartan in hypertension, a synthetic trial"
    dataset, waiting = datasets.add(gateway, steward, scene.trial, key=DATASET, title=title, approvers=2, accept=True)
    _, tables = datasets.show(gateway, steward, DATASET)
    columns = sum(len(table["columns"]) for table in tables)
    tell.did(
        f"{STEWARD.name}, on the command line: gateway datasets add {scene.trial.name} --id {DATASET} --accept",
        f"{columns} columns profiled, {columns - len(waiting)} settled with certainty, {len(waiting)} wait for her",
    )
    file = datasets.column_file(gateway, DATASET)
    refs = [ref for ref, _ in waiting]
    if refs:
        early = {ref.table: ["USUBJID", ref.column] for ref in refs[:1]}
        reply = scene.doors(RESEARCHER).ask(
            "POST", "/v1/requests", {**MAIN.document(_key(scene), scene.take), "tables": early}
        )
        tell.refused(f"{RESEARCHER.name} already asks for {refs[0]}", reply.problem)
        settle(file, refs)
        rows = [(str(ref), f"{choice(ref)[0]}, {choice(ref)[1]}", choice(ref)[2]) for ref in refs]
        tell.did("she looks at the data and edits the column file", f"{file}")
        tell.table(("column", "settled as", "because"), rows)
    dataset, left = datasets.check(gateway, steward, DATASET)
    tell.did(f"gateway datasets check {DATASET}", f"{len(left)} unresolved; version {dataset.version.id[:16]}")
    scene.found["settled"] = [str(ref) for ref in refs]
    scene.found["unresolved"] = len(left)
    scene.found["look"]["column file"] = str(file)


def _key(scene: Scene) -> str:
    """The researcher's public key; the pair is made on first use and the secret never leaves their folder."""
    file = scene.desk / IDENTITY
    if not file.is_file():
        scene.desk.mkdir(parents=True, exist_ok=True)
        secret, public = recipients.generate()
        file.touch(mode=0o600)
        file.write_text(f"# public key: {public}\n{secret}\n", "utf-8")
    return file.read_text("utf-8").splitlines()[0].removeprefix("# public key: ")


def ask(scene: Scene) -> None:
    """The researcher finds the study, makes a key pair, drafts and submits."""
    tell, door = scene.narrator, scene.doors(RESEARCHER)
    tell.chapter("researcher", "finds the study and asks for it")
    found = door.must("GET", "/v1/datasets")["datasets"]
    titles = few([f"{one['id']} ({one['title']})" for one in found], 3)
    tell.did(f"{RESEARCHER.name} of {RESEARCHER.organisation}: GET /v1/datasets", titles)
    key = _key(scene)
    tell.did("makes a key pair: gateway keys new", f"public {key[:22]}…; the secret stays in {scene.desk / IDENTITY}")
    request, verdict = _submitted(scene, door, MAIN)
    scene.found["request"] = request["id"]
    scene.found["verdicts"]["the first try"] = verdict["decision"]
    tell.did(f"drafts and submits {request['id']}: all tables, to Canada, for {request['project']}", _says(verdict))
    tell.table(
        ("rule", "what it says → what would help"),
        [(item["rule"], f"{item['sentence']} → {item['cure']}") for item in verdict["reviews"]],
    )


def _submitted(
    scene: Scene, door: Door, question: Question, *, cured: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request drafted and submitted, and the rules' verdict on it."""
    draft = door.must("POST", "/v1/requests", question.document(_key(scene), scene.take, cured=cured))
    answer = dict(door.must("POST", f"/v1/requests/{draft['id']}/submit"))
    return answer, answer["verdict"]


def _says(verdict: dict[str, Any]) -> str:
    missing = f"; missing: {few(verdict['missing'], 3)}" if verdict["missing"] else ""
    return f"the rules say {verdict['decision']}{missing}"


def cure(scene: Scene) -> None:
    """The steward cannot wave it through, gives it back with a question; the researcher cures it."""
    tell, steward, researcher = scene.narrator, scene.doors(STEWARD), scene.doors(RESEARCHER)
    tell.chapter("steward", "gives the request back, the researcher cures it")
    path = f"/v1/requests/{scene.found['request']}"
    tell.refused(
        f"{STEWARD.name} tries to approve it without a word",
        steward.ask("POST", f"{path}/approve", {"note": ""}).problem,
    )
    note = "State the legal basis and the contract: which clauses, which assessment?"
    steward.must("POST", f"{path}/return", {"note": note})
    tell.did("returns it with a question", note)
    researcher.must("PUT", path, MAIN.document(_key(scene), scene.take, cured=True))
    verdict = researcher.must("POST", f"{path}/submit")["verdict"]
    scene.found["verdicts"]["the same, cured"] = verdict["decision"]
    tell.did(
        f"{RESEARCHER.name} adds GDPR Art. 6(1)(f) and 9(2)(j), standard contractual clauses with their assessment, "
        "and who owns the university; submits again",
        _says(verdict),
    )
    if verdict["conditions"]:
        rows = [(item["rule"], item["says"] or item["sentence"]) for item in verdict["conditions"]]
        tell.table(("condition of", "what has to be done"), rows)


def approve(scene: Scene) -> None:
    """Four eyes: not the researcher, not one steward twice, but two stewards; and no steward for themself."""
    tell, path = scene.narrator, f"/v1/requests/{scene.found['request']}/approve"
    first, second = scene.doors(STEWARD), scene.doors(SECOND)
    tell.chapter("stewards", "approve with four eyes")
    yes = {"note": "ethics approval and clauses are on file"}
    tell.refused(f"{RESEARCHER.name} approves her own request", scene.doors(RESEARCHER).ask("POST", path, yes).problem)
    own, _ = _submitted(scene, first, OWN)
    reply = first.ask("POST", f"/v1/requests/{own['id']}/approve", yes)
    tell.refused(f"{STEWARD.name} asks for the study herself, and approves that", reply.problem)
    first.must("POST", f"/v1/requests/{own['id']}/withdraw")
    answer = first.must("POST", path, yes)
    tell.did(f"{STEWARD.name} approves {scene.found['request']}", f"{len(answer['approvals'])} of 2; it still waits")
    tell.refused("she approves it once more", first.ask("POST", path, yes).problem)
    answer = second.must("POST", path, {"note": "agreed"})
    scene.found["release"] = {"id": answer["release"]}
    tell.did(f"{SECOND.name} approves too", f"{answer['status']}; release {answer['release']} is queued")


def gallery(scene: Scene) -> None:
    """One request for each verdict the rules can give, with the cure played where there is one."""
    tell, door = scene.narrator, scene.doors(RESEARCHER)
    tell.chapter("the rules", "one request for each verdict")
    rows = []
    for question in GALLERY:
        request, verdict = _submitted(scene, door, question)
        rule, sentence, _ = first_reason(verdict)
        said = f"{question.title}: {sentence} [{rule}]" if rule else f"{question.title}: nothing speaks against it"
        rows.append((verdict["decision"], said))
        scene.found["verdicts"][question.title] = verdict["decision"]
        if question.cure:
            rows.append(_cured(scene, question, request["id"]))
        elif question is ONWARD:
            scene.found["onward"] = {"request": request["id"], "clean": verdict["partial_release_allowed"]}
        else:
            door.must("POST", f"/v1/requests/{request['id']}/withdraw")
    tell.table(("verdict", "for"), rows)


def _cured(scene: Scene, question: Question, refused: str) -> tuple[str, str]:
    """A steward cannot approve what the rules deny, refuses with the cure; asked again with it, it waits for them."""
    steward, door = scene.doors(STEWARD), scene.doors(RESEARCHER)
    reply = steward.ask("POST", f"/v1/requests/{refused}/approve", {"note": "please let it through"})
    scene.narrator.refused(f"{question.title}; {STEWARD.name} approves it all the same", reply.problem)
    note = str(reply.body.get("cure") or "see the decision")
    steward.must("POST", f"/v1/requests/{refused}/refuse", {"note": note})
    request, verdict = _submitted(scene, door, question, cured=True)
    scene.found["verdicts"][f"{question.title}, cured"] = verdict["decision"]
    scene.found["waiting"].append(request["id"])
    return verdict["decision"], f"The same with the cure ({request['id']} waits for a steward): {reasons(verdict)}"
