"""Two tenants alike, full of canaries, and everybody who may come to the door.

All that belongs to a tenant carries a canary that names the tenant and the part of it: what every
key of the tenant may see (`all`), an agency (`one`, `two`), no agency (`none`), the sandbox
(`test`). A canary in an answer therefore says whose data it was.
"""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core import mail
from django.db import connections, models
from django.utils import timezone

from calls.assignments.giving import Wish, assignment_create
from calls.assignments.reminding import stop_link
from calls.history.recording_links import recording_link_make
from calls.models import (
    Assignment,
    Call,
    CallLedger,
    Comment,
    Dispute,
    ErasedCall,
    Erasure,
    HeardChunk,
    LiveSlot,
    LiveWorker,
    PracticeCheck,
    PracticeDay,
    PracticeTotal,
    RecordingPart,
    RepStanding,
    Rescoring,
    SandboxCall,
    Turn,
)
from calls.services.embedding import site_key_make
from calls.services.providers import provider_set
from calls.services.tickets import ticket_sign
from calls.services.tokens import session_mint
from calls.tests.making import make_drill, make_worker
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from scoring.models import Override, Rubric, Scorecard, Verdict
from scoring.overrides import Seen, verdict_override
from scoring.ports import Answer
from tenants.auth import caller_find
from tenants.branding import BrandingChange, branding_update, consent_text_publish
from tenants.invitations import invitation_create
from tenants.isolation import TABLES_WITHOUT_TENANT, tenant_scope
from tenants.models import (
    Agency,
    ApiKey,
    IdempotentAnswer,
    Membership,
    Rep,
    Tenant,
    TenantRow,
    User,
)
from tenants.request_log import Answered, Owner, requests_write
from tenants.services import ALL_SCOPES, api_key_create, audit, tenant_create
from tenants.single_sign_on import ProviderWish, single_sign_on_set
from tenants.tests.signing import signed_in
from webhooks.models import Attempt, Delivery, EndpointNotice
from webhooks.services import RehearsalPlan, endpoint_create, event_publish

# Columns that hold no text of a tenant's own: made by us, checked by a constraint, or a list of
# addresses. A new text column is filled with canaries unless it is named here.
NOT_FILLED = {
    *("public_id", "session_id", "digest", "subject_digest", "pepper_id", "hint", "mode"),
    *("scopes", "allowed_ips", "event_types", "source", "type", "stage", "last_error", "error"),
    *("last_failure", "sealed_secret", "sealed_previous_secret", "sealed_subject", "sealed_key"),
    *("signature", "kind"),
    *("status", "role", "disabled_reason", "answer", "section", "check_key", "format", "file"),
    *("external_id", "external_user_id", "external_agency_id", "drill_key", "difficulty"),
    *("judge_name", "judge_version", "judge_model", "action", "body", "actor", "target", "state"),
    *("rehearsal", "subject", "failure", "end_reason", "color", "consent_version"),
    *("call_id", "event_type", "body_digest", "sealed_answer"),
    *("created_by", "reminder"),
    *("issuer", "address", "client_id", "certificate", "sealed_secret", "invited_by"),
}
PARTS = ("one", "two", "none", "test")


@dataclass
class Side:
    """One tenant, and what its people and programs hold."""

    name: str
    run: str  # random, the same for both
    tenant: Tenant
    manager: User
    keys: dict[str, str] = field(default_factory=dict)  # texts
    key_rows: dict[str, ApiKey] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)  # by part
    open_call: Call | None = None
    spare_assignment: str = ""  # of nobody: its internal id
    # what goes into paths, queries and bodies: kind -> part -> value
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def canary(self, part: str = "all") -> str:
        return f"canary{self.run}{self.name}{part}"

    def put(self, kind: str, part: str, value: object) -> None:
        self.ids.setdefault(kind, {})[part] = str(value)


@dataclass
class World:
    a: Side
    b: Side
    run: str
    suspended_key: str
    loner: User
    limited_manager: User
    sessions: dict[str, str] = field(default_factory=dict)  # cookies by identity
    internal_ids: dict[str, set[str]] = field(default_factory=dict)  # by side


def world_make() -> World:
    """Both tenants, committed."""
    run = uuid.uuid4().hex[:8]
    make_drill()
    worker = make_worker(slots=8)
    LiveWorker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now() + timedelta(days=1))
    a, b = (_side(name, run) for name in "ab")
    for side in (a, b):
        for kind in side.ids:  # whatever one has, the other must have
            assert kind in a.ids and kind in b.ids, kind
    away = tenant_create(name="away", owner=_user("away"))
    _, suspended_key = api_key_create(tenant=away, name="key", scopes=ALL_SCOPES)
    with tenant_scope(away.pk):
        Tenant.objects.filter(pk=away.pk).update(status=Tenant.Status.SUSPENDED)
    world = World(a, b, run, suspended_key, _user("loner"), _user("limited"))
    with tenant_scope(a.tenant.pk):
        agency = Agency.objects.get(external_id=a.canary("one"))
        Membership.objects.create(
            tenant=a.tenant, user=world.limited_manager, role="manager", agencies=[agency.pk]
        )
    people = {"a": a.manager, "b": b.manager, "loner": world.loner}
    for name, user in (people | {"limited": world.limited_manager}).items():
        world.sessions[name] = signed_in(user).cookies["sessionid"].value
    for side in (a, b):
        fill_with_canaries(side)
        world.internal_ids[side.name] = set(_internal_ids(side))
    return world


def _user(name: str) -> User:
    return User.objects.create(email=f"{name}-{uuid.uuid4().hex}@example.com")


def _side(name: str, run: str) -> Side:
    manager = _user(name)
    tenant = tenant_create(name=f"canary{run}{name}all", owner=manager)
    side = Side(name, run, tenant, manager)
    with tenant_scope(tenant.pk):
        Tenant.objects.filter(pk=tenant.pk).update(
            browser_origins=[f"https://{side.canary()}.example"]
        )
        side.put("membership", "all", Membership.objects.get(user=manager).pk)
        agencies = {
            part: Agency.objects.create(tenant=tenant, external_id=side.canary(part))
            for part in ("one", "two")
        }
    _keys(side, agencies["one"])
    for part in PARTS:
        side.calls[part] = _call(side, part)
    _webhooks(side)
    _open_call(side)
    for part, agency in agencies.items():
        side.put("externalAgencyId", part, agency.external_id)
    for part, call in side.calls.items():
        side.put("externalUserId", part, call.external_user_id)
        _erasure(side, part, call)
    _assignments(side)
    for part, agency in agencies.items():
        side.put("agency", part, agency.public_id)
    _sandbox_call(side)
    for part in agencies:
        token_of(side, part)
    side.put("site", "all", site_key_make(tenant_id=tenant.pk))
    _own_catalogue(side)
    with tenant_scope(tenant.pk):
        audit(tenant_id=tenant.pk, actor="user:x", action="x", target="x", details={"x": "x"})
    _request(side)
    _people(side)
    branding_update(tenant=tenant, change=BrandingChange(color="#1f6feb"))
    consent_text_publish(tenant=tenant, text=side.canary())
    return side


def _request(side: Side) -> None:
    """One row of the request log."""
    request_id = uuid.uuid4()
    requests_write(
        [
            Answered(
                request_id=request_id,
                owner=Owner(side.tenant.pk, side.key_rows["live"].pk),
                at=timezone.now(),
                method="GET",
                route="",
                query="",
                status=404,
                code="",
                field="",
                subject="",
                duration_ms=1,
            )
        ]
    )
    side.put("request", "all", f"req_{request_id}")


def _keys(side: Side, agency: Agency) -> None:
    wishes: dict[str, dict[str, Any]] = {
        "live": {"scopes": ALL_SCOPES},
        "test": {"scopes": ALL_SCOPES, "mode": "test"},
        "limited": {"scopes": ALL_SCOPES, "agencies": [agency.pk]},
        "bare": {"scopes": ()},
        "revoked": {"scopes": ALL_SCOPES},
        "expired": {"scopes": ALL_SCOPES},
    }
    for name, wish in wishes.items():
        row, text = api_key_create(tenant=side.tenant, name=side.canary(), **wish)
        side.key_rows[name], side.keys[name] = row, text
        if name in {"revoked", "expired"}:
            past = timezone.now() - timedelta(hours=1)
            column = "revoked_at" if name == "revoked" else "expires_at"
            with tenant_scope(side.tenant.pk):
                ApiKey.objects.filter(pk=row.pk).update(**{column: past})
    for part, name in (("all", "bare"), ("one", "limited"), ("test", "test")):
        side.put("key", part, side.key_rows[name].public_id)


def _call(side: Side, part: str) -> Call:
    tenant, mark = side.tenant, side.canary(part)
    agency = mark if part in {"one", "two"} else None
    call = make_call(
        tenant,
        user=f"{mark}-rep",
        agency=agency,
        persona_name=mark,
        mode="test" if part == "test" else "live",
        consent_source=Call.ConsentSource.INTEGRATOR,
        consent_version=mark,
        consented_at=timezone.now(),
    )
    add_transcript(call, [("assistant", mark), ("user", f"{mark} said")])
    add_recording(call, mark.encode() * 100)
    card = add_scorecard(call)
    own = {"tenant_id": tenant.pk, "call": call}
    with tenant_scope(tenant.pk):
        Turn.objects.create(
            **own, number=0, role="user", text=mark, start_time=0, end_time=1, epoch=1
        )
        RecordingPart.objects.create(
            **own, channel="rep", epoch=1, number=0, offset=0, duration=5, file="x.ogg", size=1
        )
        CallLedger.objects.create(**own, answers_ms=[700], rep_turns=1)
        Comment.objects.create(**own, line_number=0, text=mark, author_id=uuid.uuid4())
        Dispute.objects.create(
            **own,
            scorecard_version=1,
            check_key="doctors",
            text=mark,
            reply=mark,
            replied_at=timezone.now(),
        )
        Rescoring.objects.create(
            **own, actor="system", requested_at=timezone.now(), outcome=Rescoring.Outcome.SCORED
        )
        verdict_override(
            tenant_id=tenant.pk,
            call_id=call.pk,
            check_key="doctors",
            answer=Answer.YES,
            reason=mark,
            seen=Seen(card.version, 0),
            actor="system",
        )
        HeardChunk.objects.create(
            **own, number=0, start=0, end=1, rep_words=[{"w": mark, "s": 0, "e": 1, "p": 1}]
        )
        _counted(call)
    side.put("call", part, call.public_id)
    link = recording_link_make(tenant_id=tenant.pk, call_id=call.pk)
    side.put("sealed", part, link.url.rpartition("/")[2])
    return call


def _counted(call: Call) -> None:
    """The sums of the call's day, as the work `practice` leaves them."""
    row = {"tenant_id": call.tenant_id, "mode": call.mode, "agency_id": call.agency_id}
    drill = {"day": timezone.now().date(), "drill_key": call.drill_key}
    day = PracticeDay.objects.create(**row, **drill, calls=5, seconds=300, scored=5, score_sum=250)
    PracticeCheck.objects.create(
        **row, **drill, practice_day=day, check_key="x", title="x", asked=5, met=0, partly=0
    )
    whole = {"tenant_id": call.tenant_id, "mode": call.mode, **drill, "check_key": "x"}
    PracticeTotal.objects.get_or_create(**whole, defaults={"asked": 5, "met": 0, "partly": 0})
    RepStanding.objects.create(
        **row, rep_id=call.rep_id, last_at=timezone.now(), scores=[9] * 8, lately=9, before=90
    )


def _assignments(side: Side) -> None:
    """Of each part one, for its rep."""
    for part in ("one", "two", "none"):
        with tenant_scope(side.tenant.pk):
            rep = Rep.objects.get(pk=side.calls[part].rep_id)
        wish = Wish(
            form_id=uuid.uuid4(),
            drill_key="ma-full-sale",
            due_on=timezone.now().date() + timedelta(days=3),
            pass_mark=70,
            reps=[rep.public_id],
            note=side.canary(part),
        )
        made = assignment_create(
            tenant_id=side.tenant.pk, agencies=(), wish=wish, actor=f"user:{side.manager.pk}"
        )
        with tenant_scope(side.tenant.pk):
            spare = Assignment(
                tenant=side.tenant,
                form_id=uuid.uuid4(),
                drill_key=made.drill_key,
                due_on=made.due_on,
                pass_mark=70,
                created_by="system",
            )
            spare.save()
        side.spare_assignment = str(spare.pk)
        side.put("rep", part, rep.public_id)
        side.put("assignment", part, made.public_id)
        side.put("stop", part, stop_link(rep).rpartition("/")[2])


def _webhooks(side: Side) -> None:
    """Endpoints, and of each call an event with a delivery that was tried."""
    for part, mode in (("all", "live"), ("test", "test")):
        url = f"https://{side.canary(part)}.example.com/hook"
        endpoint, secret = endpoint_create(tenant=side.tenant, url=url, mode=mode)
        side.put("endpoint", part, endpoint.public_id)
        with tenant_scope(side.tenant.pk):
            EndpointNotice.objects.create(
                tenant=side.tenant, endpoint=endpoint, subject="disabled", sent_at=timezone.now()
            )
        side.keys[f"webhook {mode}"] = secret
    with tenant_scope(side.tenant.pk):
        digest = hashlib.sha256(side.canary().encode()).hexdigest()
        IdempotentAnswer.objects.create(tenant=side.tenant, digest=digest, body_digest=digest)
    for part, call in side.calls.items():
        event_publish(
            tenant_id=side.tenant.pk,
            type="call.scored",
            subject_id=call.pk,
            body={
                "success": True,
                "callId": call.public_id,
                "source": "roleplay",
                "externalUserId": side.canary(part),
                "externalAgencyId": None,
            },
            test=RehearsalPlan() if part == "test" else None,
        )
        with tenant_scope(side.tenant.pk):
            delivery = Delivery.objects.get(event__subject_id=call.pk)
            Attempt.objects.create(
                tenant_id=side.tenant.pk,
                delivery=delivery,
                number=1,
                started_at=timezone.now(),
                total_ms=1,
                response_body=side.canary(part),
            )
            side.put("event", part, delivery.event.public_id)
            side.put("delivery", part, delivery.pk)


def _sandbox_call(side: Side) -> None:
    with tenant_scope(side.tenant.pk):
        SandboxCall.objects.create(
            tenant=side.tenant, call=side.calls["test"], rep_lines=[side.canary("test")]
        )


def _erasure(side: Side, part: str, call: Call) -> None:
    """One under way, of nothing that is there, and what another left."""
    agencies = [call.agency_id] if call.agency_id else []
    with tenant_scope(side.tenant.pk):
        erasure = Erasure.objects.create(
            tenant=side.tenant,
            subject=Erasure.Subject.CALL,
            subject_digest=uuid.uuid4().hex * 2,
            mode=call.mode,
            agencies=agencies,
            actor="system",
            due_at=timezone.now(),
        )
        ErasedCall.objects.create(
            tenant=side.tenant,
            erasure=erasure,
            call_id=uuid.uuid4(),
            mode=call.mode,
            files=[side.canary(part)],
            settles_at=timezone.now(),
        )
    side.put("erasure", part, erasure.public_id)


def _open_call(side: Side) -> None:
    """A call that waits for its rep: the ticket is good for joining it and for following it."""
    call = make_call(
        side.tenant,
        user=f"{side.canary('one')}-rep",
        agency=side.canary("one"),
        persona_name=side.canary("one"),
        stage=Call.Stage.CREATED,
        started_at=None,
        ended_at=None,
        scored_at=None,
    )
    slot = LiveSlot.objects.filter(call_id=None).order_by("pk").first()
    LiveSlot.objects.filter(pk=slot.pk).update(
        call_id=call.pk, tenant_id=side.tenant.pk, lease_until=timezone.now() + timedelta(hours=1)
    )
    side.open_call = call
    for kind, of in (("ticket", side.calls["one"]), ("join_ticket", call)):
        ticket = ticket_sign(call_id=of.pk, tenant_id=side.tenant.pk, public_id=of.public_id)
        side.put(kind, "one", ticket)


def token_of(side: Side, part: str = "one") -> str:
    """A session token, good for five minutes."""
    minted = session_mint(
        caller=caller_find(side.keys["live"], None),
        external_user_id=f"{side.canary(part)}-rep",
        external_agency_id=side.canary(part),
    )
    return minted.token


def _people(side: Side) -> None:
    """An invitation that waits, and an identity provider where nobody answers."""
    wish = ProviderWish("oidc", f"https://{side.canary()}.internal", "client", "secret")
    side.put("provider", "all", single_sign_on_set(tenant_id=side.tenant.pk, wish=wish).public_id)
    invitation_create(
        tenant_id=side.tenant.pk, email=f"{side.canary()}@example.com", role="analyst"
    )
    link = mail.outbox[-1].body.partition("/invitation/")[2].split()[0]
    side.put("invitation", "all", link)
    side.put("tenant", "all", side.tenant.pk)
    side.put("passkey", "all", uuid.uuid4().int % 10**9)


def _own_catalogue(side: Side) -> None:
    """A drill and a rubric of the tenant's own."""
    make_drill(f"own-{side.canary()}", owner=side.tenant.pk, goal=side.canary())
    side.put("drill", "all", f"own-{side.canary()}")
    url = f"https://{side.canary()}.example.com/v1"
    voices = {"*": side.canary()}
    provider_set(tenant_id=side.tenant.pk, kind="chat", url=url, model=side.canary(), voices=voices)
    with tenant_scope(side.tenant.pk):
        Rubric.objects.create(
            tenant=side.tenant,
            key=f"own-{side.canary()}",
            version=1,
            digest="d" * 64,
            title=side.canary(),
            content={"sections": []},
        )


# --- canaries ------------------------------------------------------------------------------------


def tenant_models() -> list[type[TenantRow]]:
    return [m for m in apps.get_models() if m._meta.db_table not in TABLES_WITHOUT_TENANT]


def text_columns(model: type[models.Model]) -> Iterator[models.Field]:
    """The columns that a tenant's own words may stand in."""
    for column in model._meta.local_fields:
        if isinstance(column, models.CharField | models.TextField) and not column.choices:
            yield column


def fill_with_canaries(side: Side) -> None:
    """Every text column that was left empty or says something tame, as the owner of the tables.

    The part of a row is taken from what hangs together with it: the call's canary goes to all
    that belongs to the call.
    """
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_id', %s, false)", [str(side.tenant.pk)])
        for model in tenant_models():
            table = model._meta.db_table
            for column in text_columns(model):
                if column.name in NOT_FILLED or (table, column.name) in _KEPT:
                    continue
                longest = column.max_length or 200
                cursor.execute(
                    f"UPDATE {table} SET {column.column} = left(%s, {longest})"
                    f" WHERE strpos({column.column}, 'canary') = 0",
                    [side.canary(_part_of_table(table))],
                )
        for part, call in side.calls.items():
            for model, path in _OF_A_CALL:
                for column in text_columns(model):
                    if column.name in NOT_FILLED:
                        continue
                    cursor.execute(
                        f"UPDATE {model._meta.db_table} SET {column.column} = %s WHERE {path}",
                        [side.canary(part), str(call.pk)],
                    )
        cursor.execute("SELECT set_config('app.tenant_id', '', false)")
    connections["owner"].close()


_KEPT = {
    ("calls_drill", "key"),
    ("scoring_rubric", "key"),
    ("webhooks_endpoint", "url"),
}
_DAYS = """
    SELECT days.id FROM calls_practiceday AS days JOIN calls_call AS held
    ON held.mode = days.mode AND held.agency_id IS NOT DISTINCT FROM days.agency_id
    WHERE held.id = %s
"""
_OF_A_CALL = [
    (Call, "id = %s"),
    (Turn, "call_id = %s"),
    (Comment, "call_id = %s"),
    (Dispute, "call_id = %s"),
    (Scorecard, "call_id = %s"),
    (Verdict, "scorecard_id IN (SELECT id FROM scoring_scorecard WHERE call_id = %s)"),
    (Override, "scorecard_id IN (SELECT id FROM scoring_scorecard WHERE call_id = %s)"),
    (PracticeDay, f"id IN ({_DAYS})"),
    (PracticeCheck, f"practice_day_id IN ({_DAYS})"),
    (Rep, "id IN (SELECT rep_id FROM calls_call WHERE id = %s)"),
    (
        Assignment,
        "id IN (SELECT assignment_id FROM calls_assignee WHERE rep_id"
        " IN (SELECT rep_id FROM calls_call WHERE id = %s))",
    ),
]


def _part_of_table(table: str) -> str:
    return "all" if table.startswith("tenants_") or table.endswith("endpoint") else "none"


def _internal_ids(side: Side) -> Iterator[str]:
    """The primary keys of all rows of the tenant. None of them may leave."""
    with tenant_scope(side.tenant.pk):
        for model in tenant_models():
            rows = model.objects.filter(**{_tenant_column(model): side.tenant.pk})
            for row_id in rows.values_list("pk", flat=True):
                yield from (str(row_id), row_id.hex)


def _tenant_column(model: type[models.Model]) -> str:
    return "pk" if model is Tenant else "tenant_id"


@dataclass(frozen=True)
class Forbidden:
    """Texts that must not stand in an answer. One after the other: a pattern of them is slow."""

    texts: list[bytes]

    def found_in(self, answer: bytes) -> bytes | None:
        return next((text for text in self.texts if text in answer), None)


def forbidden(world: World, identity_side: str | None, parts: set[str]) -> "Forbidden":
    """What must not stand in an answer to somebody of this side who may see these parts."""
    texts: list[str] = []
    for side in (world.a, world.b):
        if side.name != identity_side:
            texts.append(f"canary{world.run}{side.name}")
            texts += [v for k, of in side.ids.items() if k != "drill" for v in of.values()]
            texts += side.keys.values()
        else:
            texts += [side.canary(part) for part in {*PARTS} - parts]
            texts += [call.public_id for part, call in side.calls.items() if part not in parts]
        request = uuid.UUID(side.ids["request"]["all"].removeprefix("req_"))
        outside = {side.ids["membership"]["all"], str(request), request.hex}
        texts += world.internal_ids[side.name] - outside
    return Forbidden([text.encode() for text in sorted(set(texts))])
