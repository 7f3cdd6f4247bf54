"""Few and large reads: every tag once, no hole, no read beyond what a device takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.plan import halves, plan
from connectors.modbus.settings import ModbusTag

TAG = st.builds(
    ModbusTag,
    address=st.integers(0, 400),
    table=st.sampled_from(["holding", "input"]),
    type=st.sampled_from(["uint16", "int32"]),
    unit=st.just("h"),
)


def tags(*addresses: int, kind: str = "uint16") -> dict[str, ModbusTag]:
    return {f"m/{address}": ModbusTag(address=address, type=kind, unit="h") for address in addresses}


def shape(*addresses: int, limit: int = 125, kind: str = "uint16") -> list[tuple[int, int]]:
    return [(block.address, block.count) for block in plan(tags(*addresses, kind=kind), limit)]


def test_tags_side_by_side_are_read_together():
    assert shape(3, 1, 2) == [(1, 3)]
    assert shape(0, 2, 4, kind="int32") == [(0, 6)]


def test_a_hole_is_not_read_over():
    assert shape(1, 2, 4) == [(1, 2), (4, 1)]


def test_five_thousand_numbers_side_by_side_are_about_eighty_requests():
    assert len(plan(tags(*range(0, 10_000, 2), kind="int32"))) == 81


def test_a_small_device_is_asked_for_little():
    assert shape(*range(10), limit=4) == [(0, 4), (4, 4), (8, 2)]


@given(st.dictionaries(st.uuids().map(str), TAG, max_size=60), st.integers(2, 125))
def test_every_tag_is_in_one_block_without_holes_and_within_the_limit(held, limit):
    blocks = plan(held, limit)
    assert sorted(point.key for block in blocks for point in block.points) == sorted(held)
    for block in blocks:
        assert 1 <= block.count <= limit
        covered = {a for point in block.points for a in range(point.address, point.end)}
        assert covered == set(range(block.address, block.address + block.count))
        registers = list(range(block.address, block.address + block.count))
        for point in block.points:
            assert (block.table, point.address) == held[point.key].place
            assert block.words(registers, point) == list(range(point.address, point.end))


@given(st.dictionaries(st.uuids().map(str), TAG, min_size=1, max_size=20))
def test_splitting_keeps_every_tag_and_ends_at_one(held):
    waiting, leaves = list(plan(held)), []
    while waiting:
        block = waiting.pop()
        parts = halves(block)
        if len(parts) == 1:
            leaves.append(block)
        waiting += parts if len(parts) > 1 else ()
    assert sorted(point.key for block in leaves for point in block.points) == sorted(held)
    assert all(len(block.points) == 1 and block.count == block.points[0].tag.words for block in leaves)
