"""Mails to a tenant's managers about an endpoint that fails or was disabled.

A notice is a row that is due, so that a mail server which is away costs a wait and no notice.
"""

import logging
import smtplib

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.template.loader import render_to_string

from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.selectors import managers_of
from webhooks.models import Endpoint, EndpointNotice
from work.bell import ring
from work.claims import Claim

logger = logging.getLogger(__name__)

PEOPLE_MAX = 50  # to whom one notice goes
_SUBJECTS = {
    EndpointNotice.Subject.FAILING: "Webhooks to {host} have been failing for a day",
    EndpointNotice.Subject.DISABLED: "Webhooks to {host} are switched off",
}


def notice_create(*, endpoint: Endpoint, subject: EndpointNotice.Subject) -> None:
    """Have it sent, once the caller's transaction commits. Needs the tenant's scope."""
    EndpointNotice.objects.create(
        tenant_id=endpoint.tenant_id, endpoint=endpoint, subject=subject, due_at=Now()
    )
    ring("notify")


def notice_send(claim: Claim[EndpointNotice]) -> None:
    """One mail to all of them. A worker killed between sending and writing sends it twice."""
    with tenant_scope(claim.tenant_id):
        notice = EndpointNotice.objects.select_related("endpoint").get(pk=claim.pk)
        people = managers_of(tenant_id=claim.tenant_id)[:PEOPLE_MAX]
        people = people if settings.EMAIL_URL else []  # the dashboard shows it all the same
        tenant = Tenant.objects.get(pk=claim.tenant_id)
    try:
        if people:
            _message(notice, tenant, people).send()
    except (smtplib.SMTPException, OSError):
        claim.release(error="MAIL_UNAVAILABLE")
        return
    with claim.finish() as row:
        row.sent_at, row.due_at, row.recipients = Now(), None, len(people)
        row.save(update_fields=["sent_at", "due_at", "recipients"])
    facts = {"endpoint_id": str(notice.endpoint_id), "kind": notice.subject, "count": len(people)}
    logger.info("endpoint_notice_sent", extra=facts)


def _message(notice: EndpointNotice, tenant: Tenant, people: list[str]) -> EmailMessage:
    """Nobody sees who else gets it."""
    endpoint = notice.endpoint
    subject = _SUBJECTS[EndpointNotice.Subject(notice.subject)].format(host=endpoint.host)
    page = f"{settings.PUBLIC_URL}/webhooks/{endpoint.public_id}"
    context = {"notice": notice, "endpoint": endpoint, "tenant": tenant, "page": page}
    body = render_to_string("webhooks/notice.txt", context)
    return EmailMessage(subject=subject, body=body, bcc=people)
