"""What is packed comes back to the last bit, takes little room, and damage is never taken for a value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.samples import TICKS_PER_SECOND, Provenance
from maintenance import curves
from maintenance.curves import CurveBroken, Stretch

START = 17_600_000_000_000_000
TICKS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(START, START + 10**9))
NUMBERS = st.one_of(
    st.floats(),
    st.floats(width=32),
    st.integers(-(2**60), 2**60).map(float),
    st.integers(-1000, 1000).map(lambda n: n / 100),
    st.sampled_from([0.0, -0.0, float("inf"), float("nan")]),
)


@st.composite
def stretches(draw: st.DrawFn, tags: int = 1) -> Stretch:
    rows = draw(st.integers(1, 40))
    of = {"min_size": rows, "max_size": rows}
    return Stretch(
        np.array(sorted(draw(st.lists(st.integers(1, tags), **of))), np.int32),
        np.array(draw(st.lists(TICKS, **of)), np.int64),
        np.array(draw(st.one_of(st.lists(NUMBERS, **of), NUMBERS.map(lambda one: [one] * rows)))),
        np.array(draw(st.lists(st.one_of(st.integers(-5, 5), st.integers(-(2**40), 2**40)), **of)), np.int64),
        np.array(draw(st.lists(st.integers(0, 15), **of)), np.uint8),
        draw(st.dictionaries(st.integers(0, rows - 1), st.text(max_size=4), max_size=3)),
    )


def same(left: Stretch, right: Stretch) -> bool:
    columns = ("tags", "source", "delays", "flags")
    numbers = np.array_equal(left.values, right.values, equal_nan=True)
    signs = np.array_equal(np.signbit(left.values[left.values == 0]), np.signbit(right.values[right.values == 0]))
    return (
        all(np.array_equal(getattr(left, name), getattr(right, name)) for name in columns)
        and numbers
        and signs
        and dict(left.texts) == dict(right.texts)
    )


@settings(deadline=None, max_examples=150)
@given(stretches())
def test_a_segment_comes_back_to_the_last_bit(stretch: Stretch):
    assert same(curves.of_segment(curves.segment(stretch)), stretch)


@settings(deadline=None, max_examples=100)
@given(stretches(tags=4))
def test_a_block_comes_back_whole_and_tag_by_tag(stretch: Stretch):
    content = curves.block(stretch)
    assert same(curves.of_block(content), stretch)
    for tag in range(1, 6):
        assert same(curves.of_block(content, tag), stretch.rows(np.flatnonzero(stretch.tags == tag)))


@settings(deadline=None, max_examples=150)
@given(stretches(), st.sampled_from([curves.segment, curves.block]), st.integers(0, 10_000), st.binary(max_size=3))
def test_damage_is_an_answer_or_refused_and_never_anything_else(stretch, pack, at, noise):
    content = bytearray(pack(stretch))
    content[at % len(content) :][: len(noise)] = noise
    content = content[: at % len(content)] + noise + content[at % len(content) + len(noise) :]
    for read in (curves.of_segment, curves.of_block, curves.of_summary):
        try:
            read(bytes(content))
        except CurveBroken:
            continue


def steady(values: object, hz: int) -> Stretch:
    """A tag at a steady pace, its samples with us between 20 and 220 ms after the device had them."""
    numbers = np.asarray(values, np.float64)
    rows, rng = len(numbers), np.random.default_rng(1)
    source = START + np.arange(rows, dtype=np.int64) * (TICKS_PER_SECOND // hz)
    return Stretch(np.ones(rows, np.int32), source, numbers, rng.integers(2, 22, rows), np.zeros(rows, np.uint8))


RNG = np.random.default_rng(7)
SLOW = 20 + np.cumsum(RNG.normal(0, 0.01, 3600))
NOISE = RNG.normal(20, 1, 4096)


@pytest.mark.parametrize(
    ("values", "hz", "bytes_max"),
    [
        pytest.param(np.round(SLOW, 2), 1, 1.4, id="slow, two decimals, 1 Hz"),
        pytest.param(SLOW.astype(np.float32), 1, 3.2, id="slow, 4 bytes, 1 Hz"),
        pytest.param(SLOW, 1, 7.4, id="slow, all 52 bits of it noise, 1 Hz"),
        pytest.param(np.round(NOISE, 3), 10, 2.6, id="noisy, three decimals, 10 Hz"),
        pytest.param(NOISE.astype(np.float32), 10, 3.6, id="noisy, 4 bytes, 10 Hz"),
        pytest.param(NOISE, 10, 7.4, id="noisy, all 52 bits of it noise, 10 Hz"),
        pytest.param(np.full(3600, 3.14), 1, 1.0, id="constant"),
        pytest.param(np.arange(3600) * 3 + 1e6, 1, 1.0, id="counter"),
    ],
)
def test_bytes_a_sample_with_its_minutes(values: object, hz: int, bytes_max: float):
    stretch = steady(values, hz)
    size = len(curves.segment(stretch)) + len(curves.summary_bytes(curves.minutes(stretch)))
    print(f"{size / len(stretch):.2f} bytes a sample")
    assert size / len(stretch) < bytes_max


def test_the_same_value_at_the_same_tick_is_one_sample():
    rows = [(1, 20, 2.0), (1, 10, 1.0), (2, 10, 1.0), (1, 10, 1.0), (1, 10, 3.0), (1, 20, 2.0), (1, 30, 2.0)]
    tags, source, values = (np.array(column) for column in zip(*rows, strict=True))
    delays = np.arange(7)
    found = curves.ordered(Stretch(tags.astype(np.int32), source, values, delays, np.zeros(7, np.uint8), {6: "six"}))
    assert list(zip(found.tags, found.source, found.values, found.delays, strict=True)) == [
        (1, 10, 1.0, 1),
        (1, 10, 3.0, 4),
        (1, 20, 2.0, 0),
        (1, 30, 2.0, 6),
        (2, 10, 1.0, 2),
    ]
    assert found.texts == {3: "six"}


def test_two_words_at_one_tick_are_two_samples():
    column = np.zeros(3, np.int64)
    found = curves.ordered(
        Stretch(column.astype(np.int32), column, np.full(3, np.nan), column, column.astype(np.uint8), {0: "a", 2: "b"})
    )
    assert len(found) == 3


def test_a_minute_knows_lowest_highest_and_last_and_whether_anything_was_bad():
    second = TICKS_PER_SECOND
    at = np.array([0, 30, 59, 60, 120, 130]) * second
    values = np.array([2.0, 5.0, 3.0, 7.0, 9.0, np.nan])
    flags = np.array([0, 1, 0, 0, 2, 2], np.uint8)
    spans = curves.minutes(Stretch(np.ones(6, np.int32), at, values, np.zeros(6, np.int64), flags))
    spans = curves.of_summary(curves.summary_bytes(spans))
    assert spans.at.tolist() == [0, 60 * second, 120 * second]
    np.testing.assert_array_equal(spans.lowest, [2, 7, np.nan])
    np.testing.assert_array_equal(spans.highest, [5, 7, np.nan])
    np.testing.assert_array_equal(spans.last, [3, 7, np.nan])
    assert spans.bad.tolist() == [False, False, True]


def test_reception_is_kept_to_ten_milliseconds():
    source = np.array([START, -(2**63), 2**63 - 1])
    received = np.array([START + 1_234_567, START, START])
    flags = curves.flags_of(np.zeros(3, np.uint8), Provenance.B, recalled=True)
    delays = curves.delays_of(source, received)
    stretch = Stretch(np.ones(3, np.int32), source, np.ones(3), delays, flags)
    assert np.abs(stretch.received - received).max() < 100_000
    assert stretch.provenances == [Provenance.B] * 3
    assert stretch.quality.tolist() == [0, 0, 0]
