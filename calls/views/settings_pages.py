"""Pages of Settings about calls: how long they are kept, what reps agree to, allowance, engines."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from calls.erasure.retention import FIELDS, LONGEST, retention_of, retention_set
from calls.history.listing import Reader
from calls.services.embedding import OUR_CONSENT_VERSION
from calls.services.providers import providers_list
from calls.usage.counting import usage_of
from tenants.abilities import Ability
from tenants.branding import CONSENT_MAX, consent_text_publish
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.members import Member, for_members
from tenants.models import ConsentText, Tenant
from tenants.reauth import fresh_sign_in

VERSIONS_SHOWN = 20
_LABELS = {  # what is kept, and what goes with it
    "audio_days": ("Recordings", "The sound of both sides"),
    "transcript_days": ("Transcripts", "Words, quotes in scorecards, comments; scores stay"),
    "webhook_payload_days": ("Webhook bodies", "What was sent to your endpoints"),
}
_KINDS = {  # kind -> what it does, the operator's setting, what we have ourselves
    "chat": ("Words the persona's lines", "CHAT", "Authored lines"),
    "transcription": ("Hears the rep", "TRANSCRIPTION", "Whisper, on this installation"),
    "speech": ("The persona's voice", "VOICE", "Kokoro, on this installation"),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """One of the engines of the tenant's calls. Keys are nowhere near it."""

    does: str
    model: str
    url: str
    chosen_by: str  # "you", "operator" or "" where it is ours


@require_safe
@for_members(needs=Ability.ADMINISTER)
def retention_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /settings/retention: days that content is kept, and the consent text."""
    kept = retention_of(tenant_id=member.tenant_id)
    with tenant_scope(member.tenant_id):
        texts = ConsentText.objects.for_tenant(member.tenant_id).order_by("-version")
        versions = list(texts[:VERSIONS_SHOWN])
    rows = [(name, *_LABELS[name], getattr(kept, name)) for name in FIELDS.values()]
    context = {
        "rows": rows,
        "longest": LONGEST,
        "versions": versions,
        "ours": OUR_CONSENT_VERSION,
        "consent_max": CONSENT_MAX,
    }
    return render(request, "settings/retention.html", context)


@require_POST
@for_members(needs=Ability.ADMINISTER)
@fresh_sign_in
def retention_change(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/retention/days: shorter times erase what is older, for good."""
    try:
        changes = {name: _days(request.POST.get(name, "")) for name in FIELDS.values()}
        retention_set(tenant_id=member.tenant_id, changes=changes, actor=member.actor)
    except InvalidRequest as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, "Saved. What is older is erased within the hour.")
    return redirect("retention-page")


@require_POST
@for_members(needs=Ability.ADMINISTER)
def consent_publish(request: HttpRequest, member: Member) -> HttpResponse:
    """POST /settings/retention/consent: a new version; those before are kept."""
    text = request.POST.get("text", "").replace("\r\n", "\n")
    try:
        made = consent_text_publish(tenant=_tenant(member), text=text, actor=member.actor)
    except InvalidRequest as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, f"Version {made.version} is what reps agree to from now on.")
    return redirect("retention-page")


@require_safe
@for_members(needs=Ability.ADMINISTER)
def allowance_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /settings/allowance: this month's minutes against what was agreed."""
    usage = usage_of(tenant=_tenant(member), reader=Reader(member.tenant_id), month=None)
    used, allowed = usage.total.seconds / 60, usage.minutes_allowed
    context = {
        "usage": usage,
        "used": round(used),
        "left": None if allowed is None else max(0, round(allowed - used)),
        "share": None if not allowed else min(100, round(100 * used / allowed)),
    }
    return render(request, "settings/allowance.html", context)


@require_safe
@for_members(needs=Ability.ADMINISTER)
def models_page(request: HttpRequest, member: Member) -> HttpResponse:
    """GET /settings/models: who hears, words and speaks in the tenant's calls."""
    own = {row.kind: row for row in providers_list(tenant_id=member.tenant_id)}
    engines = []
    for kind, (does, setting, ours) in _KINDS.items():
        operators: dict[str, str] = getattr(settings, setting)
        if kind in own:
            engines.append(Engine(does, own[kind].model, own[kind].url, "you"))
        elif operators:
            engines.append(Engine(does, operators["model"], operators["url"], "operator"))
        else:
            engines.append(Engine(does, ours, "", ""))
    return render(request, "settings/models.html", {"engines": engines})


def _days(text: str) -> int | None:
    """Empty: for ever."""
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 5:
        raise InvalidRequest(f"Days are a whole number from 1 to {LONGEST}, or empty.")
    return int(text)


def _tenant(member: Member) -> Tenant:
    with tenant_scope(member.tenant_id):
        return Tenant.objects.get(pk=member.tenant_id)
