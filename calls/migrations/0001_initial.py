"""The conversation's tables, each with its tenant's lock from the first moment."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

import calls.models
from tenants import row_security as rows

TENANT_TABLES = (
    "calls_call",
    "calls_sessiontoken",
    "calls_turn",
    "calls_recordingpart",
)


class Migration(migrations.Migration):
    initial = True

    dependencies = [("tenants", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Call",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("failures", models.PositiveSmallIntegerField(default=0)),
                ("parked_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, max_length=60)),
                (
                    "public_id",
                    models.CharField(
                        default=calls.models.call_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "session_id",
                    models.CharField(
                        default=calls.models.session_public_id,
                        editable=False,
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "mode",
                    models.CharField(
                        choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4
                    ),
                ),
                ("source", models.CharField(default="roleplay", max_length=20)),
                ("external_user_id", models.CharField(max_length=200)),
                ("external_agency_id", models.CharField(blank=True, max_length=200, null=True)),
                ("drill_key", models.CharField(max_length=100)),
                (
                    "difficulty",
                    models.CharField(
                        choices=[
                            ("Beginner", "Beginner"),
                            ("Advanced", "Advanced"),
                            ("Elite", "Elite"),
                        ],
                        default="Advanced",
                        max_length=10,
                    ),
                ),
                ("filters", models.JSONField(blank=True, default=dict)),
                ("persona_name", models.CharField(max_length=100)),
                ("seed", models.PositiveBigIntegerField()),
                (
                    "stage",
                    models.CharField(
                        choices=[
                            ("created", "Created"),
                            ("live", "Live"),
                            ("ended", "Ended"),
                            ("transcribed", "Transcribed"),
                            ("scored", "Scored"),
                            ("failed", "Failed"),
                        ],
                        default="created",
                        max_length=12,
                    ),
                ),
                (
                    "end_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("rep_ended", "Rep Ended"),
                            ("network_lost", "Network Lost"),
                            ("worker_lost", "Worker Lost"),
                            ("ceiling", "Ceiling"),
                            ("never_connected", "Never Connected"),
                        ],
                        max_length=20,
                    ),
                ),
                ("epoch", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("scored_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Drill",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=100)),
                ("version", models.PositiveIntegerField()),
                ("digest", models.CharField(max_length=64)),
                ("title", models.CharField(max_length=200)),
                ("pack", models.JSONField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="LiveSlot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveSmallIntegerField()),
                ("call_id", models.UUIDField(blank=True, null=True, unique=True)),
                ("tenant_id", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="LiveWorker",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("host", models.CharField(max_length=200)),
                ("slots", models.PositiveSmallIntegerField()),
                ("draining", models.BooleanField(default=False)),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("heartbeat_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="RecordingPart",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[("rep", "Rep"), ("persona", "Persona")], max_length=8
                    ),
                ),
                ("epoch", models.PositiveIntegerField()),
                ("number", models.PositiveIntegerField()),
                ("offset", models.FloatField()),
                ("duration", models.FloatField()),
                ("file", models.FileField(max_length=300, upload_to="")),
                ("size", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["offset"],
            },
        ),
        migrations.CreateModel(
            name="SessionToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("jti", models.UUIDField(default=uuid.uuid4, unique=True)),
                (
                    "mode",
                    models.CharField(
                        choices=[("live", "Live"), ("test", "Test")], default="live", max_length=4
                    ),
                ),
                ("external_user_id", models.CharField(max_length=200)),
                ("external_agency_id", models.CharField(blank=True, max_length=200, null=True)),
                ("issued_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("consumed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Turn",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "role",
                    models.CharField(
                        choices=[("assistant", "Assistant"), ("user", "User")], max_length=10
                    ),
                ),
                ("text", models.TextField()),
                ("start_time", models.FloatField()),
                ("end_time", models.FloatField()),
                ("interrupted", models.BooleanField(default=False)),
                ("words", models.JSONField(blank=True, default=list)),
                ("latency", models.JSONField(blank=True, default=dict)),
                ("director", models.JSONField(blank=True, default=dict)),
                ("epoch", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["number"],
            },
        ),
        migrations.AddField(
            model_name="call",
            name="agency",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="calls",
                to="tenants.agency",
            ),
        ),
        migrations.AddField(
            model_name="call",
            name="drill_owner",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddField(
            model_name="call",
            name="rep",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="calls",
                to="tenants.rep",
            ),
        ),
        migrations.AddField(
            model_name="call",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddField(
            model_name="drill",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddField(
            model_name="call",
            name="drill",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="calls",
                to="calls.drill",
            ),
        ),
        migrations.AddField(
            model_name="liveslot",
            name="worker",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="slot_rows",
                to="calls.liveworker",
            ),
        ),
        migrations.AddField(
            model_name="recordingpart",
            name="call",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="recording_parts",
                to="calls.call",
            ),
        ),
        migrations.AddField(
            model_name="recordingpart",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddField(
            model_name="sessiontoken",
            name="api_key",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.apikey",
            ),
        ),
        migrations.AddField(
            model_name="sessiontoken",
            name="call",
            field=models.OneToOneField(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="session_token",
                to="calls.call",
            ),
        ),
        migrations.AddField(
            model_name="sessiontoken",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddField(
            model_name="turn",
            name="call",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="turns",
                to="calls.call",
            ),
        ),
        migrations.AddField(
            model_name="turn",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddConstraint(
            model_name="drill",
            constraint=models.UniqueConstraint(
                fields=("tenant", "key", "version"), name="drill_version_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="drill",
            constraint=models.CheckConstraint(
                condition=models.Q(("key__regex", "^[a-z0-9]+(-[a-z0-9]+)*$")),
                name="drill_key_form",
            ),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(fields=["tenant", "-ended_at", "-id"], name="call_newest_first"),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="call_due"
            ),
        ),
        migrations.AddIndex(
            model_name="call",
            index=models.Index(
                condition=models.Q(("stage", "live")), fields=["started_at"], name="call_live"
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("stage", "live"), _negated=True),
                    ("started_at__isnull", False),
                    _connector="OR",
                ),
                name="call_live_started",
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("stage__in", ["ended", "transcribed", "scored"]), _negated=True),
                    models.Q(("ended_at__isnull", False), ("started_at__isnull", False)),
                    _connector="OR",
                ),
                name="call_ended_has_times",
            ),
        ),
        migrations.AddConstraint(
            model_name="call",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("drill_owner", models.F("tenant")),
                    ("drill_owner", uuid.UUID("00000000-0000-4000-8000-00000000a705")),
                    _connector="OR",
                ),
                name="call_drill_own_or_shared",
            ),
        ),
        migrations.AddConstraint(
            model_name="liveslot",
            constraint=models.UniqueConstraint(fields=("worker", "number"), name="slot_once"),
        ),
        migrations.AddConstraint(
            model_name="recordingpart",
            constraint=models.UniqueConstraint(
                fields=("call", "channel", "epoch", "number"), name="recording_part_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="turn",
            constraint=models.UniqueConstraint(fields=("call", "number"), name="turn_number_once"),
        ),
        *(step for table in TENANT_TABLES for step in rows.tenant_table(table)),
        *rows.tenant_table("calls_drill", shared_catalogue=True),
        rows.plain_foreign_key("calls_call", "drill_owner_id", "tenants_tenant"),
        rows.tenant_key("calls_call"),
        rows.tenant_key("calls_drill"),
        rows.composite_foreign_key("calls_call", "rep_id", "tenants_rep"),
        rows.composite_foreign_key("calls_call", "agency_id", "tenants_agency"),
        rows.composite_foreign_key(
            "calls_call", "drill_id", "calls_drill", owner_column="drill_owner_id"
        ),
        rows.composite_foreign_key("calls_sessiontoken", "api_key_id", "tenants_apikey"),
        rows.composite_foreign_key("calls_sessiontoken", "call_id", "calls_call"),
        rows.composite_foreign_key("calls_turn", "call_id", "calls_call"),
        rows.composite_foreign_key("calls_recordingpart", "call_id", "calls_call"),
        rows.definer_may_read("calls_call"),  # for the due_... functions
    ]
