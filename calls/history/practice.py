"""What a rep may know of a drill before the call: the task, the persona, what will be scored."""

import re
import uuid
from dataclasses import dataclass

from calls.selectors import drill_find
from scoring.selectors import rubric_latest
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Tenant

_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the rubric and the titles of its checks."""

    title: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Practice:
    title: str
    goal: str
    briefing: str
    persona_name: str
    persona_age: int | None
    sections: tuple[Section, ...]

    @property
    def initials(self) -> str:
        """Of the persona: at most two letters."""
        return "".join(word[0] for word in self.persona_name.split()[:2]).upper()


def practice_find(*, drill_key: str, tenant_id: uuid.UUID | None) -> Practice | None:
    """The drill that redeeming would choose; without a tenant only the shipped ones are known."""
    if not _KEY.fullmatch(drill_key):
        return None
    owner = tenant_id or CATALOGUE
    with tenant_scope(owner):
        drill = drill_find(tenant=Tenant(id=owner), key=drill_key)
        if drill is None:
            return None
        rubric = rubric_latest(tenant_id=owner, key=drill_key)
        sections = _sections(rubric.content) if rubric else ()
    pack = drill.pack
    return Practice(
        title=drill.title,
        goal=str(pack.get("goal", "")).strip(),
        briefing=str(pack.get("briefing", "")).strip(),
        persona_name=pack["persona"]["name"],
        persona_age=pack["persona"].get("age"),
        sections=sections,
    )


def _sections(content: dict[str, list[dict[str, object]]]) -> tuple[Section, ...]:
    return tuple(
        Section(str(section["title"]), tuple(str(check["title"]) for check in _checks(section)))
        for section in content.get("sections", [])
    )


def _checks(section: dict[str, object]) -> list[dict[str, object]]:
    checks = section.get("checks")
    return checks if isinstance(checks, list) else []
