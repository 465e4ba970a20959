"""Every page of the registry: who may open it, and how it stands in a real Chromium.

SCREENSHOTS=<folder> keeps pictures of every page, in both widths and colours.
"""

import json

import pytest

from calls.tests.site import ROOT, Visitor
from tests.dashboard.bed import CANARY, CANARY_SOUTH, LIMITED, OWNER, ROLES
from tests.dashboard.pages import PAGES, Page

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
STATES = [(page, state) for page in PAGES for state in page.states]
PHONE, DESK = 390, 1280  # pixels


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_opens_for_its_roles_alone(bed, page: Page):
    address = page.address(bed.full)
    answers = {role: bed.full.client(role, mode=page.mode).get(address) for role in ROLES}
    assert {role for role, answer in answers.items() if answer.status_code == 200} == page.roles
    assert {a.status_code for r, a in answers.items() if r not in page.roles} <= {403}
    assert CANARY_SOUTH not in answers[LIMITED].text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_stranger_reads_nothing_of_it(bed, page: Page):
    answer = bed.stranger.client(OWNER).get(page.address(bed.full))
    assert answer.status_code in {200, 302, 404}
    for name in (CANARY, CANARY_SOUTH, "Nora North", bed.full.tenant.name):
        assert name not in answer.text


LOOKS = [(DESK, False), (PHONE, True)]  # width, dark
NAMED = {"ids": lambda value: getattr(value, "name", value)}


@pytest.mark.browser
@pytest.mark.prove
@pytest.mark.parametrize(("page", "state"), STATES, **NAMED)
def test_a_page_stands_in_both_widths_and_colours(opened, bed, page: Page, state: str):
    stands(opened, bed, page, state, LOOKS)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page", "state", "turn"), [(*each, turn % 2) for turn, each in enumerate(STATES)], **NAMED
)
def test_a_page_stands(opened, bed, page: Page, state: str, turn: int):
    """In one of the two looks, by turns."""
    stands(opened, bed, page, state, [LOOKS[turn]])


def stands(opened, bed, page: Page, state: str, looks) -> None:
    address = page.address(bed.side(state))
    with opened(address, state=state, mode=page.mode, width=DESK) as guest:
        guest.page.wait_for_selector(page.shows if state == "full" else "h1")
        guest.page.evaluate(AXE)
        for width, dark in looks:
            look(guest, f"{page.name}-{state}", width, dark=dark)
        assert guest.console == []


def look(guest: Visitor, name: str, width: int, *, dark: bool) -> None:
    """axe finds nothing serious, nothing is wider than the window; pictures in both colours."""
    colours = ("dark", "light") if not dark else ("light", "dark")
    guest.page.set_viewport_size({"width": width, "height": 900})
    for colour in colours:
        guest.page.emulate_media(color_scheme=colour)
        guest.look(f"{name}-{width}-{colour}")
    wide = guest.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "wider than the window"
    found = guest.page.evaluate("axe.run({resultTypes: ['violations']})")
    serious = [
        {"id": v["id"], "where": [n["target"] for n in v["nodes"]]}
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == [], json.dumps(serious, indent=1)
