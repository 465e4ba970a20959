"""After a restore: what was erased since the backup goes again, and nothing else."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from calls.erasure.carrying_out import erasure_carry_out
from calls.models import Call, ErasedCall, Erasure
from calls.selectors import minutes_used
from calls.tests.making import make_drill, make_integrator
from calls.tests.test_erasure import delete, files_in, full_call, get, rows_of
from tenants.isolation import tenant_scope
from tenants.services import ALL_SCOPES
from work.drain import drain

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bells")]


@pytest.fixture(autouse=True)
def storage(tmp_path, settings) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    return tmp_path / "recordings"


def carry_out() -> None:
    drain(Erasure, kind="erase", handle=erasure_carry_out)


def exported(tmp_path: Path) -> Path:
    out = io.StringIO()
    call_command("erasures_export", stdout=out)
    (tmp_path / "erasures.jsonl").write_text(out.getvalue())
    return tmp_path / "erasures.jsonl"


def restored(integrator, **fields) -> Call:
    """A call as the backup has it, while nothing that came after the backup is known."""
    with tenant_scope(integrator.tenant.pk):
        ErasedCall.objects.all().delete()
        Erasure.objects.all().delete()
    return full_call(integrator, **fields)


def test_calls_and_reps_that_a_backup_brought_back_go_again(tmp_path, storage):
    make_drill()
    acme, stranger = (make_integrator(name, scopes=ALL_SCOPES) for name in ("Acme", "Stranger"))
    one, other = full_call(acme, "rep_1"), full_call(acme, "rep_2", seconds=60)
    full_call(stranger, "rep_2")
    theirs = rows_of(stranger)
    first = delete(acme, f"/calls/{one.public_id}").json()["erasureId"]
    second = delete(acme, "/reps/rep_2").json()["erasureId"]
    carry_out()
    listed = exported(tmp_path)
    assert "rep_2" not in listed.read_text() and len(listed.read_text().splitlines()) == 2
    restored(acme, user="rep_1", id=one.pk)
    restored(acme, user="rep_2", id=other.pk, seconds=60)
    kept = full_call(acme, "rep_3")
    out = io.StringIO()
    call_command("erasures_repeat", str(listed), stdout=out)
    carry_out()
    assert "2 erasures listed, 2 done again" in out.getvalue()
    with tenant_scope(acme.tenant.pk):
        assert [call.pk for call in Call.objects.all()] == [kept.pk]
        assert minutes_used(tenant=acme.tenant) == pytest.approx((2 * 37.241 + 60) / 60)
    assert rows_of(stranger) == theirs
    for erasure_id in (first, second):
        assert get(acme, f"/erasures/{erasure_id}").json()["status"] == "finished"
    assert not any(str(pk) in name for pk in (one.pk, other.pk) for name in files_in(storage))
    call_command("erasures_repeat", str(listed), stdout=out)
    assert "2 erasures listed, 0 done again" in out.getvalue()


def test_a_rep_who_came_back_after_the_erasure_is_left_alone(tmp_path):
    make_drill()
    acme = make_integrator(scopes=ALL_SCOPES)
    full_call(acme)
    delete(acme, "/reps/rep_8842")
    carry_out()
    listed = exported(tmp_path)
    back = full_call(acme)  # the backup was made now: it knows the erasure
    call_command("erasures_repeat", str(listed), stdout=io.StringIO())
    carry_out()
    with tenant_scope(acme.tenant.pk):
        assert Call.objects.get().pk == back.pk


def test_files_that_came_back_alone_go_too(tmp_path, storage):
    make_drill()
    acme = make_integrator(scopes=ALL_SCOPES)
    call = full_call(acme)
    delete(acme, f"/calls/{call.public_id}")
    carry_out()
    listed = exported(tmp_path)
    came_back = storage / str(acme.tenant.pk) / str(call.pk) / "call-0123456789ab.mp3"
    came_back.parent.mkdir(parents=True)
    came_back.write_bytes(b"sound")
    call_command("erasures_repeat", str(listed), stdout=io.StringIO())
    assert not came_back.parent.exists()


@pytest.mark.parametrize("line", ["nonsense", "{}", "[]", '{"erasureId": 1}'])
def test_another_file_is_refused(tmp_path, line):
    (tmp_path / "list").write_text(line)
    with pytest.raises(CommandError):
        call_command("erasures_repeat", str(tmp_path / "list"))
