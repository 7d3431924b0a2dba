"""A session that ends in mid-form, a double click: nothing is lost or done twice."""

from playwright.sync_api import expect


def test_what_was_typed_into_a_cart_is_there_again_after_the_session_ended(site, visit):
    reader = visit(site, "researcher")
    page = reader.go("/catalogue/trial")
    page.get_by_label("Who holds the data now").fill("Aldergrove Trials of Old")
    page.locator('input[value="DM.SEX"]').check()
    reader.context.clear_cookies()
    page.reload()
    reader.sign_in("r.okafor")
    page.wait_for_url("**/catalogue/trial")
    expect(page.get_by_label("Who holds the data now")).to_have_value("Aldergrove Trials of Old")
    expect(page.locator('input[value="DM.SEX"]')).to_be_checked()


def test_a_double_click_is_one_answer(site, visit):
    key = site.request(dataset="pair", project="clicked-twice")
    page = visit(site, "steward").go(f"/queue/{key}")
    page.get_by_label("Reason or question").fill("papers on file")
    page.get_by_role("button", name="Approve").dblclick()
    expect(page.get_by_text("1 of 2")).to_be_visible()
    held = site.gateway.store.request(key, seen_by=site.people["researcher"])
    assert len(held.approvals) == 1
