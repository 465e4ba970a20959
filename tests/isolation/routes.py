"""Every address of the product and who may do what there. A route that is missing here fails.

One line a route: the methods it has, each with its door. What stands in a path is taken from
`World.ids` by the parameter's name (`PARAMETERS`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tests.isolation.identities import (
    ANYBODY,
    KEY,
    MEMBER,
    SIGNED_IN,
    STAFF,
    TEST_KEY,
    TICKET,
    TOKEN,
    WHOLE_KEY,
    WHOLE_LIVE_KEY,
    WHOLE_MEMBER,
    Door,
)
from tests.isolation.world import Side

Values = Callable[[Side, str], dict[str, Any]]  # of a side and a part of it


def _none(side: Side, part: str) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Act:
    """One method of a route. `ok`: what those get whom the door lets in, for what is theirs.

    `query` and `body` are filled for the asker; `probes` are further queries, `body_probes` bodies,
    with a stranger's value in them: the answer must be that to a value that does not exist.
    """

    door: Door
    ok: tuple[int, ...] = (200,)
    query: Values = _none
    body: Values | None = None
    probes: Values | None = None
    form: bool = False
    strangers: bool = True  # False: what stands in the path is itself the right, or is public


Route = dict[str, Act]
V1 = "/api/external/v1"
# name in the path -> kind in World.ids, and a value of that form that does not exist
PARAMETERS: dict[str, tuple[str, str]] = {
    "call_id": ("call", "athos_call_" + "x" * 21),
    "sealed": ("sealed", "gAAAA" + "x" * 120),
    "key_id": ("key", "key_" + "x" * 21),
    "endpoint_id": ("endpoint", "ep_" + "x" * 21),
    "webhook_id": ("event", "wh_00000000-0000-4000-8000-000000000000"),
    "request_id": ("request", "req_00000000-0000-4000-8000-000000000000"),
    "erasure_id": ("erasure", "era_" + "x" * 21),
    "rep_id": ("rep", "rep_" + "x" * 21),
    "agency_id": ("agency", "agency_" + "x" * 21),
    "stop": ("stop", "gAAAA" + "x" * 120),
    "assignment_id": ("assignment", "asg_" + "x" * 21),
    "external_user_id": ("externalUserId", "nobody-of-that-name"),
    "provider": ("provider", "sso_" + "x" * 21),
    "provider_id": ("provider", "sso_" + "x" * 21),
    "organization_slug": ("provider", "sso_" + "x" * 21),
    "secret": ("invitation", "x" * 43),
    "pk": ("passkey", "1"),
    "tenant_id": ("tenant", "00000000-0000-4000-8000-000000000000"),
}
# kinds of which a tenant's parts have their own, that those who see other parts must not find
_ALL_PARTS = {"one", "two", "none", "test"}
APART = {
    "call": _ALL_PARTS,
    "event": {"one", "test"},  # or: of the other mode; keys limited to agencies see none at all
    "erasure": _ALL_PARTS,
    "externalUserId": {"one", "two", "none"},  # a rep is the same in both modes
    "rep": {"one", "two", "none"},
    "agency": {"one", "two"},
    "assignment": {"one", "two", "none"},
}
# addresses that are regular expressions: one that matches
PATTERNS = {
    r"/^docs/(?P<path>[\w./-]{0,200})$": "/docs/nothing.html",
    r"/^sign-in/password/(?P<uidb36>[0-9a-zA-Z]{1,40})-(?P<key>[0-9a-zA-Z-]{1,100})$": (
        "/sign-in/password/1-x"
    ),
}


def _get(door: Door, **more: Any) -> Route:
    return {"GET": Act(door, **more), "HEAD": Act(door, **more)}


def _post(door: Door, ok: tuple[int, ...] = (200,), **more: Any) -> Route:
    return {"POST": Act(door, ok=ok, form=True, body=lambda s, p: {}, **more)}


def _form(door: Door, ok: tuple[int, ...] = (200,), **more: Any) -> Route:
    """A page whose form is answered by itself."""
    return _get(door, ok=ok, **more) | _post(door, ok=ok, **more)


_RESET = r"/^sign-in/password/(?P<uidb36>[0-9a-zA-Z]{1,40})-(?P<key>[0-9a-zA-Z-]{1,100})$"
ENDPOINT = V1 + "/webhook-endpoints/<str:endpoint_id>"
EVENT = V1 + "/webhook-events/<str:webhook_id>"
DELIVERIES = V1 + "/webhook-deliveries"
REDIRECTED = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ROUTES: dict[str, Route] = {
    "/healthz": _get(ANYBODY),
    "/readyz": _get(ANYBODY, ok=(200, 503)),
    "/sdk/<str:name>": _get(ANYBODY, ok=(404,), strangers=False),
    "/sdk/integrity.json": _get(ANYBODY, strangers=False),
    "/sdk/webhooks/integrity.json": _get(ANYBODY, strangers=False),
    "/sdk/webhooks/<str:name>": _get(ANYBODY, ok=(404,), strangers=False),
    V1 + "/session": {
        "POST": Act(KEY, body=lambda s, p: {"externalUserId": "rep", **_agency(s, p)})
    },
    V1 + "/roleplay/session": {
        "POST": Act(TOKEN, body=lambda s, p: {"drillKey": "ma-full-sale"}),
        "OPTIONS": Act(ANYBODY, ok=(204,)),
    },
    V1 + "/keys": _get(KEY) | {"POST": Act(KEY, ok=(201,), body=lambda s, p: {"name": "new"})},
    V1 + "/keys/<str:key_id>/revoke": {"POST": Act(KEY)},
    V1 + "/keys/<str:key_id>/rotate": {"POST": Act(KEY, ok=(201,))},
    V1 + "/openapi.yaml": _get(ANYBODY),
    V1 + "/openapi.json": _get(ANYBODY),
    "/reference": _get(ANYBODY),
    "/docs": {method: Act(ANYBODY, ok=(301,)) for method in REDIRECTED},
    r"/^docs/(?P<path>[\w./-]{0,200})$": _get(ANYBODY, ok=(404,)),
    V1 + "/calls": _get(KEY, query=lambda s, p: {"from": "2020-01-01"}),
    V1 + "/calls/<str:call_id>": _get(KEY) | {"DELETE": Act(KEY, ok=(202,))},
    V1 + "/calls/<str:call_id>/status": _get(KEY),
    V1 + "/sandbox/calls": {
        "POST": Act(
            TEST_KEY,
            ok=(202,),
            body=lambda s, p: {"externalUserId": "rep", "drillKey": "ma-full-sale"},
        )
    },
    V1 + "/reps/<path:external_user_id>": {"DELETE": Act(KEY, ok=(202,))},
    V1 + "/erasures/<str:erasure_id>": _get(KEY),
    V1 + "/retention": _get(WHOLE_KEY)
    | {"PATCH": Act(WHOLE_LIVE_KEY, body=lambda s, p: {"audioDays": 30})},
    V1 + "/usage": _get(KEY, query=lambda s, p: {"by": "agency"}),
    V1 + "/webhook-endpoints": _get(WHOLE_KEY)
    | {"POST": Act(WHOLE_KEY, ok=(201,), body=lambda s, p: {"url": "https://new.example.com/"})},
    ENDPOINT: _get(WHOLE_KEY)
    | {
        "PATCH": Act(WHOLE_KEY, body=lambda s, p: {"description": "new"}),
        "DELETE": Act(WHOLE_KEY, ok=(204,)),
    },
    ENDPOINT + "/rotate-secret": {"POST": Act(WHOLE_KEY)},
    ENDPOINT + "/test": {"POST": Act(WHOLE_KEY, ok=(202,))},
    ENDPOINT + "/replay": {
        "POST": Act(WHOLE_KEY, ok=(202,), body=lambda s, p: {"since": "2026-01-01T00:00:00Z"})
    },
    ENDPOINT + "/deliveries": _get(WHOLE_KEY),
    DELIVERIES: _get(WHOLE_KEY, probes=lambda s, p: {"webhookId": s.ids["event"][p]}),
    EVENT: _get(WHOLE_KEY),
    EVENT + "/replay": {"POST": Act(WHOLE_KEY, ok=(202,))},
    "/embed/roleplay": _get(ANYBODY, query=lambda s, p: {"drill": "ma-full-sale"}),
    "/embed/v1/assignments": _get(TOKEN),
    "/embed/v1/call": _get(TICKET),
    "/embed/v1/call/scorecard": _get(TICKET),
    "/embed/v1/call/dispute": {
        "POST": Act(
            TICKET,
            ok=(204, 409),
            body=lambda s, p: {"checkKey": "prescriptions", "text": "No."},
        )
    },
    "/embed/v1/call/consent": {
        "POST": Act(TICKET, ok=(204, 409), body=lambda s, p: {"version": "athos-1"})
    },
    "/media/v1/recordings/<str:sealed>": _get(ANYBODY, strangers=False),
    "/calls": _get(MEMBER),
    "/calls/export.csv": _get(MEMBER),
    "/calls/<str:call_id>": _get(MEMBER),
    "/embedding": _get(ANYBODY, ok=(302,)),
    "/calls/<str:call_id>/review": {
        "POST": Act(MEMBER, ok=(302,), form=True, body=lambda s, p: {"action": "rescore"})
    },
    "/calls/<str:call_id>/delete": {
        "POST": Act(MEMBER, ok=(302,), form=True, body=lambda s, p: {"confirm": "no"})
    },
    "/developers/keys": _get(WHOLE_MEMBER),
    "/developers/keys/add": {
        "POST": Act(
            WHOLE_MEMBER,
            form=True,
            body=lambda s, p: {"name": "new", "mode": "test", "scope": "calls:read"},
        )
    },
    "/developers/keys/addresses": {
        "POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})
    },
    "/developers/keys/<str:key_id>": _get(WHOLE_MEMBER),
    "/developers/keys/<str:key_id>/rotate": {
        "POST": Act(WHOLE_MEMBER, ok=(200, 302), form=True, body=lambda s, p: {})
    },
    "/developers/keys/<str:key_id>/revoke": {
        "POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})
    },
    "/developers/requests": _get(WHOLE_MEMBER),
    "/developers/requests/<str:request_id>": _get(WHOLE_MEMBER),
    "/reps": _get(MEMBER),
    "/reps/import": _get(MEMBER)
    | {"POST": Act(MEMBER, form=True, body=lambda s, p: {"text": "externalUserId\nnew"})},
    "/reps/import/template.csv": _get(MEMBER),
    "/reps/<str:rep_id>": _get(MEMBER),
    "/reps/<str:rep_id>/edit": {
        "POST": Act(MEMBER, ok=(409,), form=True, body=lambda s, p: {"name": "new"})
    },
    "/agencies": _get(MEMBER),
    "/agencies/<str:agency_id>": _get(MEMBER),
    "/agencies/<str:agency_id>/edit": {
        "POST": Act(MEMBER, ok=(302,), form=True, body=lambda s, p: {"name": "new"})
    },
    "/settings/practice": _get(WHOLE_MEMBER)
    | {"POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})},
    "/assignments": _get(MEMBER),
    "/assignments/add": _get(MEMBER)
    | {"POST": Act(MEMBER, ok=(302,), form=True, body=lambda s, p: _assigned(s, p))},
    "/assignments/<str:assignment_id>": _get(MEMBER),
    "/assignments/<str:assignment_id>/cancel": {
        "POST": Act(MEMBER, ok=(302,), form=True, body=lambda s, p: {})
    },
    "/reminders/stop/<str:stop>": _get(ANYBODY, strangers=False)
    | {"POST": Act(ANYBODY, form=True, body=lambda s, p: {}, strangers=False)},
    "/developers/quickstart": _get(WHOLE_MEMBER),
    "/developers/quickstart/steps": _get(WHOLE_MEMBER, ok=(200, 286)),
    "/developers/quickstart/key": {"POST": Act(WHOLE_MEMBER, form=True, body=lambda s, p: {})},
    "/developers/usage": _get(WHOLE_MEMBER),
    "/developers/usage.csv": _get(WHOLE_MEMBER),
    "/developers/embedding": _get(WHOLE_MEMBER),
    "/developers/embedding/add": {
        "POST": Act(
            WHOLE_MEMBER,
            ok=(302,),
            form=True,
            body=lambda s, p: {"origin": "https://n.example.com"},
        )
    },
    "/developers/embedding/remove": {
        "POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})
    },
    "/webhooks": _get(WHOLE_MEMBER),
    "/webhooks/deliveries": _get(WHOLE_MEMBER),
    "/webhooks/<str:endpoint_id>/rotate": {"POST": Act(WHOLE_MEMBER, ok=(200, 302), form=True)},
    "/webhooks/add": {
        "POST": Act(WHOLE_MEMBER, form=True, body=lambda s, p: {"url": "https://n.example.com/"})
    },
    "/webhooks/<str:endpoint_id>": _get(WHOLE_MEMBER),
    "/webhooks/<str:endpoint_id>/act": {
        "POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {"action": "test"})
    },
    "/webhooks/<str:endpoint_id>/<str:webhook_id>": _get(WHOLE_MEMBER),
    "/webhooks/<str:endpoint_id>/<str:webhook_id>/replay": {
        "POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})
    },
    "/": _get(MEMBER),
    "/first-steps": _get(WHOLE_MEMBER),
    "/demo-month": _get(WHOLE_MEMBER),
    "/demo-month/fill": {"POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})},
    "/demo-month/clear": {"POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})},
    "/first-steps/hide": {"POST": Act(WHOLE_MEMBER, ok=(302,), form=True, body=lambda s, p: {})},
    "/sign-in": _get(ANYBODY, ok=(200, 302))
    | {"POST": Act(ANYBODY, ok=(200, 302), form=True), "PUT": Act(ANYBODY, ok=(200, 302))},
    "/sign-out": _get(ANYBODY, ok=(200, 302)) | {"POST": Act(ANYBODY, ok=(302,), form=True)},
    "/sign-in/inactive": _get(ANYBODY, ok=(200,)),
    "/sign-in/confirm": _form(SIGNED_IN),
    "/sign-in/confirm/code": _form(SIGNED_IN, ok=(302,)),  # nobody here has one
    "/sign-in/confirm/passkey": _form(SIGNED_IN, ok=(302,)),
    "/sign-in/code": _form(ANYBODY, ok=(302,)),  # only in the middle of signing in
    "/sign-in/passkey": _form(ANYBODY, ok=(302, 429)),
    "/sign-in/password": _form(ANYBODY, ok=(200, 429)),
    "/sign-in/password/sent": _get(ANYBODY, strangers=False) | _post(ANYBODY, ok=(405,)),
    "/sign-in/password/done": _get(ANYBODY, strangers=False) | _post(ANYBODY, ok=(405,)),
    _RESET: _form(ANYBODY, strangers=False),
    "/sign-in/with/<str:provider>": _get(ANYBODY, strangers=False),
    "/sign-in/with/<str:provider_id>/openid": _get(ANYBODY, ok=(403,), strangers=False),
    "/sign-in/with/<str:provider_id>/openid/back": _get(ANYBODY, ok=(403,), strangers=False),
    "/sign-in/with/<str:organization_slug>/saml": _get(ANYBODY, ok=(404,), strangers=False),
    "/sign-in/with/<str:organization_slug>/saml/metadata": _get(
        ANYBODY, ok=(404,), strangers=False
    ),
    "/sign-in/with/<str:organization_slug>/saml/acs": _post(ANYBODY, ok=(404,), strangers=False),
    "/sign-in/with/<str:organization_slug>/saml/finish": _get(ANYBODY, ok=(404,), strangers=False),
    "/sign-in/with/<str:organization_slug>/saml/out": _get(ANYBODY, ok=(404,), strangers=False),
    "/invitation/<str:secret>": _form(ANYBODY, ok=(200, 302, 400, 403), strangers=False),
    "/account": _get(SIGNED_IN),
    "/account/factors": _get(SIGNED_IN, ok=(302,)),
    "/account/passkeys": _get(SIGNED_IN, ok=(302,)),
    "/account/name": _post(SIGNED_IN, ok=(302,)),
    "/account/password": _form(SIGNED_IN),
    "/account/password/set": _form(SIGNED_IN, ok=(302,)),  # all have one
    "/account/authenticator": _form(SIGNED_IN),
    "/account/authenticator/remove": _form(SIGNED_IN, ok=(404,)),
    "/account/recovery-codes": _get(SIGNED_IN, ok=(404,)) | _post(SIGNED_IN, ok=(405,)),
    "/account/recovery-codes/new": _form(SIGNED_IN),
    "/account/passkeys/add": _form(SIGNED_IN),
    "/account/passkeys/<int:pk>/remove": _form(SIGNED_IN, ok=(404,), strangers=False),
    "/account/sessions/end": _post(SIGNED_IN, ok=(302,)),
    "/operations/": _form(STAFF, strangers=False),
    "/operations/tenants/<uuid:tenant_id>": _form(STAFF),
    "/settings/team": _get(WHOLE_MEMBER),
    "/settings/team/invite": _post(WHOLE_MEMBER, ok=(400,)),
    "/settings/team/invitation": _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/team/member": _get(WHOLE_MEMBER, query=lambda s, p: {"email": s.manager.email})
    | _post(WHOLE_MEMBER, ok=(404,)),
    "/settings/team/remove": _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/agencies": _get(WHOLE_MEMBER) | _post(WHOLE_MEMBER, ok=(400,)),
    "/settings/branding": _get(WHOLE_MEMBER) | _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/branding/logo": _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/security": _get(WHOLE_MEMBER) | _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/security/provider": _form(WHOLE_MEMBER),
    "/settings/security/provider/remove": _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/audit": _get(WHOLE_MEMBER),
    "/settings/retention": _get(WHOLE_MEMBER),
    "/settings/retention/days": _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/retention/consent": _post(WHOLE_MEMBER, ok=(302,)),
    "/settings/allowance": _get(WHOLE_MEMBER),
    "/settings/models": _get(WHOLE_MEMBER),
    "/tenant": {
        "POST": Act(
            SIGNED_IN,
            ok=(302,),
            form=True,
            body=lambda s, p: {"membership": s.ids["membership"]["all"]},
        )
    },
    "/mode": {
        "POST": Act(SIGNED_IN, ok=(302,), form=True, body=lambda s, p: {"mode": "live"}),
    },
}


def _agency(side: Side, part: str) -> dict[str, str]:
    return {"externalAgencyId": side.canary(part)} if part in {"one", "two"} else {}


def _assigned(side: Side, part: str) -> dict[str, str]:
    return {
        "drill": "ma-full-sale",
        "due_on": str(date.today() + timedelta(days=2)),  # noqa: DTZ011 - any day ahead
        "pass_mark": "70",
        "rep": side.ids["rep"]["one"],
    }


# --- strangers' values in queries and bodies ------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A place other than the path that takes a value which names something."""

    method: str
    path: str
    place: str  # query or body
    make: Callable[[str], dict[str, Any]]
    strangers: Callable[[Side, Side], list[str]]  # of the own and the other side
    missing: str = "nothing-of-that-name"
    asked_by: tuple[str, ...] = ("live key of A",)


_SINCE = {"from": "2020-01-01"}
_BOTH = ("live key of A", "test key of A", "limited key of A")
PROBES = [
    Probe(
        *("GET", V1 + "/calls", "query"),
        make=lambda value: _SINCE | {"externalUserId": value},
        strangers=lambda own, other: list(other.ids["externalUserId"].values()),
        asked_by=_BOTH,
    ),
    Probe(
        *("GET", V1 + "/calls", "query"),
        make=lambda value: _SINCE | {"externalAgencyId": value},
        strangers=lambda own, other: list(other.ids["externalAgencyId"].values()),
        asked_by=_BOTH,
    ),
    Probe(
        *("GET", V1 + "/calls", "query"),
        make=lambda value: _SINCE | {"externalAgencyId": value},
        strangers=lambda own, other: [own.ids["externalAgencyId"]["two"]],
        asked_by=("limited key of A",),
    ),
    Probe(
        *("POST", V1 + "/session", "body"),
        make=lambda value: {"externalUserId": "rep", "externalAgencyId": value},
        strangers=lambda own, other: [
            *other.ids["externalAgencyId"].values(),
            own.ids["externalAgencyId"]["two"],
        ],
        asked_by=("limited key of A",),
    ),
    Probe(
        *("POST", V1 + "/roleplay/session", "body"),
        make=lambda value: {"drillKey": value},
        strangers=lambda own, other: list(other.ids["drill"].values()),
        asked_by=("session token of A",),
    ),
    Probe(
        *("GET", "/reps", "query"),
        make=lambda value: {"agency": value},
        strangers=lambda own, other: list(other.ids["agency"].values()),
        asked_by=("manager of A", "limited manager of A"),
    ),
    Probe(
        *("GET", "/assignments/add", "query"),
        make=lambda value: {"rep": value},
        strangers=lambda own, other: list(other.ids["rep"].values()),
        asked_by=("manager of A", "limited manager of A"),
    ),
    Probe(
        *("POST", "/tenant", "body"),
        make=lambda value: {"membership": value},
        strangers=lambda own, other: list(other.ids["membership"].values()),
        missing="00000000-0000-4000-8000-000000000000",
        asked_by=("manager of A", "manager of no tenant"),
    ),
]
