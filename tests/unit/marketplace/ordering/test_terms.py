"""A wait that failed attempts make longer."""

from datetime import timedelta

import pytest

from marketplace.ordering.terms import backed_off

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(-3, 1), (0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (7, 64), (8, 64), (10**6, 64)]
)
def test_a_wait_doubles_with_each_failed_attempt_and_at_last_no_more(attempts, minutes):
    assert backed_off(MINUTE, timedelta(days=9), attempts) == minutes * MINUTE


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (3, 4), (4, 5), (7, 5)])
def test_a_wait_is_never_longer_than_the_longest(attempts, minutes):
    assert backed_off(MINUTE, 5 * MINUTE, attempts) == minutes * MINUTE


def test_the_longest_wait_counts_from_the_first_on():
    assert backed_off(5 * MINUTE, MINUTE, 1) == MINUTE
