"""The fewest reads that hold every tag."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.plan import Block, Holes, Limits, halves, plan, points_of
from connectors.modbus.settings import ModbusTag


def tags(*addresses: int, **told: Any) -> dict[str, ModbusTag]:
    return {f"m/t{n}": ModbusTag.model_validate({"unit": "1", "address": n} | told) for n in addresses}


def spans(blocks: tuple[Block, ...]) -> list[tuple[int, int]]:
    return [(block.address, block.count) for block in blocks]


def planned(known: dict[str, ModbusTag], **limits: int) -> tuple[Block, ...]:
    return plan(points_of(known, 1), Limits(**limits))


def test_ten_thousand_registers_side_by_side_are_eighty_reads():
    assert len(planned(tags(*range(10_000)))) == 80
    assert len(planned(tags(*range(0, 10_000, 2), type="float32"), registers=124)) == 81


def test_small_gaps_are_read_over_and_large_ones_not():
    known = tags(0, 1, 5, 30)
    assert spans(planned(known)) == [(0, 2), (5, 1), (30, 1)]
    assert spans(planned(known, gap=10)) == [(0, 6), (30, 1)]


def test_tables_units_and_rhythms_are_read_apart():
    known = {
        "m/a": ModbusTag(unit="1", register=40001),
        "m/b": ModbusTag(unit="1", register=30001),
        "m/c": ModbusTag(unit="1", register="00001"),
        "m/d": ModbusTag(unit="1", register=10001),
        "m/e": ModbusTag(unit="1", register=40002, device_id=7),
        "m/f": ModbusTag(unit="1", register=40002),
    }
    blocks = plan(points_of(known, 1), Limits(), {"m/f": 10})
    assert [(block.unit, block.table, block.each) for block in blocks] == [
        (1, "coil", 1),
        (1, "discrete", 1),
        (1, "holding", 1),
        (1, "holding", 10),
        (1, "input", 1),
        (7, "holding", 1),
    ]


def test_bits_have_their_own_limit():
    assert len(planned(tags(*range(4_000), table="coil"))) == 2


def test_a_unit_may_have_limits_of_its_own():
    known = tags(*range(100)) | {f"n/t{n}": ModbusTag(unit="1", address=n, device_id=7) for n in range(100)}
    blocks = plan(points_of(known, 1), Limits(), None, None, {7: Limits(registers=32)})
    assert [block.unit for block in blocks] == [1, 7, 7, 7, 7]


def test_known_holes_are_left_out_and_not_read_over():
    known = tags(0, 1, 2, 5, 6)
    holes = Holes(frozenset({(1, "holding", 5)}), frozenset({"m/t1"}))
    assert spans(plan(points_of(known, 1), Limits(gap=10), None, holes)) == [(0, 3), (5, 2)]


def test_a_refused_block_is_split_at_its_gaps_and_then_in_the_middle():
    (block,) = planned(tags(0, 1, 5, 6), gap=10)
    parts = halves(block)
    assert spans(parts) == [(0, 2), (5, 2)]
    assert spans(halves(parts[0])) == [(0, 1), (1, 1)]
    assert halves(halves(parts[0])[0]) == (halves(parts[0])[0],)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["uint16", "float32", "float64"])), max_size=60),
    st.integers(4, 125),
    st.integers(0, 20),
)
def test_every_tag_is_in_exactly_one_block_within_the_limits(places: list[tuple[int, str]], limit: int, gap: int):
    known = {
        f"m/t{n}": ModbusTag.model_validate({"unit": "1", "address": at, "type": kind})
        for n, (at, kind) in enumerate(places)
    }
    blocks = planned(known, registers=limit, gap=gap)
    assert sorted(point.key for block in blocks for point in block.points) == sorted(known)
    for block in blocks:
        assert block.count <= limit
        assert all(block.address <= p.address and p.end <= block.address + block.count for p in block.points)
