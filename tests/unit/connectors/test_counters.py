"""What is lost has a reason and only grows; what takes long falls into the bucket of its length."""

from __future__ import annotations

import pytest

from connectors.counters import POLL_BOUNDS_SECONDS, Latencies, Loss, Losses


def test_every_reason_is_told_even_while_nothing_is_lost():
    losses = Losses()
    losses.count(Loss.BACKLOG_FULL, 5)
    losses.count(Loss.BACKLOG_FULL)
    told = dict(losses)
    assert set(told) == set(Loss)
    assert (told[Loss.BACKLOG_FULL], losses.total) == (6, 6)


def test_what_is_lost_does_not_come_back():
    with pytest.raises(ValueError, match="come back"):
        Losses().count(Loss.BACKLOG_DISK, -1)


def test_losses_of_several_connections_add_up():
    first, second = Losses(), Losses()
    first.count(Loss.NOT_DECODED, 2)
    second.count(Loss.NOT_DECODED, 3)
    assert Losses.summed({"a": first, "b": second})[Loss.NOT_DECODED] == 5


def test_an_answer_falls_into_the_bucket_of_its_length():
    polls = Latencies()
    for seconds in (0.0005, 0.001, 0.3, 60.0):
        polls.observe(seconds)
    told = dict(polls.cumulative())
    assert (told["0.001"], told["0.25"], told["0.5"], told["10.0"], told["+Inf"]) == (2, 2, 3, 3, 4)
    assert (polls.count, polls.seconds) == (4, pytest.approx(60.3015))
    assert len(polls.buckets) == len(POLL_BOUNDS_SECONDS) + 1
