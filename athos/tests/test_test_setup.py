"""What every other test relies on: the role, the clean tables, the shut network."""

import os
import socket
from datetime import UTC, datetime

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from calls.models import LiveWorker


@pytest.mark.django_db
def test_tests_run_as_the_role_that_serves():
    with connection.cursor() as cursor:
        cursor.execute("select current_user, current_database()")
        role, database = cursor.fetchone()
    assert role == "athos_app"
    assert database.startswith("athos_test_")


@pytest.mark.django_db
def test_a_process_started_by_a_test_finds_the_tests_database():
    with psycopg.connect(os.environ["DATABASE_URL"]) as child:
        name = child.execute("select current_database()").fetchone()
    assert name == (settings.DATABASES["default"]["NAME"],)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("run", [1, 2])
def test_committed_rows_are_gone_in_the_next_test(run):
    assert not LiveWorker.objects.exists()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    LiveWorker.objects.create(host="here", slots=1, heartbeat_at=now)


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, ("192.0.2.1", 80)), (socket.AF_INET6, ("2001:db8::1", 80, 0, 0))],
)
def test_the_network_is_shut(family, address):
    with (
        socket.socket(family, socket.SOCK_STREAM) as stream,
        pytest.raises(OSError, match="Tests reach this machine only"),
    ):
        stream.connect(address)
    with (
        socket.socket(family, socket.SOCK_DGRAM) as datagrams,
        pytest.raises(OSError, match="Tests reach this machine only"),
    ):
        datagrams.sendto(b"hello", address)


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
