"""Which words of the navigation a member sees, and the choice between live and sandbox."""

import uuid

from tenants.members import Member
from tenants.navigation import SECTIONS, Page, Section, navigation_for
from tenants.selectors import MembershipSummary


def member(role, agencies=()):
    membership = MembershipSummary(uuid.uuid4(), uuid.uuid4(), "Acme", "active", role, agencies)
    return Member(uuid.uuid4(), "kim@example.com", membership, (membership,))


def words(links):
    return [link.label for link in links]


def test_a_page_without_an_address_is_not_shown(monkeypatch):
    pages = (Section("Future", (Page("Future", "no-such-page"),)), *SECTIONS[:2])
    monkeypatch.setattr("tenants.navigation.SECTIONS", pages)
    assert words(navigation_for(member("owner"), "/").sections) == ["Home", "Calls"]


def test_an_analyst_is_not_shown_what_needs_an_ability():
    seen = navigation_for(member("analyst"), "/developers/embedding")
    assert "Webhooks" not in words(seen.below)
    assert "Webhooks" in words(navigation_for(member("developer"), "/developers/embedding").below)
    limited = navigation_for(member("owner", (uuid.uuid4(),)), "/developers/embedding")
    assert "Webhooks" not in words(limited.below)


def test_a_page_below_an_address_is_the_same_place():
    seen = navigation_for(member("developer"), "/webhooks/ep_x")
    assert [link.label for link in seen.sections if link.is_current] == ["Developers"]
    assert [link.label for link in seen.below if link.is_current] == ["Webhooks"]
    assert seen.section == "Developers"
    assert not any(link.is_current for link in navigation_for(member("owner"), "/x").sections)


def test_no_name_stands_in_two_places():
    names = [page.url_name for section in SECTIONS for page in section.pages]
    assert len(names) == len(set(names))
