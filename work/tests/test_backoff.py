import pytest
from hypothesis import given
from hypothesis import strategies as st

from work.backoff import retry_delay

chances = st.floats(0, 1, exclude_max=True)


def test_the_wait_doubles_until_the_cap():
    waits = [retry_delay(attempt, chance=0.5) for attempt in (1, 2, 3, 4, 8, 9, 10_000)]
    assert waits == [2, 4, 8, 16, 256, 300, 300]


@given(attempt=st.integers(1, 100_000), chance=chances)
def test_chance_moves_the_wait_by_a_fifth_at_most(attempt, chance):
    plain = retry_delay(attempt, chance=0.5)
    assert plain * 0.799 <= retry_delay(attempt, chance=chance) <= plain * 1.201


def test_there_is_no_attempt_before_the_first():
    with pytest.raises(ValueError, match="counted from one"):
        retry_delay(0, chance=0.5)
