"""What is heard, what is let through, and what rules see of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.intake import Intake, Sieve
from gateway.live import Board
from maintenance.monitor import Monitor


def batch(now: datetime, *rows: tuple[str, float], quality: Quality = Quality.GOOD, recalled: bool = False) -> Batch:
    samples = [Sample(tag, value, quality, now, now, Provenance.A) for tag, value in rows]
    return replace(Batch.of("hall", samples), recalled=recalled)


def let_through(sieve: Sieve, now: datetime, batches: Sequence[Sequence[tuple[str, float]]]) -> list[float]:
    return [sample.value for rows in batches for sample in sieve.sift(batch(now, *rows))]


@pytest.mark.parametrize("together", [True, False])
def test_what_moved_less_than_its_band_is_left_out_however_it_came(now: datetime, together: bool):
    values = [1.0, 1.4, 1.5, 1.9, 2.0, 1.6, 1.5, 9.0]
    rows = [("m/a", value) for value in values]
    batches = [rows] if together else [[row] for row in rows]
    assert let_through(Sieve({"m/a": 0.5}), now, batches) == [1.0, 1.5, 2.0, 1.5, 9.0]


def test_tags_without_a_band_and_doubtful_values_are_never_left_out(now: datetime):
    sieve = Sieve({"m/a": 0.5})
    assert let_through(sieve, now, [[("m/b", 1.0), ("m/a", 1.0)], [("m/b", 1.0), ("m/a", 1.0)]]) == [1.0, 1.0, 1.0]
    doubtful = sieve.sift(batch(now, ("m/a", 1.0), quality=Quality.UNCERTAIN))
    assert len(doubtful) == 1
    assert let_through(sieve, now, [[("m/a", 1.0)], [("m/a", math.nan)], [("m/a", 1.0)]])[0] == 1.0


def test_a_slow_drift_is_let_through_in_steps_of_the_band(now: datetime):
    drift = [[("m/a", step / 100)] for step in range(101)]
    assert let_through(Sieve({"m/a": 0.25}), now, drift) == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_words_keep_their_rows_when_others_are_left_out(now: datetime):
    sieve = Sieve({"m/a": 0.5})
    word = Sample("m/w", math.nan, Quality.GOOD, now, now, Provenance.A, "on")
    still = Sample("m/a", 1.0, Quality.GOOD, now, now, Provenance.A)
    sieve.sift(Batch.of("hall", [still]))
    (kept,) = sieve.sift(Batch.of("hall", [still, word])).samples
    assert (kept.tag, kept.text) == ("m/w", "on")


class TestIntake:
    def test_what_is_left_out_is_heard_all_the_same(self, now: datetime):
        board = Board()
        intake = Intake(Monitor({}), board, Sieve({"m/a": 0.5}), lambda: now + timedelta(seconds=3))
        assert len(intake.take(batch(now, ("m/a", 1.0)))) == 1
        assert len(intake.take(batch(now, ("m/a", 1.1)))) == 0
        assert board.readings()["m/a"].value == 1.1
        assert (intake.samples, intake.lag.count, intake.lag.seconds) == (2, 2, 6.0)

    def test_what_a_machine_recalled_is_stored_and_is_not_the_latest(self, now: datetime):
        board = Board()
        intake = Intake(Monitor({}), board, Sieve({}), lambda: now)
        intake.take(batch(now, ("m/a", 1.0)))
        assert len(intake.take(batch(now - timedelta(hours=1), ("m/a", 7.0), recalled=True))) == 1
        assert board.readings()["m/a"].value == 1.0
