"""The guards that lie in our source, each with what is written there and what is left without it.

A guard is taken away in the running process: the function's code is compiled again without it.
Which of the three lines stand meanwhile is chosen so that the guard is the only one that holds.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from tests.isolation.lines import EVERY_LINE, FILTERS, ROW_SECURITY, SCOPES
from tests.isolation.routes import DELIVERIES, ENDPOINT, EVENT, V1


@dataclass(frozen=True)
class SourceGuard:
    """`where` is module:function, or module:view@function for one that a decorator makes.

    `routes`, `doors` and `check` are what must show that it is gone.
    """

    where: str
    there: str
    gone: str = ""
    lines: tuple[str, ...] = EVERY_LINE
    routes: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()
    check: str = ""  # a further check, by its name in test_guards

    @property
    def name(self) -> str:
        return f"{self.where}: {self.there.strip()} -> {self.gone.strip() or 'nothing'}"

    @contextmanager
    def away(self) -> Iterator[None]:
        function = _function(self.where)
        before = function.__code__
        function.__code__ = _without(function, self.there, self.gone)
        try:
            yield
        finally:
            function.__code__ = before


def _function(where: str) -> FunctionType:
    where, _, within = where.partition("@")
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = found.__dict__[name] if isinstance(found, type) else getattr(found, name)
    found = getattr(found, "__func__", found)
    return inspect.unwrap(found, stop=lambda layer: layer.__code__.co_name == within)


def _without(function: FunctionType, there: str, gone: str) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function.__code__))
    if source.count(there) != 1:
        raise LookupError(f"{there!r} stands {source.count(there)} times in {function}")
    changed = source.replace(there, gone)
    if "__class__" in function.__code__.co_freevars:  # for super()
        changed = "class _:\n" + textwrap.indent(changed, "    ")
    around = [name for name in function.__code__.co_freevars if name != "__class__"]
    if around:  # a decorator's
        changed = f"def _({', '.join(around)}):\n" + textwrap.indent(changed, "    ")
    compiled = compile(changed, function.__code__.co_filename, "exec")
    return _find(compiled, function.__code__.co_name)


def _find(code: CodeType, name: str) -> CodeType:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_name == name:
                return inner
            if inner.co_name == "_":
                return _find(inner, name)
    raise LookupError(name)


def _filter(where: str, there: str, gone: str = "", **seen: Any) -> SourceGuard:
    """An explicit filter: with scopes and row security off it alone must hold."""
    return SourceGuard(where, there, gone, lines=(FILTERS,), **seen)


LISTS, CALL, STATUS = V1 + "/calls", V1 + "/calls/<str:call_id>", V1 + "/calls/<str:call_id>/status"
PAGE, PAGES = "/calls/<str:call_id>", "/calls"
LISTING, DETAIL = "calls.history.listing", "calls.history.detail"
REQUESTS, TOKENS = "calls.erasure.requests", "calls.services.tokens"
KEY = V1 + "/keys/<str:key_id>/revoke"
REDEEM = V1 + "/roleplay/session"

SOURCE_GUARDS = [
    # --- explicit filters: the tenant ------------------------------------------------------------
    _filter(
        f"{LISTING}:calls_of_mode", ".for_tenant(reader.tenant_id)", routes=(LISTS, CALL, PAGES)
    ),
    _filter(f"{DETAIL}:call_of_ticket", ".for_tenant(tenant_id)", doors=("follow",)),
    _filter(f"{DETAIL}:recording_of", ".for_tenant(tenant_id)", doors=("recording",)),
    _filter("scoring.selectors:scorecard_of", ".for_tenant(tenant_id)", doors=("scorecard",)),
    _filter("calls.selectors:call_joinable", ", tenant_id=tenant_id", doors=("join",)),
    _filter("calls.services.slots:slot_ensure", ", tenant_id=tenant_id", doors=("place",)),
    _filter(
        f"{REQUESTS}:_visible",
        ".for_tenant(caller.tenant)",
        routes=(V1 + "/erasures/<str:erasure_id>",),
    ),
    _filter(f"{REQUESTS}:call_erase", ".for_tenant(tenant_id)", routes=(CALL,)),
    _filter(
        f"{REQUESTS}:Person.row",
        ".for_tenant(self.tenant_id)",
        routes=(V1 + "/reps/<path:external_user_id>",),
    ),
    _filter(
        "webhooks.endpoints:_of_mode",
        ".for_tenant(tenant)",
        routes=(V1 + "/webhook-endpoints", ENDPOINT),
    ),
    _filter(
        "webhooks.log:event_get",
        "Event.objects.for_tenant(tenant)",
        "Event.objects",
        routes=(EVENT,),
    ),
    _filter(
        "webhooks.log:_matching",
        "Delivery.objects.for_tenant(tenant)",
        "Delivery.objects",
        routes=(DELIVERIES,),
    ),
    _filter("webhooks.services:_locked", ".for_tenant(tenant)", doors=("rotate",)),
    _filter(
        "webhooks.services:endpoint_disable",
        "enabled = Endpoint.objects.for_tenant(tenant_id)",
        "enabled = Endpoint.objects",
        doors=("disable",),
    ),
    _filter("webhooks.selectors:deliveries_of", ".for_tenant(tenant_id)", doors=("deliveries",)),
    _filter("webhooks.selectors:parcels", ".for_tenant(tenant_id)", doors=("parcels",)),
    _filter(
        "tenants.selectors:keys_visible",
        ".for_tenant(tenant)",
        routes=(V1 + "/keys", KEY),
        doors=("revoke",),
    ),
    _filter(f"{TOKENS}:_consume", ".for_tenant(tenant_id)", doors=("redeem",)),
    # --- explicit filters: agencies and the mode -------------------------------------------------
    _filter(
        f"{LISTING}:Reader.calls",
        "if self.agencies else rows",
        "if False else rows",
        routes=(CALL, STATUS, PAGE),
    ),
    _filter(
        f"{LISTING}:_agencies", "return reader.agencies or None", "return None", routes=(LISTS,)
    ),
    _filter(f"{REQUESTS}:call_erase", "if caller.agencies:", "if False:", routes=(CALL,)),
    _filter(
        f"{REQUESTS}:_visible",
        "if caller.agencies:",
        "if False:",
        routes=(V1 + "/erasures/<str:erasure_id>",),
    ),
    SourceGuard(f"{LISTING}:calls_of_mode", ".filter(mode=reader.mode)", routes=(LISTS, CALL)),
    SourceGuard(
        f"{REQUESTS}:_visible",
        ".filter(mode=caller.mode)",
        routes=(V1 + "/erasures/<str:erasure_id>",),
    ),
    SourceGuard(
        "webhooks.endpoints:_of_mode",
        "found.filter(mode=mode) if mode else found",
        "found",
        check="endpoint mode",
    ),
    SourceGuard("webhooks.log:event_get", ", mode=mode", routes=(EVENT,)),
    SourceGuard("webhooks.log:_matching", "mode=query.mode, ", routes=(DELIVERIES,)),
    SourceGuard(
        "calls.services.people:agency_check",
        "if not caller.agencies:",
        "if True:",
        lines=(FILTERS,),
        check="agency of a token",
    ),
    # --- scopes ----------------------------------------------------------------------------------
    SourceGuard(
        "tenants.isolation:TenantManager.get_queryset",
        '.filter(**{self.tenant_field: scoped["tenant"]})',
        lines=(SCOPES,),
        routes=(LISTS, CALL),
    ),
    SourceGuard(
        "tenants.isolation:TenantManager.get_queryset",
        'if "tenant" not in scoped:',
        "if False:",
        check="scope missing",
    ),
    SourceGuard(
        "tenants.isolation:tenant_scope",
        "current is not None and current != tenant_id",
        "False",
        check="two tenants",
    ),
    SourceGuard(
        "tenants.isolation:_narrower",
        "limit and not set(wanted) <= set(limit)",
        "False",
        check="wider agencies",
    ),
    SourceGuard(
        "tenants.isolation:tenant_scope",
        "_set_scope(tenant_id, limit)",
        "_set_scope(tenant_id, ())",
        lines=(ROW_SECURITY,),
        routes=(CALL, LISTS),
    ),
    SourceGuard(
        "tenants.isolation:_set_scope",
        "set_config('app.tenant_id', %s, true)",
        "set_config('app.tenant_id', %s, false)",
        check="nothing stays",
    ),
    SourceGuard(
        "tenants.isolation:_set_scope",
        "set_config('app.agencies', %s, true)",
        "set_config('app.agencies', %s, false)",
        check="nothing stays",
    ),
    SourceGuard(
        "tenants.api:ApiView.initial",
        "limited_to(request.auth.agencies)",
        "limited_to(())",
        lines=(ROW_SECURITY,),
        check="ambient limit",
    ),
    SourceGuard(
        "calls.views.reviews:call_page@answer",
        "limited_to(member.membership.agencies)",
        "limited_to(())",
        lines=(ROW_SECURITY,),
        check="ambient member",
    ),
    # --- who comes in ----------------------------------------------------------------------------
    SourceGuard(
        "tenants.auth:caller_find",
        "if keys.parse(key) is None:",
        "if False:",
        check="junk costs nothing",
    ),
    SourceGuard(
        "tenants.auth:caller_find",
        "tenant.status != Tenant.Status.ACTIVE",
        "False",
        routes=(LISTS,),
    ),
    SourceGuard(
        "tenants.auth:_check_alive",
        "revoked_at is not None and revoked_at <= now",
        "False",
        routes=(LISTS,),
    ),
    SourceGuard(
        "tenants.auth:_check_alive",
        "expires_at is not None and expires_at <= now",
        "False",
        routes=(LISTS,),
    ),
    SourceGuard(
        "tenants.api:ApiView.initial",
        "needed and needed not in caller_of(request).scopes",
        "False",
        routes=(LISTS, CALL),
    ),
    SourceGuard(
        "webhooks.api:WebhookView.initial",
        "if self.caller.agencies:",
        "if False:",
        routes=(V1 + "/webhook-endpoints",),
    ),
    SourceGuard(
        "calls.erasure.api:_whole", "if caller.agencies:", "if False:", routes=(V1 + "/retention",)
    ),
    SourceGuard("tenants.members:member_of", "if not active:", "if False:", routes=(PAGES,)),
    SourceGuard(
        "tenants.members:membership_choose",
        "in {str(m.membership_id) for m in member.choices}",
        "or True",
        check="membership",
    ),
    SourceGuard(
        f"{TOKENS}:_tenant_for",
        "tenant.status != Tenant.Status.ACTIVE",
        "False",
        check="suspended redeem",
    ),
    SourceGuard(
        f"{TOKENS}:_tenant_for",
        "origin and tenant.browser_origins and origin not in ours",
        "False",
        check="redeem origin",
    ),
    SourceGuard(f"{TOKENS}:_consume", "consumed_at=None, ", check="token once"),
    SourceGuard(
        "calls.services.session_jwt:_payload",
        '"require": sorted(_CLAIMS),',
        '"require": sorted(_CLAIMS), "verify_signature": False,',
        check="forged token",
    ),
    SourceGuard(
        "tenants.sealing:_derived", "info=purpose.encode()", 'info=b"same"', check="sealed purposes"
    ),
    SourceGuard(
        "calls.consumers:SignallingConsumer._join",
        "origins and self._origin() not in {*origins, settings.PUBLIC_URL}",
        "False",
        check="socket origin",
    ),
]
