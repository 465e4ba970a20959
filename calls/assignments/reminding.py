"""Mails to reps about what they were asked to practise: due rows, one mail each, never two.

Before a mail is handed over the row says so. A worker that takes over from a killed one finds that
and goes on to the next: it cannot know whether the mail went out, and a second one is worse than
none. What the mail server refuses in good order is tried again.
"""

import json
import logging
import smtplib
import uuid
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse

from calls.assignments.schedule import due_end, reminder_after
from calls.assignments.standing import State, drill_titles, standing_of
from calls.models import Assignee
from tenants.errors import AthosError
from tenants.isolation import tenant_scope
from tenants.models import Rep, Tenant
from tenants.sealing import SealBroken, seal, unseal
from tenants.selectors import database_now
from tenants.services import audit
from work.claims import Claim, LeaseLost

logger = logging.getLogger(__name__)

PURPOSE = "athos.reminders.stop"
SUBJECTS = {
    Assignee.Reminder.GIVEN: "{drill}: please practise by {day}",
    Assignee.Reminder.SOON: "{drill}: two days left",
    Assignee.Reminder.TODAY: "{drill}: today is the last day",
}


class LinkBroken(AthosError):
    code, status, message = "NOT_FOUND", 404, "This link is not one of ours."


def reminder_send(claim: Claim[Assignee]) -> None:
    """The mail that is due, if there is still a reason for it; then the next one is due."""
    with tenant_scope(claim.tenant_id):
        rows = Assignee.objects.for_tenant(claim.tenant_id)
        assignee = rows.select_related("assignment", "rep").get(pk=claim.pk)
        now = database_now()
        mail = _mail(assignee, now) if assignee.mail_begun_at is None else None
    if mail is not None:
        _mark(claim, begun=True)
        try:
            mail.send()
        except (smtplib.SMTPException, OSError):
            _mark(claim, begun=False)
            claim.release(error="MAIL_UNAVAILABLE")
            return
    _go_on(claim, now, sent=mail is not None)


def stop_link(rep: Rep) -> str:
    """Where the rep says that they want no more of these mails. It needs no sign-in."""
    sealed = seal(json.dumps([rep.tenant_id.hex, rep.pk.hex]).encode(), purpose=PURPOSE)
    return f"{settings.PUBLIC_URL}{reverse('reminders-stop', args=[sealed])}"


def stop_link_read(sealed: str) -> tuple[uuid.UUID, uuid.UUID]:
    """The tenant and the rep of a link. Raises LinkBroken."""
    try:
        tenant_id, rep_id = json.loads(unseal(sealed, purpose=PURPOSE))
    except SealBroken as broken:
        raise LinkBroken from broken
    return uuid.UUID(tenant_id), uuid.UUID(rep_id)


def reminders_stop(sealed: str) -> None:
    """Send this rep no more. Stopping twice is harmless. Raises LinkBroken."""
    tenant_id, rep_id = stop_link_read(sealed)
    with tenant_scope(tenant_id):
        rep = Rep.objects.for_tenant(tenant_id).filter(pk=rep_id).first()
        if rep is None:  # erased
            raise LinkBroken
        rows = Rep.objects.filter(pk=rep_id, reminders_stopped_at=None)
        if rows.update(reminders_stopped_at=Now()):
            who = f"rep:{rep.public_id}"
            audit(tenant_id=tenant_id, actor=who, action="reminders.stop", target=who)


def _mail(assignee: Assignee, now: datetime) -> EmailMessage | None:
    """None where there is nothing to say, or nobody to say it to. Needs the scope."""
    rep, assignment = assignee.rep, assignee.assignment
    reachable = bool(rep.email) and rep.reminders_stopped_at is None and bool(settings.EMAIL_URL)
    if not reachable or now >= due_end(assignment.due_on):
        return None
    standing = standing_of(assignee)
    if standing.state not in {State.OPEN, State.TRIED}:
        return None
    tenant = Tenant.objects.get(pk=assignee.tenant_id)
    drill = drill_titles([assignment.drill_key]).get(assignment.drill_key, assignment.drill_key)
    stop = stop_link(rep)
    context = {"standing": standing, "drill": drill, "tenant": tenant, "stop": stop}
    subject = SUBJECTS[Assignee.Reminder(assignee.reminder)].format(
        drill=" ".join(drill.split()), day=f"{assignment.due_on:%-d %B}"
    )
    return EmailMessage(
        subject=subject,
        body=render_to_string("assignments/mail.txt", context),
        to=[rep.email],
        headers={
            "List-Unsubscribe": f"<{stop}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )


def _mark(claim: Claim[Assignee], *, begun: bool) -> None:
    """Written down by whoever holds the claim, and by nobody else."""
    with tenant_scope(claim.tenant_id):
        mine = Assignee.objects.for_tenant(claim.tenant_id).filter(
            pk=claim.pk, lease_token=claim.token
        )
        if not mine.update(mail_begun_at=Now() if begun else None):
            raise LeaseLost


def _go_on(claim: Claim[Assignee], now: datetime, *, sent: bool) -> None:
    with claim.finish() as row:
        assignment = row.assignment
        following = reminder_after(
            Assignee.Reminder(row.reminder), at=now, due_on=assignment.due_on
        )
        row.mail_begun_at = None
        row.mails += sent
        row.due_at = None
        if following is not None and assignment.cancelled_at is None:
            row.reminder, row.due_at = following
        row.save(update_fields=["mail_begun_at", "mails", "due_at", "reminder"])
    if sent:
        logger.info("assignment_reminder_sent", extra={"assignment_id": assignment.public_id})
