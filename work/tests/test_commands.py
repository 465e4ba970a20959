"""What people at a console see and do."""

import io
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from work.tests.probe import probe_add


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_work_lists_every_kind(tenant):
    probe_add(tenant)
    probe_add(tenant, parked_at=timezone.now())
    (line,) = (line for line in run("work").splitlines() if line.startswith("probe "))
    assert line.split() == ["probe", "1", "0", "0", "1", "1", "s"]


def test_work_shows_why_a_row_was_parked(tenant):
    probe = probe_add(tenant, parked_at=timezone.now(), last_error="NEVER_ENDED")
    shown = run("work", "--parked", "probe")
    assert str(probe.pk) in shown
    assert "NEVER_ENDED" in shown


@pytest.mark.usefixtures("bells")
def test_unparking_one_row_leaves_the_others(tenant, stranger):
    probe = probe_add(tenant, parked_at=timezone.now())
    other = probe_add(stranger, parked_at=timezone.now())
    assert run("work_unpark", "probe", "--row", str(probe.pk)) == "1 back to work\n"
    assert str(other.pk) in run("work", "--parked", "probe")
    assert run("work_unpark", "probe", "--all") == "1 back to work\n"
    assert run("work", "--parked", "probe") == ""


def test_unparking_what_is_not_parked_says_so(tenant):
    with pytest.raises(CommandError, match="Not parked"):
        run("work_unpark", "probe", "--row", str(uuid.uuid4()))


def test_an_unknown_kind_is_named():
    with pytest.raises(CommandError, match="prbe"):
        run("work_unpark", "prbe", "--all")
    with pytest.raises(CommandError, match="prbe"):
        run("work", "--parked", "prbe")
