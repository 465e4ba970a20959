"""The call's page in a real Chromium: the picture, what it plays, the transcript that follows."""

import pytest

from calls.models import Recording
from tenants.isolation import tenant_scope
from tests.dashboard.bed import MANAGER

pytestmark = pytest.mark.browser


@pytest.fixture
def address(bed):
    call = bed.full.calls[0]
    with tenant_scope(bed.full.tenant.pk):
        Recording.objects.filter(call=call).update(peaks=bytes(range(200)) * 2)
    return f"/calls/{call.public_id}"


def test_evidence_plays_its_second_and_the_transcript_follows(opened, address):
    with opened(address, role=MANAGER) as guest:
        page = guest.page
        page.locator("[data-wave-marks] button").first.wait_for()
        assert page.locator("[data-wave-marks] button").count() == 2
        page.evaluate("document.querySelector('audio').muted = true")
        page.locator(".transcript ol").evaluate("list => (list.style.maxHeight = '120px')")
        page.locator("#check-prescriptions .quote").click()
        page.wait_for_function("() => document.querySelector('audio').currentTime > 16.5")
        page.locator('#line-3[aria-current="true"]').wait_for()
        page.wait_for_function("() => document.querySelector('.transcript ol').scrollTop > 0")
        page.locator("[data-wave-marks] button").first.click()
        page.wait_for_function(
            "() => (now => now > 6.4 && now < 15)(document.querySelector('audio').currentTime)"
        )
        page.locator('#line-1[aria-current="true"]').wait_for()
        guest.look("call-playing")
        assert guest.console == []


def test_an_address_with_a_second_stands_there_and_waits(opened, address):
    with opened(f"{address}?at=16.5", role=MANAGER) as guest:
        guest.page.wait_for_function("() => document.querySelector('audio').currentTime === 16.5")
        assert guest.page.evaluate("document.querySelector('audio').paused")


def test_a_search_changes_the_list_and_the_address_and_back_undoes_it(opened):
    with opened("/calls", role=MANAGER) as guest:
        page = guest.page
        rows = page.locator("#calls tbody tr")
        before = rows.count()
        page.get_by_text("Days, score, state").click()
        page.get_by_label("State").select_option("failed")
        page.wait_for_url("**/calls?stage=failed")
        page.wait_for_function("() => document.querySelectorAll('#calls tbody tr').length === 1")
        page.go_back()
        page.wait_for_url("**/calls")
        page.wait_for_function(
            f"() => document.querySelectorAll('#calls tbody tr').length === {before}"
        )
        assert page.get_by_label("State").input_value() == ""
        with page.expect_download() as download:
            page.get_by_text("Export as CSV").click()
        lines = download.value.path().read_text().splitlines()
        assert len(lines) == 1 + 15
        page.get_by_text("15 calls are in athos-calls.csv.").wait_for()
        assert guest.console == []
