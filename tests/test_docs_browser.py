"""The docs in a browser: each page at both widths and in both colours, the search, the keyboard."""

import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser_call import CHROMIUM
from tests.conftest import ROOT

pytestmark = [pytest.mark.journey, pytest.mark.browser, pytest.mark.slow]

PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def docs(product) -> str:
    return f"{product.demo['baseUrl']}/docs/"


def watched(browser: Browser, docs: str, **options: object) -> tuple[Page, list[str]]:
    """A page, and what must not happen on it: words on the console, requests to elsewhere."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(15_000)
    bad: list[str] = []
    page.on("console", lambda message: bad.append(message.text))
    page.on("pageerror", lambda error: bad.append(str(error)))
    page.on("requestfailed", lambda request: bad.append(request.url))
    page.on("request", lambda request: bad.extend(elsewhere(request.url, docs)))
    return page, bad


def elsewhere(url: str, docs: str) -> list[str]:
    return [] if url.startswith((docs, "data:")) else [url]


@pytest.mark.parametrize("colours", ["light", pytest.param("dark", marks=pytest.mark.prove)])
def test_every_page_is_quiet_and_fits(browser, docs, colours):
    page, bad = watched(browser, docs, color_scheme=colours)
    for name in ["", *(f"{stem}/" for stem in PAGES)]:
        answer = page.goto(docs + name)
        assert answer and answer.status == 200, name
        for width in (1440, 375):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert bad == [], name


def test_the_search_finds_and_leads_there(browser, docs):
    page, bad = watched(browser, docs)
    page.goto(docs)
    page.fill("input[name=q]", "openssl")
    page.press("input[name=q]", "Enter")
    page.click("#search-results a:has-text('Webhooks')")
    page.wait_for_url(re.compile(r"/docs/webhooks/"))
    assert bad == []


def test_a_keyboard_reaches_text_search_and_tabs(browser, docs):
    page, bad = watched(browser, docs)
    page.goto(f"{docs}tokens/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Skip to content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.focus(".sd-tab-set > input:checked")
    page.keyboard.press("ArrowRight")
    assert page.locator(".sd-tab-content:visible").first.inner_text().startswith("import os")
    assert bad == []


def test_the_colours_can_be_chosen_and_stay(browser, docs):
    page, _ = watched(browser, docs, color_scheme="light")
    page.goto(docs)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click(".theme-toggle >> visible=true")  # the first click is the other one than now
    dark = page.evaluate(ground)
    assert dark != light
    page.goto(f"{docs}quickstart/")
    assert page.evaluate(ground) == dark


def test_a_code_block_can_be_copied(browser, docs):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{docs}tokens/")
    button = page.locator("button.copybtn >> visible=true").nth(1)
    button.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("navigator.clipboard.readText()").startswith('curl -sS "$ATHOS_URL')


def test_the_reference_and_the_document_that_the_docs_link_are_served(product):
    for path in ("/reference", "/api/external/v1/openapi.yaml", "/api/external/v1/openapi.json"):
        with urlopen(product.demo["baseUrl"] + path, timeout=15) as answer:
            assert answer.status == 200
