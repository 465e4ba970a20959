"""A place in a tenant, offered by mail. The link proves the address, works once, and ends."""

import logging
import secrets
import smtplib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.template.loader import render_to_string

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Invitation, Membership, Tenant, User
from tenants.sealing import keyed_digest, keyed_digests
from tenants.selectors import database_now
from tenants.services import SYSTEM, audit
from tenants.team import agencies_checked, role_checked

logger = logging.getLogger(__name__)

GOOD_FOR = timedelta(days=7)
OPEN_MOST = 200  # invitations of a tenant that wait
_PURPOSE = "invitation"


class InvitationNotFound(LookupError):
    """The link is not, or no longer, good. One answer for all reasons."""


class MailUnavailable(RuntimeError):
    """The mail server did not take it; the invitation waits and can be sent again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a link opens."""

    tenant_id: uuid.UUID
    public_id: str
    tenant_name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class Open:
    """An invitation that waits, as the team's page shows it."""

    public_id: str
    email: str
    role: str
    agencies: tuple[uuid.UUID, ...]
    expires_at: datetime
    expired: bool
    sent: bool


def invitation_create(
    *,
    tenant_id: uuid.UUID,
    email: str,
    role: str,
    agencies: tuple[uuid.UUID, ...] = (),
    by_role: str = Membership.Role.OWNER,
    actor: str = SYSTEM,
) -> Invitation:
    """Offer a place, and mail the link. Raises InvalidRequest, or MailUnavailable once it is made.

    `by_role` is the role of who invites: nobody gives more than they have.
    """
    email = address_checked(email)
    role_checked(role, by_role=by_role)
    mail_checked()
    secret = _secret()
    with tenant_scope(tenant_id):
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)  # one at a time
        _room_checked(tenant_id, email)
        invitation = Invitation.objects.create(
            tenant_id=tenant_id,
            email=email,
            role=role,
            agencies=agencies_checked(tenant_id, agencies),
            digest=_digest(secret),
            invited_by=actor,
            expires_at=database_now() + GOOD_FOR,
        )
        _note(invitation, "invitation.create", actor, {"role": role})
    _send(invitation, secret)
    return invitation


def invitation_resend(
    *, tenant_id: uuid.UUID, public_id: str, by_role: str, actor: str = SYSTEM
) -> None:
    """A new link with its full time; the old one ends. Raises InvalidRequest, MailUnavailable."""
    mail_checked()
    secret = _secret()
    with tenant_scope(tenant_id):
        invitation = _waiting(tenant_id, public_id)
        role_checked(invitation.role, by_role=by_role)
        invitation.digest = _digest(secret)
        invitation.expires_at = database_now() + GOOD_FOR
        invitation.sent_at = None
        invitation.save(update_fields=["digest", "expires_at", "sent_at"])
        _note(invitation, "invitation.resend", actor)
    _send(invitation, secret)


def invitation_revoke(*, tenant_id: uuid.UUID, public_id: str, actor: str = SYSTEM) -> None:
    """The link ends at once. Revoking what is over is harmless."""
    with tenant_scope(tenant_id):
        rows = Invitation.objects.for_tenant(tenant_id).filter(public_id=public_id)
        for invitation in rows.filter(accepted_at=None, revoked_at=None).select_for_update():
            rows.update(revoked_at=Now())
            _note(invitation, "invitation.revoke", actor)


def invitations_open(*, tenant_id: uuid.UUID) -> list[Open]:
    """Those that wait, the newest first, expired ones included: they can be sent again."""
    with tenant_scope(tenant_id):
        rows = Invitation.objects.for_tenant(tenant_id).filter(accepted_at=None, revoked_at=None)
        found = list(rows.order_by("-created_at", "pk")[:OPEN_MOST])
        now = database_now()
    return [
        Open(
            public_id=row.public_id,
            email=row.email,
            role=row.role,
            agencies=tuple(row.agencies),
            expires_at=row.expires_at,
            expired=row.expires_at <= now,
            sent=row.sent_at is not None,
        )
        for row in found
    ]


def invitation_find(secret: str) -> Found:
    """What a link opens now. Raises InvitationNotFound."""
    with connection.cursor() as cursor:
        digests = keyed_digests(secret.encode(), purpose=_PURPOSE)
        cursor.execute("SELECT tenant_id, public_id FROM invitation_find(%s)", [digests])
        row = cursor.fetchone()
    if row is None:
        raise InvitationNotFound
    tenant_id, public_id = row
    with tenant_scope(tenant_id):
        tenant = Tenant.objects.get(pk=tenant_id)
        good = _good(tenant_id).filter(public_id=public_id).first()
    if good is None or tenant.status != Tenant.Status.ACTIVE:
        raise InvitationNotFound
    return Found(tenant_id, public_id, tenant.name, good.email, good.role)


@transaction.atomic
def invitation_accept(*, secret: str, user: User) -> Found:
    """The user takes the place. Raises InvitationNotFound, also for another person's address."""
    found = invitation_find(secret)
    if user.email.lower() != found.email:
        raise InvitationNotFound
    _take(found.tenant_id, user, public_id=found.public_id)
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    return found


@transaction.atomic
def account_set_up(*, secret: str, name: str, password: str) -> Found:
    """An account for the invited address, and the place with it. Raises InvitationNotFound.

    Only for an address without an account that has a password: the link proves the address, it
    does not change how somebody signs in.
    """
    found = invitation_find(secret)
    user = User.objects.select_for_update().filter(email__iexact=found.email).first()
    if user is None:
        user = User.objects.create_user(found.email, password)
    elif user.has_usable_password():
        raise InvitationNotFound
    user.name = " ".join(name.split())[:200]
    user.set_password(password)
    user.save(update_fields=["name", "password"])
    return invitation_accept(secret=secret, user=user)


@transaction.atomic
def invitation_accept_by_provider(*, tenant_id: uuid.UUID, email: str) -> User | None:
    """The place that waits for that address in the provider's tenant; None: none does."""
    with tenant_scope(tenant_id):
        waits = _good(tenant_id).filter(email=email).values_list("public_id", flat=True).first()
    if waits is None:
        return None
    user = User.objects.filter(email__iexact=email).first() or User.objects.create_user(email)
    _take(tenant_id, user, public_id=waits)
    return user


def _take(tenant_id: uuid.UUID, user: User, *, public_id: str) -> None:
    with tenant_scope(tenant_id):
        rows = _good(tenant_id).select_for_update()
        invitation = rows.filter(public_id=public_id).first()
        if invitation is None:  # somebody was quicker
            raise InvitationNotFound
        invitation.accepted_at = database_now()
        invitation.save(update_fields=["accepted_at"])
        Membership.objects.get_or_create(
            tenant_id=tenant_id,
            user=user,
            defaults={"role": invitation.role, "agencies": invitation.agencies},
        )
        _note(invitation, "invitation.accept", f"user:{user.pk}")


def _good(tenant_id: uuid.UUID):  # type: ignore[no-untyped-def]
    rows = Invitation.objects.for_tenant(tenant_id)
    return rows.filter(accepted_at=None, revoked_at=None, expires_at__gt=Now())


def _waiting(tenant_id: uuid.UUID, public_id: str) -> Invitation:
    rows = Invitation.objects.for_tenant(tenant_id).select_for_update()
    found = rows.filter(public_id=public_id, accepted_at=None, revoked_at=None).first()
    if found is None:
        raise InvalidRequest("This invitation is over. Invite the person again.")
    return found


def _room_checked(tenant_id: uuid.UUID, email: str) -> None:
    members = Membership.objects.for_tenant(tenant_id).filter(user__email__iexact=email)
    if members.exists():
        raise InvalidRequest("This person is in the team already.", details={"field": "email"})
    waiting = Invitation.objects.for_tenant(tenant_id).filter(accepted_at=None, revoked_at=None)
    if waiting.filter(email=email).exists():
        raise InvalidRequest(
            "An invitation to this address waits already: send it again, or revoke it.",
            details={"field": "email"},
        )
    if waiting.count() >= OPEN_MOST:
        raise InvalidRequest(f"At most {OPEN_MOST} invitations wait at a time.")


def address_checked(text: str) -> str:
    """The address in lower case. Raises InvalidRequest."""
    email = text.strip().lower()
    try:
        validate_email(email)
    except ValidationError as odd:
        raise InvalidRequest("This is no e-mail address.", details={"field": "email"}) from odd
    if len(email) > 254:
        raise InvalidRequest("This address is too long.", details={"field": "email"})
    return email


def mail_checked() -> None:
    """Without mail nobody can prove an address; the link must not go by the inviter's hands."""
    if not settings.EMAIL_URL:
        raise InvalidRequest("No mail leaves this installation: its operator sets EMAIL_URL.")


def _secret() -> str:
    return secrets.token_urlsafe(32)


def _digest(secret: str) -> str:
    return keyed_digest(secret.encode(), purpose=_PURPOSE)


def _note(
    invitation: Invitation, action: str, actor: str, details: dict[str, object] | None = None
) -> None:
    audit(
        tenant_id=invitation.tenant_id,
        actor=actor,
        action=action,
        target=f"invitation:{invitation.public_id}",
        details=details,
    )


def _send(invitation: Invitation, secret: str) -> None:
    with tenant_scope(invitation.tenant_id):
        name = Tenant.objects.get(pk=invitation.tenant_id).name
    context = {
        "tenant": name,
        "role": invitation.role,
        "days": GOOD_FOR.days,
        "link": f"{settings.PUBLIC_URL}/invitation/{secret}",
    }
    mail = EmailMessage(
        subject=" ".join(f"Your place in {name}'s training calls".split()),
        body=render_to_string("tenants/invitation.txt", context),
        to=[invitation.email],
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as away:
        raise MailUnavailable from away
    with tenant_scope(invitation.tenant_id):
        rows = Invitation.objects.for_tenant(invitation.tenant_id)
        rows.filter(Q(pk=invitation.pk, digest=invitation.digest)).update(sent_at=Now())
    logger.info("invitation sent", extra={"invitation_id": invitation.public_id})
