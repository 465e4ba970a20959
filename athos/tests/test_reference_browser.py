"""The reference page in a real Chromium: all operations are there, and nothing comes from outside.

SCREENSHOTS=<folder> keeps pictures in both widths.
"""

import os
from pathlib import Path

import pytest

from athos.tests.api_document import described
from calls.tests.site import chromium, free_port, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def browser():
    # its synchronous interface runs a loop in this thread, which Django takes for asynchronous code
    with pytest.MonkeyPatch.context() as patch, chromium() as found:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield found


@pytest.fixture(scope="module")
def site(django_db_setup, tmp_path_factory):
    with serve(tmp_path_factory.mktemp("web"), free_port(), free_port()) as origin:
        yield origin


@pytest.mark.parametrize("width", [1440, 375])
def test_it_shows_every_operation_and_asks_no_other_host(browser, site, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/reference")
    page.wait_for_selector("[id='tag/Sessions']", timeout=60_000)
    for operation in described():
        shown = page.locator(f"[id$='/operation/{operation.id}'] h2")
        assert operation.content["summary"] in shown.inner_text()
    assert complaints == []
    assert not [url for url in asked if not url.startswith((site, "data:"))]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"reference-{width}.png")
    page.close()
