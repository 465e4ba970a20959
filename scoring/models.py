"""Rubrics, and what came of scoring a call with one.

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
