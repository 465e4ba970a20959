"""The page of one call, and what members do to the call there."""

from collections.abc import Callable, Mapping

from csp.constants import NONCE
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from calls.erasure.requests import Asking, call_erase
from calls.history.detail import CallNotFound, CallRecord, call_get
from calls.history.latency import call_latency
from calls.history.reviews import Review, review_of
from calls.services.discussing import (
    LONGEST_COMMENT,
    LONGEST_REPLY,
    comment_add,
    comment_remove,
    dispute_reply,
)
from calls.services.rescoring import rescore_ask
from calls.services.reviewing import score_override, score_override_withdraw, score_validate
from calls.views import presenting
from calls.views.lists import reader_of, row_of
from scoring.overrides import LONGEST_REASON, ScorecardChanged, Seen
from scoring.ports import Answer
from tenants.abilities import Ability
from tenants.errors import AthosError, InvalidRequest
from tenants.members import Member, for_members
from tenants.models import Tenant
from tenants.reauth import fresh_sign_in
from webhooks.selectors import deliveries_of

Form = Mapping[str, str]
LONGEST_NUMBER = 6  # digits


@require_safe
@for_members()
def call_page(request: HttpRequest, member: Member, call_id: str) -> HttpResponse:
    """GET /calls/<public id>"""
    return _page(request, member, call_id)


@require_POST
@for_members(needs=Ability.REVIEW)
def call_review(request: HttpRequest, member: Member, call_id: str) -> HttpResponse:
    """POST /calls/<public id>/review: what the page's forms do, by `action`."""
    act = ACTIONS.get(request.POST.get("action", ""))
    if act is None:
        raise Http404
    try:
        done, place = act(member, call_id, request.POST)
    except CallNotFound as missing:
        raise Http404 from missing
    except AthosError as refused:
        messages.error(request, refused.message)
        kept = {} if isinstance(refused, InvalidRequest) else {"stale": "1"}
        return _page(request, member, call_id, kept | request.POST.dict(), refused.status)
    messages.success(request, done)
    return redirect(reverse("call-page", args=[call_id]) + place)


@require_POST
@for_members(needs=Ability.ERASE)
@fresh_sign_in
def call_delete(request: HttpRequest, member: Member, call_id: str) -> HttpResponse:
    """POST /calls/<public id>/delete: erase it, once the word was typed."""
    if request.POST.get("confirm", "").strip().lower() != "delete":
        _found(member, call_id)
        messages.error(request, "Type “delete” to confirm.")
        return redirect("call-page", call_id)
    asking = Asking(
        Tenant(pk=member.tenant_id), member.mode, member.membership.agencies, member.actor
    )
    try:
        call_erase(caller=asking, public_id=call_id)
    except CallNotFound as missing:
        raise Http404 from missing
    messages.success(request, "The call is deleted, with its recording and transcript.")
    return redirect("call-pages")


def _found(member: Member, call_id: str) -> CallRecord:
    """The call that the member may see, else 404."""
    try:
        return call_get(reader=reader_of(member), public_id=call_id)
    except CallNotFound as missing:
        raise Http404 from missing


def _page(
    request: HttpRequest,
    member: Member,
    call_id: str,
    kept: Form | None = None,
    status: int = 200,
) -> HttpResponse:
    """`kept` is a form that was refused: what was typed stays."""
    reader = reader_of(member)
    with reader.scope():
        record = _found(member, call_id)
        call = record.call
        latency = call_latency(reader=reader, call_id=call.pk)
        nothing = Review(seen="")  # what a rep keeps to themselves is nobody's to review
        review = nothing if call.private else review_of(reader, record, user_id=member.user_id)
    result = presenting.result_of(
        record,
        rep_name=call.rep.name or call.external_user_id,
        disputes={one.check_key: one for one in review.disputes},
        comments=review.comments,
    )
    context = {
        "row": row_of(call),
        "failure": presenting.failure_of(call),
        "ending": presenting.ENDINGS.get(call.end_reason, ""),
        "result": result,
        "latency": presenting.latency_figures_of(latency),
        "versions": (record.score or {}).get("versions"),
        "deliveries": deliveries_of(tenant=member.tenant_id, subject_id=call.pk),
        "review": review,
        "entries": presenting.entries_of(review.changes),
        "reviewing": Ability.REVIEW in member.abilities,
        "answers": presenting.VERDICTS.items(),
        "kept": kept or {},
        "longest": {
            "reason": LONGEST_REASON,
            "comment": LONGEST_COMMENT,
            "reply": LONGEST_REPLY,
        },
    }
    answer = render(request, "calls/detail.html", context, status=status)
    # for the style sheet that wavesurfer.js makes itself
    answer._csp_update = {"style-src": [NONCE]}  # type: ignore[attr-defined]
    return answer


# --- actions: what each says when it is done, and where on the page one goes on -------------------


def _override(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    try:
        answer = Answer(form.get("answer", ""))
    except ValueError as odd:
        raise InvalidRequest("Choose a verdict.") from odd
    change = score_override(
        reader=reader_of(member),
        public_id=call_id,
        check_key=form.get("check", ""),
        answer=answer,
        reason=form.get("reason", ""),
        seen=_seen(form),
        actor=member.actor,
    )
    return f"Changed. The score is {change.overall} of 100 now.", f"#check-{change.check_key}"


def _withdraw(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    change = score_override_withdraw(
        reader=reader_of(member),
        public_id=call_id,
        check_key=form.get("check", ""),
        seen=_seen(form),
        actor=member.actor,
    )
    said = f"The judge's verdict holds again. The score is {change.overall} of 100."
    return said, f"#check-{change.check_key}"


def _validate(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    valid = form.get("valid") == "yes"
    score_validate(
        reader=reader_of(member),
        public_id=call_id,
        valid=valid,
        reason=form.get("reason", ""),
        seen=_seen(form),
        actor=member.actor,
    )
    return ("The score counts again." if valid else "The score does not count any more."), ""


def _rescore(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    rescore_ask(reader=reader_of(member), public_id=call_id, actor=member.actor)
    return "The call is being scored again.", ""


def _comment(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    comment = comment_add(
        reader=reader_of(member),
        public_id=call_id,
        line_number=_number(form.get("line", "")),
        text=form.get("text", ""),
        user_id=member.user_id,
    )
    return "Your comment is there.", f"#line-{comment.line_number}"


def _uncomment(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    comment_remove(
        reader=reader_of(member),
        public_id=call_id,
        comment_id=form.get("comment", ""),
        user_id=member.user_id,
    )
    return "The comment is removed.", "#transcript-title"


def _reply(member: Member, call_id: str, form: Form) -> tuple[str, str]:
    dispute_reply(
        reader=reader_of(member),
        public_id=call_id,
        check_key=form.get("check", ""),
        text=form.get("text", ""),
        user_id=member.user_id,
    )
    return "The rep sees your answer on their page.", f"#check-{form.get('check', '')}"


ACTIONS: Mapping[str, Callable[[Member, str, Form], tuple[str, str]]] = {
    "override": _override,
    "withdraw": _withdraw,
    "validate": _validate,
    "rescore": _rescore,
    "comment": _comment,
    "uncomment": _uncomment,
    "reply": _reply,
}


def _seen(form: Form) -> Seen:
    version, _, overrides = form.get("seen", "").partition(".")
    try:
        return Seen(_number(version), _number(overrides))
    except InvalidRequest as odd:
        raise ScorecardChanged from odd


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER):
        raise InvalidRequest("The transcript has no such line.")
    return int(text)
