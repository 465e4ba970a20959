"""The demo's month: through the sandbox's own work, dated back, told apart and erased at once."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from calls.erasure.carrying_out import erasure_carry_out
from calls.models import Call, Erasure, SandboxCall
from calls.sandbox.month import PEOPLE, demo_month_create
from calls.sandbox.services import NotATestKey, sandbox_call_made
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import make_call
from tenants.auth import caller_find
from tenants.isolation import tenant_scope
from tenants.models import Rep
from work.drain import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]


@pytest.fixture
def acme():
    make_drill()
    return make_integrator("Acme", mode="test")


@pytest.fixture
def credentials(acme, tmp_path):
    file = tmp_path / "demo.json"
    file.write_text(json.dumps({"testApiKey": acme.secret}))
    return file


def made(claim):
    sandbox_call_made(claim=claim, turns=[], parts=[], seconds=60)


def test_a_month_is_made_once_in_the_sandbox_and_dated_back(acme, credentials):
    for _ in range(2):
        call_command("demo_month", credentials=credentials)
    drain(SandboxCall, kind="sandbox", handle=made)
    with tenant_scope(acme.tenant.pk):
        calls = list(Call.objects.all())
        assert len(calls) == sum(len(person.calls) for person in PEOPLE)
        assert {call.mode for call in calls} == {"test"}
        assert {call.stage for call in calls} == {"ended"}
        days = {call.ended_at.date() for call in calls}
        assert len(days) > 12
        now = timezone.now()
        assert all(now - timedelta(days=30) < call.ended_at < now for call in calls)
        assert all(call.started_at == call.created_at for call in calls)
        assert all((c.ended_at - c.started_at).total_seconds() == 60 for c in calls)
        assert Rep.objects.get(external_id="demo-rep-1").name == "Maya Lindqvist"


def test_it_goes_with_one_command_and_nothing_else_does(acme, credentials):
    make_call(acme.tenant, mode="test", user="rep of ours")
    stranger = make_integrator("Stranger", mode="test")
    demo_month_create(caller=caller_find(stranger.secret, None), now=datetime.now(UTC))
    call_command("demo_month", credentials=credentials)
    call_command("demo_month", credentials=credentials, remove=True)
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    with tenant_scope(acme.tenant.pk):
        assert [call.external_user_id for call in Call.objects.all()] == ["rep of ours"]
        assert not Rep.objects.filter(external_id__startswith="demo-").exists()
    with tenant_scope(stranger.tenant.pk):
        assert Call.objects.count() == sum(len(person.calls) for person in PEOPLE)


def test_a_live_key_or_no_file_is_refused(acme, tmp_path):
    live = make_integrator("Other")
    with pytest.raises(NotATestKey):
        demo_month_create(caller=caller_find(live.secret, None), now=datetime.now(UTC))
    with pytest.raises(CommandError, match="run demo_seed first"):
        call_command("demo_month", credentials=tmp_path / "none.json")
