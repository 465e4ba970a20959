"""What all pages share: the way in, the choice between live and sandbox, what goes wrong."""

from django.test import Client

from tests.dashboard.bed import ANALYST, OWNER


def test_the_sandbox_is_chosen_once_and_never_mixed_in(bed):
    client = bed.full.client(ANALYST)
    live = client.get("/calls").text
    answer = client.post("/mode", {"mode": "test", "next": "/calls"})
    assert answer.headers["Location"] == "/calls"
    sandbox = client.get("/calls").text
    assert live.count("<tr>") == 1 + 15
    assert sandbox.count("<tr>") == 1 + 2
    client.post("/mode", {"mode": "live"})
    assert client.get("/calls").text.count("<tr>") == 1 + 15
    client.post("/mode", {"mode": "both"})
    assert client.get("/calls").text.count("<tr>") == 1 + 15


def test_the_way_back_stays_with_us(bed):
    client = bed.full.client(OWNER)
    for elsewhere in ("https://evil.example", "//evil.example", "javascript:alert(1)", ""):
        answer = client.post("/mode", {"mode": "live", "next": elsewhere})
        assert answer.headers["Location"] == "/"


def test_a_fragment_without_a_session_sends_the_whole_page_to_sign_in(bed):
    fragment = {"HX-Request": "true", "HX-Current-URL": "http://testserver/calls?q=1"}
    answer = Client().get("/calls", headers=fragment)
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/calls%3Fq%3D1"
    assert Client().get("/calls").headers["Location"] == "/sign-in?next=/calls"


def test_a_fragment_that_fails_is_told(opened):
    with opened("/calls") as guest:
        guest.page.route("**/missing", lambda route: route.fulfill(status=500, body="no"))
        guest.page.evaluate("htmx.ajax('GET', '/missing', '#main')")
        guest.page.locator("#messages", has_text="That did not work").wait_for()
        assert guest.page.locator("tbody tr").count() > 1


def test_on_a_phone_the_menu_opens_without_scripts(opened):
    with opened("/calls", width=390, java_script_enabled=False) as guest:
        link = guest.page.locator(".menu").get_by_role("link", name="Developers")
        assert not link.is_visible()
        guest.page.get_by_text("Menu", exact=True).click()
        link.click()
        guest.page.get_by_role("navigation", name="Developers").get_by_text("Webhooks").wait_for()


def test_a_chart_is_read_by_keys_and_as_a_table(opened):
    with opened("/", reduced_motion="reduce") as guest:
        plot = guest.page.get_by_role("slider", name="Mean score, day by day")
        plot.focus()
        last = plot.get_attribute("aria-valuetext")
        guest.page.keyboard.press("ArrowLeft")
        guest.page.keyboard.press("ArrowLeft")
        told = plot.get_attribute("aria-valuetext")
        assert "90 points of 100, n = 1" in last
        assert "86 points of 100, n = 1" in told
        assert guest.page.locator(".reading").first.inner_text() == told
        guest.page.get_by_text("As a table").first.click()
        assert guest.page.get_by_role("cell", name="86", exact=True).is_visible()
    with opened("/", java_script_enabled=False) as guest:
        assert guest.page.get_by_role("cell", name="86", exact=True).is_visible()
