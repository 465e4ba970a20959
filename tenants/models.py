"""Who is asking: tenants, their people, their keys."""

import secrets
import uuid
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Lower, NullIf

from tenants.grants import Grant
from tenants.isolation import TenantItselfManager, TenantManager


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **extra: object) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **extra: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in to the dashboard. Not a rep: reps are named by integrators."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]


class Tenant(models.Model):
    """A reseller of roleplay training. It owns everything else; the API key is its boundary."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    monthly_minutes = models.PositiveIntegerField(null=True, blank=True)  # None: no limit
    allowed_ips = ArrayField(models.CharField(max_length=64), default=list, blank=True)  # CIDR
    browser_origins = ArrayField(models.CharField(max_length=300), default=list, blank=True)
    # Days that content is kept (docs/retention.md). None: until it is erased.
    audio_days = models.PositiveSmallIntegerField(null=True, blank=True, default=30)
    transcript_days = models.PositiveSmallIntegerField(null=True, blank=True, default=180)
    webhook_payload_days = models.PositiveSmallIntegerField(null=True, blank=True, default=30)
    # Whether reps may keep a call to themselves (docs/reps.md).
    private_practice = models.BooleanField(default=False, db_default=False)
    # Whether members need a second factor. None: as the deployment has it (MFA_REQUIRED).
    mfa_required = models.BooleanField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[TenantItselfManager[Self]] = TenantItselfManager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__range": (1, 3650)}),
                name=f"tenant_{name}_range",
            )
            for name in ("audio_days", "transcript_days", "webhook_payload_days")
        ]


class TenantRow(models.Model):
    """A row that belongs to one tenant. Row-level security hides it from every other.

    Every ForeignKey of such a row has `db_constraint=False`; the migration adds the real one by
    `row_security.composite_foreign_key`, over (tenant_id, x_id), or `plain_foreign_key`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        abstract = True


def agency_public_id() -> str:
    return "agency_" + public_suffix()


def rep_public_id() -> str:
    return "rep_" + public_suffix()


# What stands for a rep in lists, for their order.
SORT_NAME = Lower(Coalesce(NullIf(F("name"), Value("")), F("external_id")))


class Agency(TenantRow):
    """A group of reps, named by the integrator (`externalAgencyId`).

    Its public id stands in the dashboard's addresses: what integrators call it may hold anything.
    """

    public_id = models.CharField(
        max_length=40, unique=True, default=agency_public_id, editable=False
    )
    external_id = models.CharField(max_length=200)
    name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="agency_once_per_tenant")
        ]


class Rep(TenantRow):
    """A person who practises, named by the integrator (`externalUserId`).

    An empty `name` means that nobody has said yet who it is. The public id is as an agency's.
    """

    public_id = models.CharField(max_length=40, unique=True, default=rep_public_id, editable=False)
    external_id = models.CharField(max_length=200)
    agency = models.ForeignKey(
        Agency,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="reps",
        db_constraint=False,
    )
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    team = models.CharField(max_length=200, blank=True)
    # Those of name, email and team that the integrator told and no person has changed since.
    told = ArrayField(models.CharField(max_length=5), default=list, db_default=[], blank=True)
    reminders_stopped_at = models.DateTimeField(null=True, blank=True)  # by the rep: no more mails
    # Made by a call with a test key, and seen nowhere else since: no part of the live lists.
    sandbox_only = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="rep_once_per_tenant")
        ]
        indexes = [
            models.Index("tenant", SORT_NAME, "id", name="rep_by_name"),
            models.Index("tenant", "agency", SORT_NAME, "id", name="rep_of_agency"),
        ]


class Membership(TenantRow):
    """A user's part in a tenant; `agencies` empty means all of them."""

    class Role(models.TextChoices):
        OWNER = "owner"
        MANAGER = "manager"
        ANALYST = "analyst"
        DEVELOPER = "developer"

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="memberships", db_constraint=False
    )
    role = models.CharField(max_length=12, choices=Role)
    agencies = ArrayField(models.UUIDField(), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_once_per_tenant")
        ]


def invitation_public_id() -> str:
    return "inv_" + public_suffix()


class Invitation(TenantRow):
    """A place in a tenant that waits for the person with that address, who gets it by mail."""

    public_id = models.CharField(
        max_length=40, unique=True, default=invitation_public_id, editable=False
    )
    email = models.EmailField()  # in lower case
    role = models.CharField(max_length=12, choices=Membership.Role)
    agencies = ArrayField(models.UUIDField(), default=list, blank=True)
    digest = models.CharField(max_length=64, unique=True)  # of the link's secret
    invited_by = models.CharField(max_length=120)  # an actor
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)  # when the mail server took it
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            )
        ]


def single_sign_on_public_id() -> str:
    return "sso_" + public_suffix()


class SingleSignOn(TenantRow):
    """The tenant's own identity provider: one at most. What it says holds for this tenant only."""

    class Kind(models.TextChoices):
        OIDC = "oidc"
        SAML = "saml"

    public_id = models.CharField(
        max_length=40, unique=True, default=single_sign_on_public_id, editable=False
    )
    kind = models.CharField(max_length=4, choices=Kind)
    # OIDC: the issuer and our client there. SAML: the provider's entity id, address and certificate
    issuer = models.CharField(max_length=2048)
    client_id = models.CharField(max_length=255, blank=True)
    sealed_secret = models.TextField(blank=True)  # under ENCRYPTION_KEYS
    address = models.CharField(max_length=2048, blank=True)
    certificate = models.TextField(blank=True)
    required = models.BooleanField(default=False)  # of everybody but owners
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="single_sign_on_once")]


def key_public_id() -> str:
    return "key_" + public_suffix()


class ApiKey(TenantRow):
    """A bearer of the tenant's backend. Only a digest of it is kept."""

    class Mode(models.TextChoices):
        LIVE = "live"
        TEST = "test"

    public_id = models.CharField(max_length=40, unique=True, default=key_public_id, editable=False)
    name = models.CharField(max_length=100)
    mode = models.CharField(max_length=4, choices=Mode, default=Mode.LIVE)
    digest = models.BinaryField(max_length=32, unique=True)  # HMAC-SHA256 under `pepper_id`
    pepper_id = models.CharField(max_length=40)
    hint = models.CharField(max_length=24)  # first 12 and last 4 characters
    scopes = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    agencies = ArrayField(models.UUIDField(), default=list, blank=True)
    allowed_ips = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)  # in the future: a grace runs
    last_used_at = models.DateTimeField(null=True, blank=True)

    @property
    def grant(self) -> Grant:
        """What the key gives to whoever holds it."""
        return Grant(
            mode=self.mode,
            scopes=frozenset(self.scopes),
            agencies=frozenset(self.agencies),
            networks=tuple(self.allowed_ips),
            expires_at=self.expires_at,
        )


class AuditEvent(TenantRow):
    """Who did what. The serving role may only insert and read."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=120)  # user:<id>, key:<id>, system
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=120, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-at", "-id"], name="audit_by_time"),
            models.Index(fields=["tenant", "action", "-at", "-id"], name="audit_by_action"),
            models.Index(fields=["tenant", "actor", "-at", "-id"], name="audit_by_actor"),
        ]


class ApiRequest(TenantRow):
    """One answered request of the external API, for seven days; its id is the request's own UUID.

    Nothing of what was said in it is kept: no body, no path, no header but what `subject` names.
    `key` may be empty (a session token was used) and is no reference: a row must never be refused.
    """

    at = models.DateTimeField()  # when it was answered
    method = models.CharField(max_length=7)
    route = models.CharField(max_length=100, blank=True)  # "/calls/{callId}"; empty: no address
    query = models.CharField(max_length=200, blank=True)  # of parameters that name nobody
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=40, blank=True)  # of the refusal
    field = models.CharField(max_length=60, blank=True)  # of the request, that was refused
    subject = models.CharField(max_length=300, blank=True)  # the address or web site refused
    key_id = models.UUIDField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-at", "-id"], name="request_of_tenant"),
            models.Index(
                fields=["tenant", "-at", "-id"],
                name="request_refused",
                condition=Q(status__gte=400),
            ),
        ]


class IdempotentAnswer(TenantRow):
    """What a write with an Idempotency-Key was answered with, for a day (`tenants.idempotency`).

    Sealed, for it may hold a secret that is shown once. Empty only inside its own transaction.
    """

    digest = models.CharField(max_length=64)  # of the sender, the address and the key
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    sealed_answer = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "created_at"], name="answer_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "digest"], name="answer_once"),
        ]


class Branding(TenantRow):
    """How the tenant's rep page looks: one row at most. The name on it is the tenant's own."""

    class LogoType(models.TextChoices):
        PNG = "image/png"
        JPEG = "image/jpeg"
        WEBP = "image/webp"

    color = models.CharField(max_length=7, blank=True)  # "#1f6feb"; empty: ours
    logo = models.BinaryField(default=b"", blank=True)
    logo_type = models.CharField(max_length=10, choices=LogoType, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="branding_once_per_tenant"),
            models.CheckConstraint(
                condition=Q(color="") | Q(color__regex=r"^#[0-9a-f]{6}$"), name="branding_color"
            ),
        ]


class ConsentText(TenantRow):
    """What reps agree to on the tenant's rep page. Never changed: a new text is a new version."""

    version = models.PositiveIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "version"], name="consent_version_once"),
        ]


def public_suffix() -> str:
    """21 characters of A-Za-z0-9_-: 126 random bits, the tail of every id that leaves us."""
    return secrets.token_urlsafe(16)[:21]
