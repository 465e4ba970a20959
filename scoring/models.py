"""Rubrics, what came of scoring a call with one, and what managers said to that.

None of these rows is ever changed; retention alone empties what quotes a call (`retention.py`).
"""

from django.db import models
from django.db.models import F, Q

from scoring.ports import Answer
from tenants.isolation import CATALOGUE
from tenants.models import Tenant, TenantRow


class Rubric(TenantRow):
    """One version of a rubric. The catalogue's may be read by all tenants."""

    key = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)  # sha256 of the content
    title = models.CharField(max_length=200)
    content = models.JSONField()  # as rubric_parse takes it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "key", "version"], name="rubric_version_once"
            ),
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"), name="rubric_key_form"
            ),
        ]


class Scorecard(TenantRow):
    """How one call was scored: by which rubric and judge, and with what result.

    `version` 1 is the first scoring; scoring again on purpose adds the next and keeps this one.
    """

    call = models.ForeignKey(
        "calls.Call", on_delete=models.CASCADE, related_name="scorecards", db_constraint=False
    )
    version = models.PositiveSmallIntegerField(default=1)
    rubric_owner = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    rubric = models.ForeignKey(
        Rubric, on_delete=models.PROTECT, related_name="scorecards", db_constraint=False
    )
    judge_name = models.CharField(max_length=60)
    judge_version = models.CharField(max_length=60)
    judge_model = models.CharField(max_length=200)
    overall = models.PositiveSmallIntegerField()  # 0..100
    earned = models.DecimalField(max_digits=7, decimal_places=2)  # points
    possible = models.PositiveIntegerField()  # points
    coverage = models.FloatField()  # share of the applicable points with a verified verdict
    sections = models.JSONField()  # [{"key", "title", "earned", "possible"}]
    hard_fails = models.JSONField()  # check keys that capped the score
    metrics = models.JSONField()  # see scoring.metrics.Metrics
    summary = models.TextField()
    feedback = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call", "version"], name="scorecard_once_per_version"
            ),
            models.CheckConstraint(condition=Q(overall__lte=100), name="scorecard_overall_range"),
            models.CheckConstraint(
                condition=Q(rubric_owner=F("tenant")) | Q(rubric_owner=CATALOGUE),
                name="scorecard_rubric_own_or_shared",
            ),
        ]


class Verdict(TenantRow):
    """The answer to one check of a scorecard, with the check's words as they were then."""

    scorecard = models.ForeignKey(
        Scorecard, on_delete=models.CASCADE, related_name="verdicts", db_constraint=False
    )
    position = models.PositiveSmallIntegerField()
    check_key = models.CharField(max_length=60)
    section = models.CharField(max_length=60)
    title = models.CharField(max_length=1000)
    question = models.TextField()
    advice = models.TextField()
    answer = models.CharField(max_length=14, choices=[(a.value, a.value) for a in Answer])
    points = models.DecimalField(max_digits=5, decimal_places=2)
    max_points = models.PositiveSmallIntegerField()
    verified = models.BooleanField()  # False: the evidence did not hold, nothing was scored
    evidence = models.JSONField()  # see scoring.services.evidence_json
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "scorecard", "check_key"], name="verdict_once"
            ),
            models.CheckConstraint(
                condition=Q(points__lte=F("max_points")), name="verdict_points_range"
            ),
        ]


class Override(TenantRow):
    """A manager's word on a scorecard, and how the call was scored from then on.

    A log: the last row says what the score is, the last one of a check what its answer is. An empty
    `answer` gives the check back to the judge; an empty `check_key` is about the scorecard as a
    whole: whether it counts (`valid`).
    """

    scorecard = models.ForeignKey(
        Scorecard, on_delete=models.CASCADE, related_name="overrides", db_constraint=False
    )
    number = models.PositiveSmallIntegerField()  # 1, 2, ... of the scorecard
    check_key = models.CharField(max_length=60, blank=True)
    answer = models.CharField(
        max_length=14, choices=[(a.value, a.value) for a in Answer], blank=True
    )
    points = models.DecimalField(max_digits=5, decimal_places=2, default=0)  # for that answer
    reason = models.TextField(blank=True)  # the manager's; may retell the call
    actor = models.CharField(max_length=120)  # as in AuditEvent
    valid = models.BooleanField(default=True)
    # The score with all overrides up to this one, by the same code over the same rubric.
    overall = models.PositiveSmallIntegerField()  # 0..100
    earned = models.DecimalField(max_digits=7, decimal_places=2)  # points
    possible = models.PositiveIntegerField()  # points
    coverage = models.FloatField()
    sections = models.JSONField()
    hard_fails = models.JSONField()
    summary = models.TextField(blank=True)
    feedback = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "scorecard", "number"], name="override_once_per_number"
            ),
            models.CheckConstraint(condition=Q(overall__lte=100), name="override_overall_range"),
        ]
