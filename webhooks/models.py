"""What integrators are told: endpoints, events, deliveries, attempts."""

import uuid
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from tenants.models import ApiKey, TenantRow, public_suffix
from work.models import DueRow


def endpoint_public_id() -> str:
    return "ep_" + public_suffix()


def event_public_id() -> str:
    return f"wh_{uuid.uuid4()}"


class Rehearsal(models.TextChoices):
    """How the delivery of a test's event misbehaves on request (`webhooks.rehearsals`)."""

    NORMAL = "normal"
    FAIL = "fail"
    HANG = "hang"
    LATE = "late"
    TWICE = "twice"
    NEVER = "never"


class Endpoint(TenantRow):
    """A URL of the integrator that wants to hear of events: of live keys, or of test keys.

    Secrets are sealed with `tenants.sealing`: we must read them again to sign. While
    `previous_until` lies ahead, deliveries are signed with the previous secret as well.
    """

    class DisabledReason(models.TextChoices):
        GONE = "gone"  # the receiver answered 410
        FAILING = "failing"  # nothing arrived for days (`webhooks.health`)
        MANUAL = "manual"

    public_id = models.CharField(
        max_length=40, unique=True, default=endpoint_public_id, editable=False
    )
    mode = models.CharField(max_length=4, choices=ApiKey.Mode, default=ApiKey.Mode.LIVE)
    url = models.CharField(max_length=2048)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(
        models.CharField(max_length=60), default=list, blank=True
    )  # empty: call.scored
    enabled = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=12, choices=DisabledReason, blank=True)
    sealed_secret = models.TextField()
    sealed_previous_secret = models.TextField(blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    # The unbroken run of failures up to now: where it began, and how many attempts it has.
    failing_since = models.DateTimeField(null=True, blank=True)
    failed_attempts = models.PositiveIntegerField(default=0)
    warned_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(enabled=True) | Q(disabled_at__isnull=False),
                name="endpoint_disabled_has_time",
            ),
            models.CheckConstraint(
                condition=Q(sealed_previous_secret="") | Q(previous_until__isnull=False),
                name="endpoint_previous_has_end",
            ),
        ]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


class EndpointNotice(TenantRow, DueRow):
    """A mail to the tenant's managers about an endpoint. Due until it is sent."""

    class Subject(models.TextChoices):
        FAILING = "failing"  # for a day: a warning
        DISABLED = "disabled"

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="notices", db_constraint=False
    )
    subject = models.CharField(max_length=12, choices=Subject)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    recipients = models.PositiveSmallIntegerField(default=0)  # how many people it was sent to

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="notice_due", condition=Q(sent_at__isnull=True)),
        ]


class Event(TenantRow):
    """Something that happened once. Its body never changes: each attempt sends these bytes.

    Only the tenant's retention empties it, once no delivery of it is pending.

    `subject_id` is the row it is about, a call's id; nothing above webhooks is known here, so it is
    not a foreign key. `call_id` is the call's name in the body, by which people look for it.
    """

    public_id = models.CharField(
        max_length=40, unique=True, default=event_public_id, editable=False
    )
    mode = models.CharField(max_length=4, choices=ApiKey.Mode, default=ApiKey.Mode.LIVE)
    type = models.CharField(max_length=60)
    subject_id = models.UUIDField()
    # Which one, of a kind that can happen to its subject several times; null: it happens once.
    occurrence = models.UUIDField(null=True, blank=True)
    call_id = models.CharField(max_length=40, blank=True)  # athos_call_...; empty: of no call
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    body_expired_at = models.DateTimeField(null=True, blank=True)  # its body is empty since then

    class Meta:
        indexes = [
            models.Index(
                fields=["tenant", "created_at"],
                name="event_with_body",
                condition=Q(body_expired_at=None),
            ),
            models.Index(fields=["tenant", "subject_id"], name="event_of_subject"),
            models.Index(
                fields=["tenant", "call_id"], name="event_of_call", condition=~Q(call_id="")
            ),
            models.Index(fields=["tenant", "created_at"], name="event_by_age"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "type", "subject_id"],
                name="event_once_per_subject",
                condition=Q(occurrence=None),
            ),
            models.UniqueConstraint(
                fields=["tenant", "type", "occurrence"],
                name="event_once_per_occurrence",
                condition=Q(occurrence__isnull=False),
            ),
        ]


class Delivery(TenantRow, DueRow):
    """One event on its way to one endpoint. Due while it is pending."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"  # all attempts, or the receiver said 410
        ABANDONED = "abandoned"  # its endpoint was disabled before it arrived

    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False
    )
    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="deliveries", db_constraint=False
    )
    # The endpoint's and the event's, to search a long log by them.
    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    event_type = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    rehearsal = models.CharField(max_length=6, choices=Rehearsal, default=Rehearsal.NORMAL)
    attempt_count = models.PositiveSmallIntegerField(default=0)  # since the last replay
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)  # HTTP, of the last one
    last_failure = models.CharField(max_length=40, blank=True)  # code of the last one
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["endpoint", "due_at", "id"],
                name="delivery_waiting",
                condition=Q(state="pending"),
            ),
            models.Index(
                fields=["endpoint"],
                name="delivery_leased",
                condition=Q(state="pending", lease_token__isnull=False),
            ),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_of_endpoint"),
            models.Index(fields=["tenant", "mode", "-created_at", "-id"], name="delivery_of_mode"),
            models.Index(
                fields=["tenant", "mode", "event_type", "-created_at", "-id"],
                name="delivery_of_type",
            ),
            models.Index(
                fields=["tenant", "mode", "-created_at", "-id"],
                name="delivery_undelivered",
                condition=Q(state__in=["failed", "abandoned"]),
            ),
            models.Index(
                fields=["endpoint", "-created_at", "-id"],
                name="delivery_undelivered_there",
                condition=Q(state__in=["failed", "abandoned"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "event", "endpoint"], name="delivery_once_per_endpoint"
            ),
            models.CheckConstraint(
                condition=Q(state="pending", ended_at__isnull=True, due_at__isnull=False)
                | (~Q(state="pending") & Q(ended_at__isnull=False, due_at__isnull=True)),
                name="delivery_pending_or_ended",
            ),
        ]


class Attempt(TenantRow):
    """One try of a delivery: what was sent, what came back, how long each part took."""

    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempts", db_constraint=False
    )
    number = models.PositiveSmallIntegerField()  # 1, 2, ...
    started_at = models.DateTimeField()
    lookup_ms = models.PositiveIntegerField(null=True, blank=True)  # the name; None: not reached
    connect_ms = models.PositiveIntegerField(null=True, blank=True)  # TCP and TLS
    answer_ms = models.PositiveIntegerField(null=True, blank=True)  # connected to answer's head
    total_ms = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)  # HTTP
    error = models.CharField(max_length=40, blank=True)  # a code; empty: delivered
    response_body = models.CharField(max_length=1024, blank=True)  # its first bytes
    request_headers = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "delivery", "number"], name="attempt_number_once"
            )
        ]
