"""Every address, every method, everybody: who gets what, and never a stranger's row."""

import pytest

from tests.isolation.lines import EVERY_LINE, SCOPES, standing
from tests.isolation.matrix import probe_problems, problems, undeclared


def assert_none(found: list[str]) -> None:
    assert not found, f"{len(found)} problems:\n" + "\n".join(found[:60])


def test_every_address_is_declared():
    assert_none(undeclared())


@pytest.mark.timeout(900)  # every address as everybody: minutes on a machine that is shared
def test_everybody_gets_what_is_declared_and_nobody_a_strangers_row(world, everybody, logged):
    assert_none(problems(world, everybody))
    assert "Method Not Allowed" in logged.text  # it does hear
    assert_none(logged.quoted(world))


def test_a_strangers_name_in_a_query_or_body_is_like_none(world, everybody):
    assert_none(probe_problems(world, everybody))


@pytest.mark.prove  # minutes: three times the whole matrix
@pytest.mark.parametrize("line", EVERY_LINE)
def test_each_line_between_tenants_holds_alone(world, everybody, line):
    """Nobody's row comes out, whichever line is the last that stands."""
    everybody = [identity for identity in everybody if identity.side]
    if line == SCOPES:  # they know tenants only
        everybody = [identity for identity in everybody if not identity.agencies_only]
    with standing(line):
        assert_none(problems(world, everybody, exactly=False))
