import pytest

from work.kinds import Kind, UnknownKind, get, register
from work.tests.probe import PROBE, Probe


def test_a_kind_may_be_registered_again_unchanged():
    assert register(PROBE) is PROBE
    assert get("probe") is PROBE


def test_a_name_belongs_to_one_kind():
    with pytest.raises(ValueError, match="registered already"):
        register(Kind(name="probe", model=Probe, task="another.task"))


def test_a_kind_nobody_registered_is_unknown():
    with pytest.raises(UnknownKind, match="nothing"):
        get("nothing")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "probe(1); drop table x"},
        {"name": ""},
        {"name": "Probe"},
        {"queue": "celery"},
        {"lease_limit": 0},
        {"max_tries": 0},
        {"max_failures": 0},
    ],
)
def test_a_kind_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError):
        Kind(**{"name": "fine", "model": Probe, "task": "a.task", **wrong})
