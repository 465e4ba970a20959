"""A month of two agencies for a first look: sandbox calls, made by the real work, dated back.

Everything belongs to reps of its own, so it can be told apart and is erased with them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from calls.erasure.requests import RepNotFound, rep_erase
from calls.models import Call
from calls.sandbox.services import NotATestKey, SandboxWish, sandbox_call_add
from calls.selectors import drill_find
from calls.services.tokens import DrillNotFound
from tenants.auth import Caller
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey, Rep
from work.bell import ring

DRILL = "ma-full-sale"
AGENCIES = {"demo-harbor": "Harbor Benefits", "demo-summit": "Summit Senior Health"}
_SCRIPTS = {"p": "poor", "m": "medium", "g": "good", "s": "silent"}


@dataclass(frozen=True, slots=True)
class Practising:
    """A made-up rep: one letter a call, the oldest first, the last one `last` days ago."""

    external_id: str
    name: str
    agency: str
    calls: str
    last: int
    every: int  # days between two calls

    def times(self, today: datetime) -> Iterator[tuple[str, datetime]]:
        """Of each call its script and its end, in office hours."""
        for place, letter in enumerate(self.calls):
            back = self.last + self.every * (len(self.calls) - 1 - place)
            hour = 9 + (place * 3 + self.last) % 8
            day = (today - timedelta(days=back)).date()
            yield _SCRIPTS[letter], datetime.combine(day, time(hour, 17), UTC)


PEOPLE = (
    Practising("demo-rep-1", "Maya Lindqvist", "demo-harbor", "ppmmgg", 1, 4),  # gets better
    Practising("demo-rep-2", "Tom Okafor", "demo-harbor", "ggggg", 2, 5),  # steady
    Practising("demo-rep-3", "Ines Castellano", "demo-harbor", "gggppp", 1, 3),  # falls
    Practising("demo-rep-4", "Priya Raman", "demo-harbor", "pm", 3, 2),  # new
    Practising("demo-rep-5", "Walter Brandt", "demo-summit", "mmmmm", 17, 2),  # stopped
    Practising("demo-rep-6", "Grace Mbeki", "demo-summit", "mmmg", 1, 6),
    Practising("demo-rep-7", "Luis Ferreira", "demo-summit", "sp", 4, 1),  # microphone trouble
)


def demo_month_create(*, caller: Caller, now: datetime) -> int:
    """Have the month made by a test key; the number of calls, none where it is there already.

    Raises NotATestKey and DrillNotFound. The calls wait for the worker, oldest first.
    """
    if caller.mode != ApiKey.Mode.TEST:
        raise NotATestKey
    tenant = caller.tenant
    with tenant_scope(tenant.pk):
        drill = drill_find(tenant=tenant, key=DRILL)
        if drill is None:
            raise DrillNotFound
        mine = [person.external_id for person in PEOPLE]
        if Call.objects.for_tenant(tenant).filter(external_user_id__in=mine).exists():
            return 0
        _people_create(caller)
        planned = [
            (ended_at, script, person)
            for person in PEOPLE
            for script, ended_at in person.times(now - timedelta(days=1))
        ]
        for ended_at, script, person in sorted(planned, key=lambda each: each[0]):
            wish = _wish(person, script)
            sandbox_call_add(tenant=tenant, drill=drill, wish=wish, happened_at=ended_at)
        ring("sandbox")
    return len(planned)


def demo_month_remove(*, caller: Caller) -> int:
    """Have all of it erased with the made-up reps; how many of them there were."""
    if caller.mode != ApiKey.Mode.TEST:
        raise NotATestKey
    with tenant_scope(caller.tenant.pk):  # a test key takes no rep that has a name
        ours = Rep.objects.for_tenant(caller.tenant).filter(sandbox_only=True)
        ours.filter(external_id__in=[person.external_id for person in PEOPLE]).update(name="")
    found = 0
    for person in PEOPLE:
        try:
            rep_erase(caller=caller, external_user_id=person.external_id)
        except RepNotFound:
            continue
        found += 1
    return found


def _people_create(caller: Caller) -> None:
    owner = {"tenant": caller.tenant}
    agencies = {
        external_id: Agency.objects.get_or_create(
            **owner, external_id=external_id, defaults={"name": name}
        )[0]
        for external_id, name in AGENCIES.items()
    }
    for person in PEOPLE:
        Rep.objects.get_or_create(
            **owner,
            external_id=person.external_id,
            defaults={
                "name": person.name,
                "agency": agencies[person.agency],
                "sandbox_only": True,
            },
        )


def _wish(person: Practising, script: str) -> SandboxWish:
    return SandboxWish(
        drill_key=DRILL,
        difficulty=Call.Difficulty.ADVANCED,
        external_user_id=person.external_id,
        external_agency_id=person.agency,
        script=script,
        rep_lines=(),
        webhook="normal",
        webhook_delay=0,
    )
