"""Lighthouse's judgement of the pages that people see first, phone and desktop.

    make run, then
    python manage.py demo_month                    # so that there is something on the pages
    python -m bench.lighthouse --var var
    python -m bench.lighthouse --var var --pages home call --presets mobile

Lighthouse is too heavy for what `make test` installs: npx fetches the version named here, once, and
keeps it in npm's cache. It drives the Chromium of this machine. The dashboard's pages are opened in
the sandbox with the session of the demo's owner, which goes along as a header. Exits with 1 when a
score is below the goal or a first view transfers more than its bound.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
LIGHTHOUSE = "lighthouse@12.8.2"  # of npm; the last that runs on Node 20
CATEGORIES = ("performance", "accessibility", "best-practices")
PRESETS: dict[str, tuple[str, ...]] = {"mobile": (), "desktop": ("--preset=desktop",)}
GOAL = 95  # of 100, each category
HEAVIEST = 250_000  # bytes transferred on a first view
WITHIN = 240  # seconds for one page
TRIES = 3  # now and then Chromium's trace lacks the navigation, whatever the page (NO_NAVSTART)
PAGES = {  # a place of None is found on another page
    "sign-in": "/sign-in",
    "home": "/",
    "calls": "/calls",
    "call": None,
    "reps": "/reps",
    "rep": None,
    "assignments": "/assignments",
    "quickstart": "/developers/quickstart",
    "keys": "/developers/keys",
    "webhooks": "/webhooks",
    "requests": "/developers/requests",
    "usage": "/developers/usage",
    "rep-page": "/embed/roleplay?drill=ma-full-sale",
    "docs": "/docs/",
    "docs-quickstart": "/docs/quickstart/",
}
SIGNED_OUT = {"sign-in", "rep-page", "docs", "docs-quickstart"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One page in one preset. `scores` are of 100, by category; `bytes` were transferred."""

    page: str
    preset: str
    scores: dict[str, int]
    bytes: int
    failures: list[str]  # audits that took points, with what they say

    @property
    def is_good(self) -> bool:
        return min(self.scores.values()) >= GOAL and self.bytes <= HEAVIEST


def places_find(demo: dict[str, str], origin: str, mode: str) -> tuple[dict[str, str], str]:
    """The address of each page, and the cookies of the demo's owner, who looks at that mode."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{origin}/sign-in")
        page.fill("[name=login]", demo["managerEmail"])
        page.fill("[name=password]", demo["managerPassword"])
        page.click("button.main")
        page.wait_for_selector(".mode")
        page.click(f".mode [value={mode}]")
        page.wait_for_selector(f"[data-mode={mode}]")
        found = {
            "call": _first_link(page, f"{origin}/calls", "tbody a"),
            "rep": _first_link(page, f"{origin}/reps", "tbody a"),
        }
        cookies = "; ".join(f"{c['name']}={c['value']}" for c in page.context.cookies())
        browser.close()
    known = {name: f"{origin}{path}" for name, path in PAGES.items() if path is not None}
    return known | found, cookies


def _first_link(page: Page, address: str, selector: str) -> str:
    page.goto(address)
    link = page.locator(selector).first.evaluate("link => link.href")
    return str(link)


def judge(name: str, address: str, preset: str, cookies: str, folder: Path) -> Judged:
    """Run Lighthouse. Raises CalledProcessError, TimeoutExpired and ValueError."""
    report = folder / f"{name}-{preset}.json"
    command = [
        *("npx", "--yes", LIGHTHOUSE, address, "--quiet", "--output=json"),
        *(f"--output-path={report}", f"--only-categories={','.join(CATEGORIES)}"),
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
        *PRESETS[preset],
    ]
    if name not in SIGNED_OUT:
        headers = folder / "headers.json"
        headers.write_text(json.dumps({"Cookie": cookies}))
        command.append(f"--extra-headers={headers}")
    environment = os.environ | {"CHROME_PATH": CHROMIUM}
    for tries_left in reversed(range(TRIES)):
        try:
            subprocess.run(command, check=True, timeout=WITHIN, env=environment)
            return read(name, preset, json.loads(report.read_text()))
        except (subprocess.CalledProcessError, ValueError) as failure:
            if not tries_left:
                raise
            print(f"{name}: once more, {failure}", file=sys.stderr)
    raise AssertionError("unreachable")


def read(name: str, preset: str, report: dict[str, Any]) -> Judged:
    """Lighthouse's JSON, pure. Raises ValueError where it could not judge the page."""
    if problem := report.get("runtimeError"):
        raise ValueError(f"{name}: {problem['code']} {problem['message']}")
    categories, audits = report["categories"], report["audits"]
    if missing := [each for each in CATEGORIES if categories[each]["score"] is None]:
        raise ValueError(f"{name}: no score for {', '.join(missing)}")
    failures = [
        f"{audit['id']} {audit.get('displayValue', '')}".strip()
        for category in CATEGORIES
        for reference in categories[category]["auditRefs"]
        if reference["weight"] > 0
        and (audit := audits[reference["id"]])["score"] is not None
        and audit["score"] < 0.9
    ]
    scores = {category: round(100 * categories[category]["score"]) for category in CATEGORIES}
    weight = round(audits["total-byte-weight"]["numericValue"])
    return Judged(name, preset, scores, weight, failures)


def tell(judged: Judged) -> None:
    scores = "  ".join(f"{category} {score}" for category, score in judged.scores.items())
    mark = "" if judged.is_good else "  MISSED"
    print(f"{judged.page:16} {judged.preset:8} {scores}  {judged.bytes / 1000:.0f} kB{mark}")
    for failure in judged.failures:
        print(f"    {failure}")
    sys.stdout.flush()


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--var", type=Path, required=True, help="folder of the running product")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument(
        "--mode", choices=["test", "live"], default="test", help="of the calls shown"
    )
    parser.add_argument("--keep", type=Path, help="folder for Lighthouse's own reports")
    given = parser.parse_args(None if arguments is None else list(arguments))
    demo = json.loads((given.var / "demo.json").read_text())
    places, cookies = places_find(demo, demo["baseUrl"].rstrip("/"), given.mode)
    with tempfile.TemporaryDirectory(prefix="athos-lighthouse-") as thrown_away:
        folder = given.keep or Path(thrown_away)
        folder.mkdir(parents=True, exist_ok=True)
        judged = []
        for name in given.pages:
            for preset in given.presets:
                judged.append(judge(name, places[name], preset, cookies, folder))
                tell(judged[-1])
    return 0 if all(one.is_good for one in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
