"""Whatever a batch holds comes back from its bytes exactly, and damaged bytes are refused."""

from __future__ import annotations

import contextlib
import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.records import Numbering, RecordBroken, Translation, learn, packed, unpacked
from connectors.samples import Batch, Keys, Provenance

TICKS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(17 * 10**15, 17 * 10**15 + 10**7))
KEYS = st.sampled_from(["m/a", "m/b", "press/öl", 'x/"\n', "m/" + "z" * 100])


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rows = draw(st.integers(0, 12))
    keys = Keys(draw(st.lists(KEYS, min_size=1, max_size=5)))
    received = draw(st.lists(TICKS, min_size=rows, max_size=rows))
    if rows and draw(st.booleans()):
        received = received[:1] * rows
    of = {"min_size": rows, "max_size": rows}
    return Batch(
        draw(st.sampled_from(["hall", "plc-é"])),
        keys,
        np.array(draw(st.lists(st.integers(0, len(keys) - 1), **of)), np.int32),
        np.array(draw(st.lists(st.floats(), **of)), np.float64),
        np.array(draw(st.lists(st.integers(0, 2), **of)), np.uint8),
        np.array(draw(st.lists(TICKS, **of)), np.int64),
        np.array(received, np.int64),
        draw(st.sampled_from(list(Provenance))),
        draw(st.dictionaries(st.integers(0, rows - 1), st.text(max_size=5), max_size=3)) if rows else {},
        draw(st.booleans()),
    )


def same(left: Batch, right: Batch) -> bool:
    """Everything, to the last bit; NaN is NaN."""
    columns = all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in ("quality", "source", "received")
    )
    tags = [left.keys[tag] for tag in left.tags] == [right.keys[tag] for tag in right.tags]
    said = all(
        getattr(left, name) == getattr(right, name) for name in ("connection", "provenance", "texts", "recalled")
    )
    return columns and tags and said and np.array_equal(left.values, right.values, equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(batches(), min_size=1, max_size=4), min_size=1, max_size=3), st.booleans())
def test_batches_come_back_exactly_record_after_record(records: list[list[Batch]], squeeze: bool):
    numbering, known = Numbering(), Translation(Keys(["another"]))
    for record in records:
        found = unpacked(packed(record, numbering, squeeze=squeeze), known)
        assert len(found) == len(record)
        assert all(map(same, record, found))
        assert all(batch.keys is known.keys for batch in found)


def test_a_reader_that_skips_a_record_still_learns_its_tags():
    numbering, known = Numbering(), Translation(Keys())
    first, second = (one_batch(key) for key in ("m/a", "m/b"))
    learn(packed([first], numbering), known)
    (found,) = unpacked(packed([second, first], numbering), known)[:1]
    assert same(found, second)


def one_batch(key: str, rows: int = 3) -> Batch:
    column = np.arange(rows)
    return Batch(
        "hall",
        Keys([key]),
        np.zeros(rows, np.int32),
        np.full(rows, math.nan),
        np.zeros(rows, np.uint8),
        column.astype(np.int64),
        column.astype(np.int64),
        Provenance.B,
    )


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_record_that_was_cut_or_grew_is_refused(squeeze: bool):
    record = packed([one_batch("m/a")], Numbering(), squeeze=squeeze)
    for damaged in (
        b"",
        record[:1],
        record[:5],
        record[:-1],
        record[:30],
        record + b"x" if not squeeze else record[:9],
    ):
        with pytest.raises(RecordBroken):
            unpacked(damaged, Translation(Keys()))


def test_a_record_that_unfolds_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connectors.records.SQUEEZED_MAX", 1000)
    with pytest.raises(RecordBroken, match="unfolds"):
        unpacked(b"\1" + zlib.compress(bytes(100_000)), Translation(Keys()))


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_noise_in_a_record_is_an_answer_or_refused_never_anything_else(at: int, noise: bytes):
    record = bytearray(packed([one_batch("m/a"), one_batch("m/b")], Numbering()))
    at %= len(record)
    record[at : at + len(noise)] = noise
    with contextlib.suppress(RecordBroken):
        unpacked(bytes(record), Translation(Keys()))
