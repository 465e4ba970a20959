"""The conversation: drills, session tokens, calls, turns, recordings, and who carries a call."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q

from tenants.isolation import CATALOGUE
from tenants.models import Agency, ApiKey, Rep, Tenant, TenantRow, public_suffix
from webhooks.models import Rehearsal
from work.models import DueRow


def call_public_id() -> str:
    return "athos_call_" + public_suffix()


def session_public_id() -> str:
    return "ext_" + public_suffix()


def comment_public_id() -> str:
    return "cmt_" + public_suffix()


def erasure_public_id() -> str:
    return "era_" + public_suffix()


def assignment_public_id() -> str:
    return "asg_" + public_suffix()


class Drill(TenantRow):
    """One version of a drill: who the persona is, what it knows, how it is scored.

    Versions are never changed. The catalogue belongs to the shared tenant
    (`tenants.isolation.CATALOGUE`) and may be read by all.
    """

    key = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)  # sha256 of the pack
    title = models.CharField(max_length=200)
    pack = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key", "version"], name="drill_version_once"),
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"), name="drill_key_form"
            ),
        ]


class Call(TenantRow, DueRow):
    """One practice conversation between a rep and a persona."""

    class Stage(models.TextChoices):
        CREATED = "created"
        LIVE = "live"
        ENDED = "ended"
        TRANSCRIBED = "transcribed"
        SCORED = "scored"
        FAILED = "failed"

    class Difficulty(models.TextChoices):
        BEGINNER = "Beginner"
        ADVANCED = "Advanced"
        ELITE = "Elite"

    class EndReason(models.TextChoices):
        REP_ENDED = "rep_ended"
        NETWORK_LOST = "network_lost"
        WORKER_LOST = "worker_lost"
        CEILING = "ceiling"
        NEVER_CONNECTED = "never_connected"
        ENGINES_FAILED = "engines_failed"

    class Failure(models.TextChoices):
        NEVER_CONNECTED = "never_connected"
        REP_NEVER_SPOKE = "rep_never_spoke"
        SCORING_INCOMPLETE = "scoring_incomplete"

    class ConsentSource(models.TextChoices):
        REP_PAGE = "rep_page"
        INTEGRATOR = "integrator"

    public_id = models.CharField(max_length=40, default=call_public_id, editable=False)
    session_id = models.CharField(max_length=40, default=session_public_id, editable=False)
    mode = models.CharField(max_length=4, choices=ApiKey.Mode, default=ApiKey.Mode.LIVE)
    source = models.CharField(max_length=20, default="roleplay")
    rep = models.ForeignKey(
        Rep, on_delete=models.PROTECT, related_name="calls", db_constraint=False, db_index=False
    )
    agency = models.ForeignKey(
        Agency,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="calls",
        db_constraint=False,
        db_index=False,  # call_newest_made_of_agency serves
    )
    external_user_id = models.CharField(max_length=200)
    external_agency_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - null in the API
    drill_owner = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    drill = models.ForeignKey(
        Drill, on_delete=models.PROTECT, related_name="calls", db_constraint=False
    )
    drill_key = models.CharField(max_length=100)
    difficulty = models.CharField(max_length=10, choices=Difficulty, default=Difficulty.ADVANCED)
    filters = models.JSONField(default=dict, blank=True)
    persona_name = models.CharField(max_length=100)
    seed = models.PositiveBigIntegerField()  # the director's choices are replayable from it

    stage = models.CharField(max_length=12, choices=Stage, default=Stage.CREATED)
    end_reason = models.CharField(max_length=20, choices=EndReason, blank=True)
    # Why there is no score, once the customer was told. A parked call keeps its stage beside it.
    failure = models.CharField(max_length=20, choices=Failure, blank=True)
    epoch = models.PositiveIntegerField(default=0)  # the fence: every write of a worker names it
    # Where the persona stands (`calls.live.conversation.Conversation.standing`), kept with each
    # turn, so that another worker can go on. Null before the first turn and once the call is over.
    standing = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    scored_at = models.DateTimeField(null=True, blank=True)
    # The score as it stands, overrides included, for lists; null where there is none, where a
    # manager said that it does not count, and where the rep keeps it to themselves (`private`).
    overall = models.PositiveSmallIntegerField(null=True, blank=True)  # 0..100
    # What the rep agreed to: a text of our page by its version, or what the integrator states.
    consent_source = models.CharField(max_length=10, choices=ConsentSource, blank=True)
    consent_version = models.CharField(max_length=100, blank=True)
    consented_at = models.DateTimeField(null=True, blank=True)
    # The rep kept the call to themselves before it began (docs/decisions/0024-private-practice.md).
    private = models.BooleanField(default=False, db_default=False)
    # When the tenant's retention deleted that content (docs/retention.md).
    audio_expired_at = models.DateTimeField(null=True, blank=True)
    transcript_expired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["tenant", "ended_at"],
                name="call_with_audio",
                condition=Q(audio_expired_at=None, ended_at__isnull=False),
            ),
            models.Index(
                fields=["tenant", "ended_at"],
                name="call_with_transcript",
                condition=Q(transcript_expired_at=None, ended_at__isnull=False),
            ),
            models.Index(  # a month's usage, told by the index alone
                fields=["tenant", "mode", "ended_at"],
                include=["started_at", "stage", "agency", "external_agency_id"],
                name="call_usage",
                condition=Q(started_at__isnull=False),
            ),
            # The dashboard's list; the API's two lists, each whole, of one rep, of one agency. What
            # stands behind the order is a filter beside it, looked at without fetching the row.
            models.Index(
                fields=["tenant", "mode", "-created_at", "-id"], name="call_newest_made_first"
            ),
            models.Index(
                fields=["tenant", "agency", "mode", "-created_at", "-id"],
                name="call_newest_made_of_agency",
            ),
            models.Index(
                fields=["tenant", "rep", "mode", "-created_at", "-id", "agency"],
                name="call_newest_made_of_rep",
            ),
            models.Index(
                fields=["tenant", "mode", "drill_key", "-created_at", "-id"],
                name="call_newest_made_of_drill",
            ),
            models.Index(
                fields=["tenant", "mode", "stage", "-created_at", "-id"],
                name="call_newest_made_unscored",
                condition=~Q(stage="scored"),
            ),
            models.Index(
                fields=["tenant", "mode", "overall"],
                name="call_of_score",
                condition=Q(overall__isnull=False),
            ),
            *(
                models.Index(
                    fields=["tenant", "mode", *fields], name=name, condition=Q(stage="scored")
                )
                for name, fields in (
                    ("scored_newest_first", ("-ended_at", "-id")),
                    (
                        "scored_newest_first_of_rep",
                        ("external_user_id", "-ended_at", "-id", "agency"),
                    ),
                    ("scored_newest_first_of_agency", ("agency", "-ended_at", "-id")),
                    ("scored_in_order", ("scored_at", "id", "ended_at")),
                    ("scored_in_order_of_rep", ("external_user_id", "scored_at", "id", "agency")),
                    ("scored_in_order_of_agency", ("agency", "scored_at", "id", "ended_at")),
                )
            ),
            models.Index(fields=["due_at"], name="call_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["started_at"], name="call_live", condition=Q(stage="live")),
        ]
        constraints = [
            # not unique=True: that adds a second index to each, for LIKE
            models.UniqueConstraint(fields=["public_id"], name="call_public_id_once"),
            models.UniqueConstraint(fields=["session_id"], name="call_session_id_once"),
            models.CheckConstraint(
                condition=~Q(stage="live") | Q(started_at__isnull=False), name="call_live_started"
            ),
            models.CheckConstraint(
                condition=~Q(stage__in=["ended", "transcribed", "scored"])
                | Q(started_at__isnull=False, ended_at__isnull=False),
                name="call_ended_has_times",
            ),
            models.CheckConstraint(
                condition=~Q(stage="scored") | Q(scored_at__isnull=False, failure=""),
                name="call_scored_is_no_failure",
            ),
            models.CheckConstraint(
                condition=Q(consent_source="", consent_version="", consented_at=None)
                | (Q(consented_at__isnull=False) & ~Q(consent_source="") & ~Q(consent_version="")),
                name="call_consent_whole",
            ),
            models.CheckConstraint(
                condition=Q(drill_owner=F("tenant")) | Q(drill_owner=CATALOGUE),
                name="call_drill_own_or_shared",
            ),
            models.CheckConstraint(  # all lists and sums by score go by `overall`
                condition=Q(private=False) | Q(overall=None), name="call_private_tells_no_score"
            ),
        ]


class SandboxCall(TenantRow, DueRow):
    """What a call with a test key is to be made of, and how its webhook is to behave.

    Due until the call was made. Named scripts are files (`calls/sandbox/scripts`); lines of the
    integrator's own are kept here only as long as they are needed.
    """

    call = models.OneToOneField(
        Call, on_delete=models.CASCADE, related_name="sandbox", db_constraint=False
    )
    script = models.CharField(max_length=20, blank=True)  # empty: the lines below
    rep_lines = models.JSONField(default=list, blank=True)
    webhook = models.CharField(max_length=6, choices=Rehearsal, default=Rehearsal.NORMAL)
    webhook_delay = models.PositiveSmallIntegerField(default=0)  # seconds, for one that comes late
    # When the call is to have ended: demo data (`calls.sandbox.month`). Null: when it was made.
    happened_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], name="sandbox_call_due", condition=Q(due_at__isnull=False)
            ),
        ]


class SessionToken(TenantRow):
    """A token minted for one redeem. The row, not the JWT, says whether it was spent."""

    jti = models.UUIDField(unique=True, default=uuid.uuid4)
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    mode = models.CharField(max_length=4, choices=ApiKey.Mode, default=ApiKey.Mode.LIVE)
    external_user_id = models.CharField(max_length=200)
    external_agency_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True, blank=True)
    consent_version = models.CharField(max_length=100, blank=True)  # as the integrator states it
    consented_at = models.DateTimeField(null=True, blank=True)
    call = models.OneToOneField(
        Call,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="session_token",
        db_constraint=False,
    )

    class Meta:
        indexes = [models.Index(fields=["tenant", "external_user_id"], name="session_token_of_rep")]


class Turn(TenantRow):
    """What one side said, with times in seconds from the start of the call."""

    class Role(models.TextChoices):
        ASSISTANT = "assistant"  # the persona
        USER = "user"  # the rep

    call = models.ForeignKey(
        Call, on_delete=models.CASCADE, related_name="turns", db_constraint=False
    )
    number = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Role)
    text = models.TextField()  # of the persona: only what was heard
    start_time = models.FloatField()
    end_time = models.FloatField()
    interrupted = models.BooleanField(default=False)
    words = models.JSONField(default=list, blank=True)  # [{"w", "s", "e", "p"}]
    latency = models.JSONField(
        default=dict, blank=True
    )  # milliseconds by part, see docs/latency.md
    director = models.JSONField(default=dict, blank=True)  # state and choice that made the reply
    epoch = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["call", "number"], name="turn_number_once")]


class CallLedger(TenantRow):
    """How the turns of a call went, in figures that tell nothing of what was said.

    Kept with the call when its turns are gone (docs/retention.md). Times in milliseconds, at most
    `services.ledger.MOST` each.
    """

    call = models.OneToOneField(
        Call, on_delete=models.CASCADE, related_name="ledger", db_constraint=False
    )
    answers_ms = ArrayField(models.PositiveIntegerField(), default=list)  # mouth to ear
    barge_ins_ms = ArrayField(models.PositiveIntegerField(), default=list)
    rep_turns = models.PositiveIntegerField(default=0)
    cut_offs = models.PositiveIntegerField(default=0)
    missed_ends = models.PositiveIntegerField(default=0)
    false_stops = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)


class RecordingPart(TenantRow):
    """About five seconds of one channel, as Ogg Opus: the packets as they went over the wire."""

    class Channel(models.TextChoices):
        REP = "rep"
        PERSONA = "persona"

    call = models.ForeignKey(
        Call, on_delete=models.CASCADE, related_name="recording_parts", db_constraint=False
    )
    channel = models.CharField(max_length=8, choices=Channel)
    epoch = models.PositiveIntegerField()
    number = models.PositiveIntegerField()
    offset = models.FloatField()  # seconds from the start of the call to the first sample
    duration = models.FloatField()  # seconds
    file = models.FileField(max_length=300)
    size = models.PositiveIntegerField()  # bytes
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["offset"]
        constraints = [
            models.UniqueConstraint(
                fields=["call", "channel", "epoch", "number"], name="recording_part_once"
            )
        ]


class HeardChunk(TenantRow):
    """About five minutes of a recording, recognised: the checkpoint of a transcription.

    Gone once the transcript is whole. Times are seconds from the start of the call.
    """

    call = models.ForeignKey(
        Call, on_delete=models.CASCADE, related_name="heard_chunks", db_constraint=False
    )
    number = models.PositiveIntegerField()
    start = models.FloatField()
    end = models.FloatField()
    rep_words = models.JSONField(default=list)  # [{"w", "s", "e", "p"}]
    persona_words = models.JSONField(default=list)  # only of what no turn tells
    persona_voiced = models.JSONField(default=list)  # [[start, end]]

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="heard_chunk_once"),
        ]


class TranscriptLine(TenantRow):
    """One line of the final transcript. Turns are what the live call understood; this is kept.

    The rep's words are recognised from the recording, the persona's are known. Times are seconds
    from the start of the call; every word lies inside its line.
    """

    call = models.ForeignKey(
        Call, on_delete=models.CASCADE, related_name="transcript_lines", db_constraint=False
    )
    number = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Turn.Role)
    text = models.TextField()
    start_time = models.FloatField()
    end_time = models.FloatField()
    interrupted = models.BooleanField(default=False)
    words = models.JSONField(default=list)  # [{"w", "s", "e", "p"}]
    lag = models.FloatField(default=0.0)  # seconds of the pause before it that our engines took

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="transcript_line_once"),
            models.CheckConstraint(
                condition=Q(end_time__gte=F("start_time")), name="transcript_line_times"
            ),
        ]


class TranscriptWords(TenantRow):
    """The words of a whole transcript, for searching; both sides together.

    Row security would switch its index off, so it is used by the functions `calls_saying` and
    `calls_said` alone. Beside the words stand the tenant's id, so that no other tenant's calls are
    looked at, and labels of what the call is (the function `calls_labels`).
    """

    call = models.OneToOneField(
        Call, on_delete=models.CASCADE, related_name="words", db_constraint=False
    )
    words = SearchVectorField()
    created_at = models.DateTimeField()  # the call's

    class Meta:
        indexes = [GinIndex(fields=["words"], name="transcript_words", fastupdate=False)]


class Recording(TenantRow):
    """The whole call as one stereo file that browsers play: the rep left, the persona right."""

    class Format(models.TextChoices):
        MP3 = "mp3"

    call = models.OneToOneField(
        Call, on_delete=models.CASCADE, related_name="recording", db_constraint=False
    )
    file = models.FileField(max_length=300)
    format = models.CharField(max_length=3, choices=Format, default=Format.MP3)
    duration = models.FloatField()  # seconds
    size = models.PositiveIntegerField()  # bytes
    # How loud it is, for the picture: a byte (0..255) for each of equal stretches, first the rep's,
    # then as many of the persona's. Empty for recordings of before.
    peaks = models.BinaryField(default=b"", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)


class Comment(TenantRow):
    """What a member wrote beside a line of the transcript."""

    public_id = models.CharField(
        max_length=40, unique=True, default=comment_public_id, editable=False
    )
    call = models.ForeignKey(
        Call, on_delete=models.CASCADE, related_name="comments", db_constraint=False
    )
    line_number = models.PositiveIntegerField()  # of TranscriptLine
    text = models.TextField()
    author_id = models.UUIDField()  # the user
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at"]


class Dispute(TenantRow):
    """A rep who sees a verdict differently, and what a manager answered."""

    call = models.ForeignKey(
        Call, on_delete=models.CASCADE, related_name="disputes", db_constraint=False
    )
    scorecard_version = models.PositiveSmallIntegerField()
    check_key = models.CharField(max_length=60)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    reply = models.TextField(blank=True)
    replied_at = models.DateTimeField(null=True, blank=True)
    replied_by = models.UUIDField(null=True, blank=True)  # the user

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call", "scorecard_version", "check_key"],
                name="dispute_once_per_verdict",
            ),
            models.CheckConstraint(
                condition=Q(reply="", replied_at=None) | Q(replied_at__isnull=False),
                name="dispute_reply_has_time",
            ),
        ]
        indexes = [
            models.Index(  # who waits for an answer, the longest first
                fields=["tenant", "created_at"], name="dispute_open", condition=Q(reply="")
            ),
        ]


class Rescoring(TenantRow, DueRow):
    """That a call is to be scored again, and what came of it last time. Due until it was tried."""

    class Outcome(models.TextChoices):
        SCORED = "scored"
        INCOMPLETE = "incomplete"  # too little could be verified: the old score stands

    call = models.OneToOneField(
        Call, on_delete=models.CASCADE, related_name="rescoring", db_constraint=False
    )
    actor = models.CharField(max_length=120)  # as in AuditEvent
    requested_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)  # empty: not yet

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="rescoring_due", condition=Q(due_at__isnull=False))
        ]


class Erasure(TenantRow, DueRow):
    """The data of one call or one rep on its way out, and afterwards the receipt for it.

    `subject_digest` is a keyed digest, so that asking again finds the same receipt;
    `sealed_subject` is what is to be erased and is emptied at the end. Due until it is finished.
    """

    class Subject(models.TextChoices):
        CALL = "call"
        REP = "rep"

    public_id = models.CharField(
        max_length=40, unique=True, default=erasure_public_id, editable=False
    )
    subject = models.CharField(max_length=4, choices=Subject)
    subject_digest = models.CharField(max_length=64)
    sealed_subject = models.TextField(blank=True)
    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    agencies = ArrayField(models.UUIDField(), default=list, blank=True)  # empty: all
    actor = models.CharField(max_length=120)  # as in AuditEvent
    requested_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, blank=True)  # by store, see calls.erasure.stores
    signature = models.CharField(max_length=64, blank=True)  # HMAC over the receipt

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], name="erasure_due", condition=Q(finished_at__isnull=True)
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "subject_digest"],
                name="erasure_once_at_a_time",
                condition=Q(finished_at__isnull=True),
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, due_at__isnull=False, signature="")
                | (
                    Q(finished_at__isnull=False, due_at__isnull=True, sealed_subject="")
                    & ~Q(signature="")
                ),
                name="erasure_due_or_signed",
            ),
        ]


class ErasedCall(TenantRow):
    """What is left of an erased call: how long it was, for which agency, so that usage stays true.

    `call_id` names the folder of its recordings and nothing that still exists. A worker in the
    middle of the call may yet put a file there; none can once `settles_at` has passed.
    """

    erasure = models.ForeignKey(
        Erasure, on_delete=models.PROTECT, related_name="erased_calls", db_constraint=False
    )
    call_id = models.UUIDField(unique=True)
    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    agency = models.ForeignKey(
        Agency,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    scored = models.BooleanField(default=False)
    month = models.DateField(null=True, blank=True)  # the first day of the one it counts toward
    seconds = models.FloatField(default=0.0)
    files = models.JSONField(default=list, blank=True)  # names, until they are deleted
    settles_at = models.DateTimeField()
    files_gone_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "month"], name="erased_call_month"),
            models.Index(fields=["tenant", "created_at"], name="erased_call_newest"),
        ]


class RetentionRound(TenantRow, DueRow):
    """One per tenant, made with it by a trigger: when its old content is looked for next."""

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="retention_round_due")]
        constraints = [models.UniqueConstraint(fields=["tenant"], name="retention_round_once")]


class Provider(TenantRow):
    """An engine that a tenant chose for its calls, with a key of its own (docs/providers.md)."""

    class Kind(models.TextChoices):
        CHAT = "chat"  # phrases what the persona means
        TRANSCRIPTION = "transcription"  # hears the rep
        SPEECH = "speech"  # is the persona's voice

    kind = models.CharField(max_length=13, choices=Kind)
    url = models.CharField(max_length=2048)  # a base such as https://host/v1
    model = models.CharField(max_length=200)
    sealed_key = models.TextField(blank=True)  # under ENCRYPTION_KEYS; empty: none is needed
    voices = models.JSONField(default=dict, blank=True)  # persona's voice -> the engine's
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "kind"], name="provider_once")]


class PracticeDay(TenantRow, DueRow):
    """What an agency practised with a drill on one day (UTC): sums, never rows of people.

    Due while a call of that day was scored, changed or erased after it was counted
    (`calls.services.practice_days`). Kept when calls go by retention, counted again by erasure.
    """

    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    day = models.DateField()  # on which the calls ended, UTC
    agency = models.ForeignKey(
        Agency,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    drill_key = models.CharField(max_length=100)
    calls = models.PositiveIntegerField(default=0)  # that began and ended, scored or not
    seconds = models.PositiveBigIntegerField(default=0)  # of those, from start to end
    scored = models.PositiveIntegerField(default=0)  # whose score counts
    score_sum = models.PositiveBigIntegerField(default=0)  # points of 100, of those

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "mode", "day", "agency", "drill_key"],
                name="practice_day_once",
                nulls_distinct=False,
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="practice_day_due", condition=Q(due_at__isnull=False)
            ),
            models.Index(  # a member limited to agencies, or a filter
                fields=["tenant", "mode", "agency", "day"], name="practice_day_of_agency"
            ),
        ]


class PracticeCheck(TenantRow):
    """How one check went on a `PracticeDay`, whose mode, day and agency it repeats."""

    practice_day = models.ForeignKey(
        PracticeDay, on_delete=models.CASCADE, related_name="checks", db_constraint=False
    )
    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    day = models.DateField()
    agency = models.ForeignKey(
        Agency,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    drill_key = models.CharField(max_length=100)
    check_key = models.CharField(max_length=60)
    title = models.CharField(max_length=1000)
    asked = models.PositiveIntegerField()  # verdicts that applied and were verified
    met = models.PositiveIntegerField()
    partly = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "practice_day", "check_key"], name="practice_check_once"
            )
        ]
        indexes = [
            models.Index(  # sums of a period, told by the index alone
                fields=["tenant", "mode", "day"],
                include=["agency", "drill_key", "check_key", "asked", "met", "partly"],
                name="practice_check_of_days",
            ),
            models.Index(
                fields=["tenant", "mode", "agency", "day"],
                include=["drill_key", "check_key", "asked", "met", "partly"],
                name="practice_check_of_agency",
            ),
        ]


class PracticeTotal(TenantRow):
    """How one check of a drill went on a day in the whole tenant: the `PracticeCheck`s' sum.

    For who sees all agencies, for whom those are too many to be summed up for each page.
    """

    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    day = models.DateField()
    drill_key = models.CharField(max_length=100)
    check_key = models.CharField(max_length=60)
    asked = models.PositiveIntegerField()
    met = models.PositiveIntegerField()
    partly = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "mode", "day", "drill_key", "check_key"],
                name="practice_total_once",
            )
        ]


class RepStanding(TenantRow):
    """Where a rep stands in an agency, by the newest scores there. Gone with the rep."""

    mode = models.CharField(max_length=4, choices=ApiKey.Mode)
    rep = models.ForeignKey(
        Rep, on_delete=models.CASCADE, related_name="standings", db_constraint=False
    )
    agency = models.ForeignKey(  # of the calls, which may not be the rep's own any more
        Agency,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    last_at = models.DateTimeField()  # the end of the newest call with a score
    scores = ArrayField(models.PositiveSmallIntegerField())  # newest first, at most eight
    lately = models.FloatField(null=True)  # mean of the newest three; null with fewer
    before = models.FloatField(null=True)  # mean of those behind them; null with fewer than three

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "mode", "rep", "agency"],
                name="rep_standing_once",
                nulls_distinct=False,
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "mode", "last_at"], name="rep_standing_newest"),
        ]


class Assignment(TenantRow):
    """A drill that people are to practise until a day, and the points they are to reach.

    Whether they did is computed from their scored calls (`calls.assignments.standing`).
    """

    public_id = models.CharField(
        max_length=40, unique=True, default=assignment_public_id, editable=False
    )
    form_id = models.UUIDField()  # of the form that asked for it: sent twice, it is one
    drill_key = models.CharField(max_length=100)
    focus = models.CharField(max_length=200, blank=True)  # what to work on, such as a check
    due_on = models.DateField()  # until the end of that day, UTC
    pass_mark = models.PositiveSmallIntegerField()  # 1..100
    note = models.CharField(max_length=1000, blank=True)
    agencies = ArrayField(models.UUIDField(), default=list, blank=True)  # of its people
    created_by = models.CharField(max_length=120)  # as in AuditEvent
    created_at = models.DateTimeField(auto_now_add=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "form_id"], name="assignment_of_form_once"),
            models.CheckConstraint(
                condition=Q(pass_mark__range=(1, 100)), name="assignment_pass_mark_range"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="assignment_newest_first")
        ]


class Assignee(TenantRow, DueRow):
    """One rep of an assignment, due for the next mail about it."""

    class Reminder(models.TextChoices):
        GIVEN = "given"  # when it was made
        SOON = "soon"  # two days before it is due
        TODAY = "today"  # on the day

    assignment = models.ForeignKey(
        Assignment, on_delete=models.CASCADE, related_name="assignees", db_constraint=False
    )
    rep = models.ForeignKey(
        Rep, on_delete=models.CASCADE, related_name="assigned", db_constraint=False
    )
    agency = models.ForeignKey(  # where the rep was then
        Agency,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    reminder = models.CharField(max_length=5, choices=Reminder, default=Reminder.GIVEN)  # the next
    # Set before a mail is handed over: whoever takes over from a killed worker sends none again.
    mail_begun_at = models.DateTimeField(null=True, blank=True)
    mails = models.PositiveSmallIntegerField(default=0)  # handed over
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "assignment", "rep"], name="assignee_once")
        ]
        indexes = [
            models.Index(fields=["due_at"], name="assignee_due", condition=Q(due_at__isnull=False))
        ]


class LiveWorker(models.Model):
    """A process that carries calls. Belongs to no tenant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=200)
    slots = models.PositiveSmallIntegerField()  # calls it takes now; fewer than its rows when late
    draining = models.BooleanField(default=False)
    started_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField()


class LiveSlot(models.Model):
    """Room for one call on one worker; taken while `lease_until` lies ahead.

    Belongs to no tenant: it names a call by id only. Slots are rows, not a counter, because a
    counter drifts when a process dies between two writes and a row with a lease mends itself.
    """

    worker = models.ForeignKey(LiveWorker, on_delete=models.CASCADE, related_name="slot_rows")
    number = models.PositiveSmallIntegerField()
    call_id = models.UUIDField(null=True, blank=True, unique=True)
    tenant_id = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["worker", "number"], name="slot_once")]
