"""What a researcher does, from sign-in to the opened extract, in a real browser."""

import re
import shutil
import subprocess

import pytest
from playwright.sync_api import Page, expect

from gateway.actions import requests


def panel(page: Page) -> str:
    return page.locator("#outlook").inner_text()


def changed(page: Page, before: str) -> str:
    """The panel once it says something else than before."""
    page.wait_for_function(
        "before => { const now = document.querySelector('#outlook').innerText; return now !== before && now; }",
        arg=before,
    )
    return panel(page)


def fill_cart(page: Page, *variables: str) -> None:
    for name in variables:
        box = page.locator(f'input[value="{name}"]')
        if not box.is_visible():
            page.locator("details.table", has=box).locator("summary").click()
        box.check()


def test_from_search_to_the_extract_opened_with_a_key_made_in_the_browser(either, visit, tmp_path):
    site, age = either, shutil.which("age")
    if age is None:
        pytest.skip("there is no `age`: apt-get install age")
    reader = visit(site)
    page = reader.go("/catalogue")
    reader.sign_in("r.okafor")
    page.get_by_label("Words in studies").fill("sex")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("DM.SEX").first).to_be_visible()
    page.get_by_role("link", name="Hypertension in five countries").click()

    page.get_by_label("Who holds the data now").fill("Aldergrove Trials")
    page.get_by_label("The holder's country").select_option("US")
    page.get_by_label("It receives the data in").select_option("CA")
    page.locator("#outlook").get_by_text("Put a variable into the cart").wait_for()
    empty = panel(page)
    fill_cart(page, "DM.AGE")
    one = changed(page, empty)
    assert "smallest class" in one
    assert "AGE" in one
    fill_cart(page, "DM.RACE", "DM.COUNTRY", "AE.AEDECOD")
    more = changed(page, one)
    assert "RACE" in more
    page.get_by_label("It receives the data in").select_option("CN")
    assert "What helps:" in changed(page, more)
    page.get_by_label("It receives the data in").select_option("CA")
    page.get_by_text("3 of").wait_for()

    page.get_by_role("button", name="Ask for these").click()
    page.get_by_label("Project").fill("hypertension-9")
    page.get_by_label("File format").select_option("csv")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Make a key pair").click()
    identity = tmp_path / saving.value.suggested_filename
    saving.value.save_as(identity)
    assert "AGE-SECRET-KEY-1" in identity.read_text()
    expect(page.locator("#pair-told")).to_be_focused()
    assert "AGE-SECRET-KEY" not in page.content()
    page.get_by_role("button", name="Send the request").click()
    page.get_by_text("A steward has it").wait_for()
    key = page.url.rsplit("/", 1)[1]

    requests.give_back(site.gateway, site.people["steward"], key, note="which events do you need?")
    page.get_by_role("link", name="My requests").first.click()
    page.get_by_role("link", name=key).click()
    expect(page.get_by_text("which events do you need?")).to_be_visible()
    page.get_by_role("link", name="Amend and send again").click()
    page.get_by_label("Project").fill("hypertension-serious-9")
    page.get_by_role("button", name="Send the request").click()
    expect(page.get_by_role("heading", name="hypertension-serious-9")).to_be_visible()

    requests.approve(site.gateway, site.people["steward"], key, note="papers on file")
    page.reload()
    site.ready(key)
    page.get_by_text("Your extract is ready").or_(page.get_by_text("How to open it")).first.wait_for()
    page.goto(f"{site.url}/requests/{key}")
    with page.expect_download() as sealed:
        page.get_by_role("link", name="DM.csv.age").click()
    sealed.value.save_as(tmp_path / "DM.csv.age")
    subprocess.run([age, "-d", "-i", identity, "-o", tmp_path / "DM.csv", tmp_path / "DM.csv.age"], check=True)
    assert "AGE" in (tmp_path / "DM.csv").read_text().splitlines()[0]
    with page.context.expect_page() as report:
        page.get_by_role("link", name="Read the report").click()
    expect(report.value.get_by_role("heading").first).to_be_visible()


def test_a_request_is_withdrawn_only_after_a_second_yes(site, visit):
    key = site.request(project="to-withdraw")
    reader = visit(site, "researcher")
    page = reader.go(f"/requests/{key}")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Withdraw").click()
    page.reload()
    expect(page.get_by_text("A steward has it")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator("ol.line")).to_contain_text(re.compile("Withdrawn"))


def test_a_pasted_key_is_taken_and_a_wrong_one_told_beside_the_field(site, visit):
    reader = visit(site, "researcher")
    reader.expected.append("422")
    page = reader.go("/catalogue/trial")
    page.get_by_label("Who holds the data now").fill("Aldergrove Trials")
    page.get_by_label("The holder's country").select_option("US")
    page.get_by_label("It receives the data in").select_option("CA")
    fill_cart(page, "DM.SEX")
    page.get_by_role("button", name="Ask for these").click()
    page.get_by_label("Project").fill("pasted-1")
    page.get_by_label("Public key").fill("age1nonsense")
    page.get_by_role("button", name="Send the request").click()
    expect(page.locator("#e-key")).to_be_visible()
    expect(page.get_by_label("Public key")).to_be_focused()
    expect(page.get_by_label("Project")).to_have_value("pasted-1")
    page.get_by_label("Public key").fill(site.key)
    page.get_by_role("button", name="Send the request").click()
    page.get_by_text("A steward has it").wait_for()
