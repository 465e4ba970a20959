"""The dashboard's pages of API keys, for those who develop."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from tenants.abilities import Ability
from tenants.auth import address_of
from tenants.errors import AthosError, InsufficientScope, InvalidRequest, KeyNotFound
from tenants.isolation import tenant_scope
from tenants.key_api import MOST_NETWORKS, key_wish
from tenants.members import Member, for_members
from tenants.models import ApiKey, Tenant
from tenants.reauth import fresh_sign_in
from tenants.selectors import KeySummary, key_named, keys_list
from tenants.services import (
    ACTIVE_KEYS,
    ALL_SCOPES,
    CONTRACT_SCOPES,
    api_key_issue,
    api_key_revoke,
    api_key_rotate,
    tenant_update,
)

SCOPES: Mapping[str, str] = {
    "sessions:write": "Mint session tokens, start sandbox calls",
    "calls:read": "List and read calls, read usage",
    "webhooks:write": "Manage webhook endpoints, read their log, replay",
    "keys:write": "Manage keys",
    "data:retention": "Say how long content is kept",
    "data:erase": "Erase calls and reps for good",
}
# A key must not do for its maker what the maker may not do.
SCOPES_WITH = {"data:erase": Ability.ERASE, "data:retention": Ability.ADMINISTER}
GRACES = {"0": "at once", "1": "in an hour", "24": "in a day", "168": "in seven days"}  # hours
LONGEST_LIST = 10_000  # characters of agencies, or of addresses


@require_safe
@for_members(needs=Ability.DEVELOP)
def key_pages(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /developers/keys"""
    return _keys(request, member)


@require_POST
@for_members(needs=Ability.DEVELOP)
@fresh_sign_in
def key_add(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /developers/keys/add: the only answer that shows the key."""
    given = request.POST
    try:
        if not given.getlist("scope"):
            raise InvalidRequest("Choose what the key may do.")
        wish = key_wish(_body(given))
        _check_scopes(member, wish.scopes)
        key, text = api_key_issue(
            tenant=_tenant(member), holder=None, wish=wish, actor=member.actor
        )
    except AthosError as refused:
        return _keys(request, member, problem=refused.message, given=given)
    return _key(request, member, key, text=text)


@require_POST
@for_members(needs=Ability.DEVELOP)
@fresh_sign_in
def addresses_set(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /developers/keys/addresses: from where the tenant's keys may be used at all."""
    allowed = _lines(request.POST.get("allowed_ips", ""))
    try:
        if len(allowed) > MOST_NETWORKS:
            raise InvalidRequest(f"At most {MOST_NETWORKS} addresses or networks.")
        tenant_update(tenant=_tenant(member), allowed_ips=allowed, actor=member.actor)
    except AthosError as refused:
        return _keys(request, member, address_problem=refused.message, allowed=allowed)
    messages.success(request, "Saved. It holds from the next request on.")
    return redirect("key-pages")


@require_safe
@for_members(needs=Ability.DEVELOP)
def key_page(request: HttpRequest, member: Member, key_id: str) -> HttpResponse:
    """GET /developers/keys/<key id>"""
    return _key(request, member, _found(member, key_id))


@require_POST
@for_members(needs=Ability.DEVELOP)
@fresh_sign_in
def key_rotate(request: HttpRequest, member: Member, key_id: str) -> HttpResponse:
    """POST /developers/keys/<key id>/rotate: the only answer that shows the new key."""
    old = _found(member, key_id)
    try:
        _check_scopes(member, old.scopes)
        key, text = api_key_rotate(
            tenant=_tenant(member),
            holder=None,
            key_id=key_id,
            grace=_grace(request),
            actor=member.actor,
        )
    except AthosError as refused:
        messages.error(request, refused.message)
        return redirect("key-page", key_id)
    return _key(request, member, key, text=text, replaced=_found(member, key_id))


@require_POST
@for_members(needs=Ability.DEVELOP)
def key_revoke(request: HttpRequest, member: Member, key_id: str) -> HttpResponse:
    """POST /developers/keys/<key id>/revoke. Taking a key out of use needs no second proof."""
    try:
        key = api_key_revoke(
            tenant=_tenant(member), key_id=key_id, grace=_grace(request), actor=member.actor
        )
    except KeyNotFound as missing:
        raise Http404 from missing
    ended = key.status != "active"
    messages.success(request, f"{key.name} {'ended.' if ended else 'ends when its grace is over.'}")
    return redirect("key-pages")


def _keys(
    request: HttpRequest,
    member: Member,
    *,
    problem: str = "",
    given: QueryDict | None = None,
    address_problem: str = "",
    allowed: list[str] | None = None,
) -> HttpResponse:
    tenant = _tenant(member)
    keys = keys_list(tenant=tenant)
    chosen = given.getlist("scope") if given else list(CONTRACT_SCOPES)
    context = {
        "groups": [_group(keys, mode) for mode in ApiKey.Mode],
        "scopes": [
            (scope, meaning, scope in chosen)
            for scope, meaning in SCOPES.items()
            if scope in _scopes_of(member)
        ],
        "problem": problem,
        "given": given,
        "mode": given.get("mode") if given else member.mode,
        "allowed": tenant.allowed_ips if allowed is None else allowed,
        "address_problem": address_problem,
        "address": address_of(request),
    }
    refused = bool(problem or address_problem)
    return render(request, "tenants/keys.html", context, status=400 if refused else 200)


def _group(keys: list[KeySummary], mode: ApiKey.Mode) -> dict[str, object]:
    mine = [key for key in keys if key.mode == mode]
    return {
        "mode": mode.value,
        "active": [key for key in mine if key.status == "active"],
        "ended": [key for key in mine if key.status != "active"],
        "most": ACTIVE_KEYS,
    }


def _key(
    request: HttpRequest,
    member: Member,
    key: KeySummary,
    *,
    text: str = "",
    replaced: KeySummary | None = None,
) -> HttpResponse:
    context = {
        "key": key,
        "text": text,
        "replaced": replaced,
        "graces": GRACES.items(),
        "scopes": [(scope, SCOPES.get(scope, "")) for scope in key.scopes],
        "may_rotate": set(key.scopes) <= _scopes_of(member),
    }
    return render(request, "tenants/key.html", context)


def _body(given: QueryDict) -> dict[str, Any]:
    """The form as the API's body would say it."""
    body: dict[str, Any] = {
        "name": given.get("name", ""),
        "mode": given.get("mode") or None,
        "scopes": given.getlist("scope"),
        "agencies": _lines(given.get("agencies", "")),
        "allowedIps": _lines(given.get("allowed_ips", "")),
    }
    if given.get("expires_on"):
        body["expiresAt"] = f"{given['expires_on']}T00:00:00Z"
    return body


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text[:LONGEST_LIST].splitlines() if line.strip()]


def _grace(request: HttpRequest) -> timedelta:
    hours = request.POST.get("grace", "0")
    return timedelta(hours=int(hours) if hours in GRACES else 0)


def _scopes_of(member: Member) -> set[str]:
    """The scopes that the member may give to a key."""
    lacking = {s for s, needed in SCOPES_WITH.items() if needed not in member.abilities}
    return set(ALL_SCOPES) - lacking


def _check_scopes(member: Member, scopes: tuple[str, ...]) -> None:
    if not set(scopes) & set(ALL_SCOPES) <= _scopes_of(member):
        raise InsufficientScope("A key cannot do more than you may: ask an owner.")


def _tenant(member: Member) -> Tenant:
    with tenant_scope(member.tenant_id):
        return Tenant.objects.get(pk=member.tenant_id)


def _found(member: Member, key_id: str) -> KeySummary:
    key = key_named(tenant=_tenant(member), public_id=key_id)
    if key is None:
        raise Http404
    return key
