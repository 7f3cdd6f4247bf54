"""Tags from what a server shows, and what differs later."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.inspection import Variable
from connectors.opcua.settings import OpcUaTag
from gateway.browse_memory import recall, remember
from gateway.browsing import Difference, difference, tags_of


def shown(
    path: str, *, node: str | None = None, unit: str = "1", kind: str = "Double", number: bool = True
) -> Variable:
    return Variable(0, f"nsu=urn:m;s={path}" if node is None else node, path, "1", "Good", kind, unit, number)


def test_a_tag_is_called_by_as_much_of_its_path_as_tells_it_apart():
    found = tags_of([shown("A/Spindle/Load"), shown("A/Axis/Load"), shown("A/Axis/Power", unit="kW")], {})
    assert found.tags == {
        "spindle-load": {"node": "nsu=urn:m;s=A/Spindle/Load", "unit": "1"},
        "axis-load": {"node": "nsu=urn:m;s=A/Axis/Load", "unit": "1"},
        "power": {"node": "nsu=urn:m;s=A/Axis/Power", "unit": "kW"},
    }


def test_a_node_that_is_read_already_is_known_whatever_its_tag_is_called():
    held = {"vibration": {"node": "nsu=urn:m;s=A/Load", "unit": "mm/s"}, "power": {"node": "i=5", "unit": "kW"}}
    found = tags_of([shown("A/Load"), shown("A/Power")], held)
    assert list(found.tags) == ["a-power"]
    assert found.known == 1


def test_what_cannot_be_a_tag_is_counted():
    found = tags_of([shown("A/State", number=False), shown("A/Odd", node="")], {})
    assert (found.tags, found.words, found.unnamed) == ({}, 1, 1)


@given(st.lists(st.text("aB/ ü", max_size=90), unique=True, max_size=30))
def test_every_tag_has_a_key_of_its_own_and_is_legal(paths: list[str]):
    found = tags_of([shown(path, node=f"nsu=urn:m;i={number}") for number, path in enumerate(paths)], {})
    assert len(found.tags) == len(paths)
    for values in found.tags.values():
        OpcUaTag.model_validate(values)


def test_a_second_look_tells_new_gone_and_changed_apart():
    held = {
        "load": {"node": "nsu=urn:m;s=A/Load", "unit": "%"},
        "speed": {"node": "nsu=urn:m;s=A/Speed", "unit": "1/min"},
        "count": {"node": "nsu=urn:m;s=A/Count", "unit": "1"},
        "left": {"node": "nsu=urn:m;s=A/Left", "unit": "h"},
    }
    now = [shown("A/Load", unit="kW"), shown("A/Speed"), shown("A/Count", kind="String"), shown("A/New")]
    found = difference(held, {each.node: each for each in now}, now, {"nsu=urn:m;s=A/Count": "UInt32"})
    assert list(found.new) == ["new"]
    assert found.gone == ["left"]
    assert found.changed == {"load": ("%", "kW"), "count": ("UInt32", "String")}
    assert found.lines("m") == [
        "+ m/new  nsu=urn:m;s=A/New",
        "- m/left",
        "~ m/load  % -> kW",
        "~ m/count  UInt32 -> String",
    ]


def test_the_same_again_is_no_difference():
    held = tags_of([shown("A/Load")], {}).tags
    again = [shown("A/Load")]
    assert difference(held, {each.node: each for each in again}, again, {}).is_empty
    assert Difference().facts() == {"new": {}, "gone": [], "changed": {}}


def test_types_are_remembered_and_a_broken_memory_is_none(tmp_path: Path):
    assert recall(tmp_path, "mill") == {}
    remember(tmp_path, "mill", {"i=1": "Double"})
    assert recall(tmp_path, "mill") == {"i=1": "Double"}
    (tmp_path / "browsed" / "mill.json").write_text("[1")
    assert recall(tmp_path, "mill") == {}
