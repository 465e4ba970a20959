"""Drills that people are asked to practise, and calls that a rep keeps to themselves."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import calls.models
from tenants import row_security as rows
from work.sql import due_functions

REMINDERS = [("given", "Given"), ("soon", "Soon"), ("today", "Today")]


def reference(to: str, on_delete: object, related_name: str, **more: object) -> models.ForeignKey:
    return models.ForeignKey(
        db_constraint=False, on_delete=on_delete, related_name=related_name, to=to, **more
    )


def own_columns() -> list[tuple[str, models.Field]]:
    key = models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)
    return [
        ("id", key),
        ("tenant", reference("tenants.tenant", django.db.models.deletion.PROTECT, "+")),
    ]


class Migration(migrations.Migration):
    dependencies = [("calls", "0020_search"), ("tenants", "0006_people")]

    operations = [
        migrations.AddField(
            model_name="call",
            name="private",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name="Assignment",
            fields=[
                *own_columns(),
                (
                    "public_id",
                    models.CharField(
                        default=calls.models.assignment_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                ("form_id", models.UUIDField()),
                ("drill_key", models.CharField(max_length=100)),
                ("focus", models.CharField(blank=True, max_length=200)),
                ("due_on", models.DateField()),
                ("pass_mark", models.PositiveSmallIntegerField()),
                ("note", models.CharField(blank=True, max_length=1000)),
                (
                    "agencies",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), blank=True, default=list, size=None
                    ),
                ),
                ("created_by", models.CharField(max_length=120)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("cancelled_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["tenant", "-created_at", "-id"], name="assignment_newest_first"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "form_id"), name="assignment_of_form_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("pass_mark__range", (1, 100))),
                        name="assignment_pass_mark_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Assignee",
            fields=[
                *own_columns(),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("failures", models.PositiveSmallIntegerField(default=0)),
                ("parked_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, max_length=60)),
                ("reminder", models.CharField(choices=REMINDERS, default="given", max_length=5)),
                ("mail_begun_at", models.DateTimeField(blank=True, null=True)),
                ("mails", models.PositiveSmallIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "agency",
                    reference(
                        *("tenants.agency", django.db.models.deletion.PROTECT, "+"),
                        blank=True,
                        null=True,
                    ),
                ),
                ("rep", reference("tenants.rep", django.db.models.deletion.CASCADE, "assigned")),
                (
                    "assignment",
                    reference("calls.assignment", django.db.models.deletion.CASCADE, "assignees"),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="assignee_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "assignment", "rep"), name="assignee_once"
                    )
                ],
            },
        ),
        *rows.tenant_table("calls_assignment"),
        *rows.tenant_table("calls_assignee"),
        rows.tenant_key("calls_assignment"),
        rows.composite_foreign_key("calls_assignee", "assignment_id", "calls_assignment"),
        rows.composite_foreign_key("calls_assignee", "rep_id", "tenants_rep"),
        rows.composite_foreign_key("calls_assignee", "agency_id", "tenants_agency"),
        # seen by each agency that has a part in it; of its people each sees its own
        rows.limit_to_agencies("calls_assignment", "agencies && app_agencies()"),
        rows.limit_to_agencies("calls_assignee", rows.agency_column("agency_id")),
        rows.definer_may_read("calls_assignee"),
        *due_functions(kind="remind", table="calls_assignee", where="true"),
    ]
