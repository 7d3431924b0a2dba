"""The demo as a play: three personas and a worker, through the real API, from a study to an opened extract."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from gateway.context import open_gateway
from gateway.demo import release_scenes, request_scenes
from gateway.demo.narrator import Narrator
from gateway.demo.scene import Scene
from gateway.demo.stage import TOKENS, clear, mark, people, serving, settings_of
from gateway.demo.trial import write_trial
from gateway.settings import Settings


def play(settings: Settings, *, fresh: bool, subjects: int, console: Console) -> dict[str, Any]:
    """Play the demo in its own home (see `stage.home_of`) and return its story; tells it to `console` on the way.

    The story holds `lines` (what each did, what came back, whether it was refused), `verdicts` (one of each, by
    what they show), the `release`, the `opened` tables, whether the `log` is sound, and where to `look`.

    Raises:
        Invalid: the demo's home was not made by a demo. Broken: the story cannot go on.
    """
    began = time.monotonic()
    own = settings_of(settings)
    if fresh:
        clear(own.home)
    take = mark(own.home)
    narrator = Narrator(console)
    narrator.chapter("stage", "a synthetic trial and a gateway of its own")
    trial = write_trial(own.home / "trial", subjects=subjects)
    tables = len(list(trial.iterdir()))
    narrator.did("write a trial that never took place", f"{subjects} subjects, {tables} SAS XPORT tables, in {trial}")
    gateway = open_gateway(own)
    tokens = people(gateway)
    with serving(gateway, tokens) as (address, doors):
        narrator.did(
            "open the gateway: keys, database, rules, four accounts with a token each",
            f"the real HTTP API listens on {address}; every call below goes through it unless it says otherwise",
        )
        scene = Scene(gateway, narrator, doors, own.home, trial, take)
        _acts(scene)
    story = {
        "home": str(own.home),
        "seconds": round(time.monotonic() - began, 1),
        "subjects": subjects,
        **scene.found,
        "lines": narrator.story(),
    }
    _end(scene, story)
    return story


def _acts(scene: Scene) -> None:
    """The chapters in order."""
    request_scenes.register(scene)
    request_scenes.ask(scene)
    request_scenes.cure(scene)
    request_scenes.approve(scene)
    release_scenes.work(scene)
    release_scenes.receive(scene)
    request_scenes.gallery(scene)
    release_scenes.partial(scene)
    release_scenes.audit(scene)


def _end(scene: Scene, story: Mapping[str, Any]) -> None:
    """What happened, where to look, and what to try next."""
    narrator, found = scene.narrator, scene.found
    narrator.chapter("the end", f"what happened, in {story['seconds']:.0f} seconds")
    refused = sum(1 for line in narrator.lines if line.refused)
    narrator.table(
        ("what", "outcome"),
        [
            ("request", f"{found['request']}: held for review, returned, cured, approved by two stewards"),
            ("release", f"{found['release']['id']}: {len(found['opened'])} tables sealed, downloaded, opened"),
            ("smallest class", f"{found['release']['k_before']} before, {found['release']['k_after']} after"),
            ("verdicts shown", ", ".join(sorted(set(found["verdicts"].values())))),
            ("refusals shown", f"{refused}; all that reached the gateway are events in its log"),
            ("access log", f"{'sound' if found['log']['sound'] else 'NOT SOUND'}, {found['log']['size']} events"),
        ],
    )
    narrator.say("Where to look")
    narrator.pairs(found["look"])
    home = scene.home
    narrator.say("")
    narrator.say("What to try next (put .venv/bin/ before `gateway`, or activate the environment)")
    waiting = found["waiting"][0] if found["waiting"] else found["request"]
    for command in (
        "make serve                              # the pages and the API of this home, with its accounts",
        f"export GATEWAY_HOME={home}",
        "gateway requests list",
        f"gateway requests show {waiting}",
        f"gateway requests approve {waiting} --as s.lindqvist",
        "gateway audit list --limit 20",
        f"gateway verify {found['look']['extract']}",
    ):
        narrator.console.print(f"  $ {command}", markup=False, soft_wrap=True)
    narrator.console.print()
    narrator.say(f"Tokens stand in {home / TOKENS} (demo only, readable by you alone).")
