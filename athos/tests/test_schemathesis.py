"""Schemathesis reads the served document and tries everything that it allows and forbids.

All its phases, on a running web process: no 5xx, no answer that the document does not tell.
"""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from calls.models import LiveWorker
from calls.tests.making import make_drill, make_integrator, make_worker
from calls.tests.making_calls import add_scorecard, add_transcript, make_call
from calls.tests.site import free_port, serve
from tenants.services import ALL_SCOPES, api_key_create

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# A run on every change should not depend on luck; set another seed and more time to search.
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "15"))
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def site(tmp_path):
    with serve(tmp_path, free_port()) as origin:
        yield origin


@pytest.fixture
def credentials():
    """Keys and a session token of a tenant that has calls and a free slot."""
    make_drill()
    make_worker()
    LiveWorker.objects.update(heartbeat_at=Now() + timedelta(hours=1))
    acme = make_integrator("Acme", scopes=ALL_SCOPES)
    for _ in range(3):
        call = make_call(acme.tenant, agency="agency_chicago")
        add_transcript(call)
        add_scorecard(call)
    _, test_key = api_key_create(tenant=acme.tenant, name="Sandbox", mode="test", scopes=ALL_SCOPES)
    _, keys_key = api_key_create(
        tenant=acme.tenant, name="Keys", scopes=ALL_SCOPES, agencies=[call.agency_id]
    )
    return {
        "ATHOS_KEY": acme.secret,
        "ATHOS_TEST_KEY": test_key,
        "ATHOS_KEYS_KEY": keys_key,
        "ATHOS_SESSION_TOKEN": acme.token(),
    }


def test_schemathesis_finds_nothing(site, credentials, tmp_path):
    found = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run"),
            *(
                f"{site}/api/external/v1/openapi.json",
                "--phases=examples,coverage,fuzzing,stateful",
            ),
            *(f"--max-time={SECONDS}", f"--seed={SEED}", "--no-color", "--continue-on-failure"),
        ],
        cwd=tmp_path,
        env=os.environ | credentials,
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2000:]
