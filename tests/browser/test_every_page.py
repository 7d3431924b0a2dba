"""Every page in a real browser: axe in both themes, a width of 390 pixels, the keyboard alone."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import conftest as desk

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
STANDARD = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


@pytest.fixture(scope="module")
def about(on_sqlite: desk.Site) -> desk.Things:
    return desk.things(on_sqlite, project="every-page")


def open_pages(site, about, visit, **options) -> Iterator[tuple[str, Page]]:
    """Every page of the table that the site has, by the person whose it is."""
    table, routes = desk.addresses(about), {path for method, path in desk.site_routes(site) if method == "GET"}
    assert routes - set(table) == set(), "a new page: add it to `addresses`"
    readers: dict[str, desk.Reader] = {}
    for path in sorted(routes - desk.NO_PAGES):
        who, address = table[path]
        if who not in readers:
            readers[who] = visit(site, who, **options)
        reader = readers[who]
        reader.expected.append("404")
        page = reader.go(address)
        if page.locator("[hx-trigger*=load]").count():
            page.wait_for_load_state("networkidle")
        page.evaluate("for (const closed of document.querySelectorAll('details')) closed.open = true")
        yield path, page


def findings(page: Page, options: object) -> list[str]:
    answer = page.evaluate(f"axe.run(document, {json.dumps(options)})")
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in answer["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"][:3]
    ]


def test_axe_finds_nothing_serious_on_any_page_in_either_theme(site, about, visit):
    found = {}
    for path, page in open_pages(site, about, visit, color_scheme="light"):
        page.evaluate(AXE + "; null")
        found[path, "light"] = findings(page, STANDARD)
        page.emulate_media(color_scheme="dark")
        found[path, "dark"] = findings(page, COLOURS)
        page.emulate_media(color_scheme="light")
    assert {page: told for page, told in found.items() if told} == {}


def test_no_page_is_wider_than_a_phone(site, about, visit):
    wide = {}
    for path, page in open_pages(site, about, visit, viewport={"width": 390, "height": 800}):
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[path] = width
    assert wide == {}


def tab_to(page: Page, wanted: str) -> None:
    """Go on with the tab key until the thing with this role and name has the focus."""
    told = "document.activeElement.matches(wanted)"
    for _ in range(120):
        if page.evaluate(f"wanted => {told}", wanted):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the tab key never reaches {wanted}")


def test_a_researcher_gets_from_sign_in_to_a_cart_by_keyboard_alone(site, visit):
    reader = visit(site)
    page = reader.go("/catalogue/trial")
    for field, text in (("#f-account", "r.okafor"), ("#f-password", desk.WORDS)):
        tab_to(page, field)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalogue/trial")
    tab_to(page, "#f-recipient_country")
    page.keyboard.type("Canada")
    tab_to(page, "#f-exporter_org")
    page.keyboard.type("Aldergrove Trials")
    tab_to(page, "#f-exporter_country")
    page.keyboard.type("United States")
    tab_to(page, 'input[value="DM.SEX"]')
    page.keyboard.press("Space")
    expect(page.locator("#outlook")).to_contain_text("smallest class")


def test_a_steward_returns_a_request_by_keyboard_alone(site, visit):
    key = site.request(project="by-keyboard")
    page = visit(site, "steward").go("/queue")
    tab_to(page, f'a[href="/queue/{key}"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/queue/{key}")
    tab_to(page, "#f-note")
    page.keyboard.type("which events?")
    tab_to(page, 'button[value="return"]')
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("the request is returned"))).to_be_visible()


def test_an_auditor_finds_an_event_by_keyboard_alone(site, about, visit):
    page = visit(site, "auditor").go("/log-book")
    tab_to(page, "#f-about")
    page.keyboard.type(about.released)
    page.keyboard.press("Enter")
    page.wait_for_url("**about=**")
    tab_to(page, f'a[href="/log-book/event/{about.event}"]')
    page.keyboard.press("Enter")
    expect(page.get_by_text("What the log holds")).to_be_visible()


def test_the_first_tab_skips_to_the_content(site, visit):
    page = visit(site, "steward").go("/queue")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.skipif("GATEWAY_TEST_SHOTS" not in os.environ, reason="GATEWAY_TEST_SHOTS names no folder for pictures")
@pytest.mark.parametrize("width", [1200, 390])
def test_pictures_of_every_page(site, about, visit, width):
    folder = Path(os.environ["GATEWAY_TEST_SHOTS"])
    for path, page in open_pages(site, about, visit, viewport={"width": width, "height": 900}):
        name = path.strip("/").replace("/", "_").replace("{", "").replace("}", "") or "home"
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            picture = page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
            assert picture.startswith(b"\x89PNG")
