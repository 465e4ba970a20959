"""The dashboard's navigation, said once: a new page adds its line here.

A line is shown to those who may open it, and only where an address of that name exists.
"""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from tenants.abilities import Ability
from tenants.members import Member


@dataclass(frozen=True, slots=True)
class Page:
    """One line of the navigation. Pages below its address count as the same place."""

    label: str
    url_name: str
    needs: Ability | None = None  # as `for_members(needs=...)` of the page says


@dataclass(frozen=True, slots=True)
class Section:
    """One word of the main navigation; with several pages it has a navigation of its own."""

    label: str
    pages: tuple[Page, ...]


SECTIONS = (
    Section("Home", (Page("Home", "home"),)),
    Section("Calls", (Page("Calls", "call-pages"),)),
    Section(
        "Reps",
        (Page("Reps", "rep-pages"), Page("Assignments", "assignment-pages")),
    ),
    Section("Agencies", (Page("Agencies", "agency-pages"),)),
    Section(
        "Developers",
        (
            Page("Quickstart", "quickstart-page", Ability.DEVELOP),
            Page("API keys", "key-pages", Ability.DEVELOP),
            Page("Webhooks", "endpoint-pages", Ability.DEVELOP),
            Page("Deliveries", "delivery-pages", Ability.DEVELOP),
            Page("Requests", "request-pages", Ability.DEVELOP),
            Page("Usage", "usage-page", Ability.DEVELOP),
            Page("Embedding", "embedding-page", Ability.DEVELOP),
        ),
    ),
    Section(
        "Settings",
        (
            Page("Team", "team-page", Ability.ADMINISTER),
            Page("Agencies", "agency-settings", Ability.ADMINISTER),
            Page("Branding", "branding-page", Ability.ADMINISTER),
            Page("Practice", "practice-page", Ability.ADMINISTER),
            Page("Retention", "retention-page", Ability.ADMINISTER),
            Page("Allowance", "allowance-page", Ability.ADMINISTER),
            Page("Models", "models-page", Ability.ADMINISTER),
            Page("Security", "security-page", Ability.ADMINISTER),
            Page("Audit log", "audit-page", Ability.ADMINISTER),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Navigation:
    """What one member sees at one address; `below` is empty where a section has one page."""

    sections: tuple[Link, ...]
    section: str  # the label of the current one; empty: none
    below: tuple[Link, ...]


def navigation_for(member: Member, path: str) -> Navigation:
    """The navigation of a member who looks at this path."""
    visible = [
        (section.label, pages)
        for section in SECTIONS
        if (pages := [p for page in section.pages if (p := _resolved(page, member))])
    ]
    places = [address for _, pages in visible for _, address in pages if _holds(address, path)]
    here = max(places, key=len, default=None)
    sections, current = [], ""
    below: tuple[Link, ...] = ()
    for label, pages in visible:
        is_current = here in {address for _, address in pages}
        sections.append(Link(label, pages[0][1], is_current))
        if is_current:
            current = label
            links = tuple(Link(name, address, address == here) for name, address in pages)
            below = links if len(links) > 1 else ()
    return Navigation(tuple(sections), current, below)


def frame(request: HttpRequest) -> dict[str, object]:
    """Context processor: who looks (`member`) and where they may go (`navigation`)."""
    member = getattr(request, "member", None)
    if member is None:
        return {}
    return {"member": member, "navigation": navigation_for(member, request.path)}


def _resolved(page: Page, member: Member) -> tuple[str, str] | None:
    if page.needs is not None and page.needs not in member.abilities:
        return None
    try:
        return page.label, reverse(page.url_name)
    except NoReverseMatch:
        return None


def _holds(address: str, path: str) -> bool:
    return path == address or (address != "/" and path.startswith(f"{address}/"))
