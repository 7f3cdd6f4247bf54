"""Packing: what comes back is what went in, to the last bit, and what was cut off is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maintenance.packing import Layout, Packer, Unpacker, digest

NUMBERS = st.none() | st.floats(allow_nan=False)
WHOLES = st.none() | st.integers(-(2**70), 2**70)


@dataclass(slots=True)
class Kept:
    kept: ClassVar = Layout(numbers=("level",), wholes=("count",), truths=("sure",))
    level: float | None = None
    count: int | None = None
    sure: bool = False


@given(st.lists(st.tuples(NUMBERS, WHOLES, st.booleans()), max_size=6))
def test_what_comes_back_is_what_went_in(rows: list[tuple[float | None, int | None, bool]]):
    packer, things = Packer(), [Kept(*row) for row in rows]
    packer.things(*things)
    again = [Kept(1.0, 1, True) for _ in rows]
    Unpacker(packer.text).things(*again)
    assert again == things


@pytest.mark.parametrize("kind", ["<f8", "<f4", "u1"])
def test_an_array_comes_back_in_its_shape(kind: str):
    packer, values = Packer(), np.arange(6).reshape(2, 3).astype(kind)
    packer.array(values, kind)
    found = Unpacker(packer.text).array(2, 3, kind=kind)
    assert np.array_equal(found, values)
    found += 1  # it is the receiver's own


@given(st.floats(allow_nan=False), st.integers(0, 7))
def test_what_was_cut_off_is_refused(value: float, kept: int):
    packer = Packer()
    for _ in range(kept):
        packer.whole(1)
    with pytest.raises(ValueError, match="cut off"):
        Unpacker(packer.text).number()
    packer.number(value)
    with pytest.raises(ValueError, match="adding"):
        Unpacker(packer.text[:-1] + "=" * 3)


def test_a_count_that_is_missing_is_refused_and_no_number_is_none():
    packer = Packer()
    packer.number(math.nan)
    packer.whole(None)
    packed = Unpacker(packer.text)
    assert packed.number() is None
    with pytest.raises(ValueError, match="lacks"):
        packed.count()


def test_a_digest_goes_by_what_is_said_and_not_by_its_order():
    assert digest({"a": 1, "b": [2.0]}) == digest({"b": [2.0], "a": 1})
    assert digest([1]) != digest([2])
    assert len(digest([1])) == 11
