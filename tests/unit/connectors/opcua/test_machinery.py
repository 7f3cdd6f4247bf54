"""Machines from trees that were browsed: recognised by type and standard's name, whatever vendors call them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.ancestry import TypeName
from connectors.opcua.browse import OBJECTS, Node, Tree, node_text
from connectors.opcua.machinery import DI, MACHINE_TOOL, MACHINERY, Findings, Nameplate, asked_of, assets_of
from connectors.opcua.nodes import resolve
from connectors.opcua.settings import OpcUaTag

OWN = "urn:maker"
SPACES = ["http://opcfoundation.org/UA/", "urn:local", DI, MACHINERY, MACHINE_TOOL, OWN]
LIFETIME = TypeName(DI, "LifetimeVariableType")


@dataclass
class Drawn:
    """A tree drawn by hand, with the types and values of its nodes."""

    tree: Tree = field(default_factory=lambda: Tree(SPACES))
    kinds: dict[ua.NodeId, frozenset[TypeName]] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree.add(Node(OBJECTS, "Objects", "", None, False, 0, ua.NodeId(), ""))

    def type(self, *names: TypeName) -> ua.NodeId:
        node = ua.NodeId(len(self.kinds) + 1000, 5)
        self.kinds[node] = frozenset(names)
        return node

    def object(self, name: str, *types: TypeName, under: int = 0, space: str = OWN) -> int:
        return self._add(name, under, space, False, types)

    def variable(self, name: str, value: Any, *types: TypeName, under: int, space: str = OWN) -> int:
        place = self._add(name, under, space, True, types)
        self.values[place] = value
        return place

    def _add(self, name: str, under: int, space: str, is_variable: bool, types: Sequence[TypeName]) -> int:
        path = f"{self.tree.nodes[under].path}/{name}".strip("/")
        reference = ObjectIds.HasProperty if is_variable and not types else ObjectIds.HasComponent
        node = ua.NodeId(path, 5)
        return self.tree.add(Node(node, name, space, under, is_variable, reference, self.type(*types), path))

    def lifetime(self, under: int, start: Any = 0.0, limit: Any = 500.0, unit: str = "HUR", name: str = "Hours") -> int:
        place = self.variable(name, 10.0, LIFETIME, under=under)
        self.variable("StartValue", start, under=place, space=DI)
        self.variable("LimitValue", limit, under=place, space=DI)
        if unit:
            information = ua.EUInformation(UnitId=int.from_bytes(unit.encode(), "big"))
            self.variable("EngineeringUnits", information, under=place, space=SPACES[0])
        return place

    def found(self) -> Findings:
        wanted = asked_of(self.tree, self.kinds)
        return assets_of(self.tree, self.kinds, {place: self.values.get(place) for place in wanted})


@pytest.fixture
def drawn() -> Drawn:
    return Drawn()


def machine(drawn: Drawn, name: str = "mill", identification: str = "MachineIdentificationType") -> int:
    place = drawn.object(name)
    types = {TypeName(MACHINERY, each) for each in (identification, "MachineryItemIdentificationType")}
    plate = drawn.object("Identification", *types, under=place, space=DI)
    drawn.variable("Manufacturer", ua.LocalizedText("Maker"), under=plate, space=DI)
    drawn.variable("SerialNumber", "7", under=plate, space=DI)
    return place


def test_a_vendors_subtype_is_what_its_supertypes_are(drawn: Drawn):
    mill = machine(drawn)
    part = drawn.object("Pump", TypeName(OWN, "OurPumpType"), TypeName(DI, "ComponentType"), under=mill)
    place = drawn.variable("Left", 3.0, TypeName(OWN, "OurLifeType"), LIFETIME, under=part)
    drawn.variable("StartValue", 100, under=place, space=DI)
    drawn.variable("LimitValue", 0, under=place, space=DI)
    drawn.variable("EngineeringUnits", ua.EUInformation(UnitId=4740434), under=place, space=SPACES[0])
    (found,) = drawn.found().machines
    (component,) = found.components
    assert (component.name, component.lifetimes[0].runs_down, component.lifetimes[0].length) == ("Pump", True, 100.0)
    assert component.lifetimes[0].signal.node == f"nsu={OWN};s=mill/Pump/Left"


def test_the_same_names_in_another_namespace_mean_nothing(drawn: Drawn):
    mill = machine(drawn)
    place = drawn.variable("Life", 3.0, TypeName(OWN, "LifetimeVariableType"), under=mill)
    drawn.variable("StartValue", 0.0, under=place, space=DI)
    drawn.variable("LimitValue", 9.0, under=place, space=DI)
    drawn.variable("OperationDuration", 3.0, under=mill)
    (found,) = drawn.found().machines
    assert (found.components, found.counters) == ((), {})


def test_a_lifetime_of_the_machine_as_a_whole_is_a_component_without_identity(drawn: Drawn):
    drawn.lifetime(machine(drawn), name="GreaseHours")
    (found,) = drawn.found().machines
    assert [(each.name, each.nameplate) for each in found.components] == [("GreaseHours", Nameplate())]
    assert found.nameplate == Nameplate("Maker", "", "", "7")


def test_lifetimes_without_any_machine_belong_to_the_object_that_holds_them(drawn: Drawn):
    drawn.lifetime(drawn.object("Filter", under=drawn.object("Line 3")))
    (found,) = drawn.found().machines
    assert (found.name, [each.name for each in found.components]) == ("Line 3", ["Hours"])


def test_a_device_inside_a_machine_is_a_part_of_it(drawn: Drawn):
    types = TypeName(DI, "DeviceType"), TypeName(DI, "ComponentType")
    drive = drawn.object("Drive", *types, under=machine(drawn))
    drawn.variable("ProductCode", "D-1", under=drive, space=DI)
    drawn.lifetime(drive)
    alone = drawn.object("Sensor", *types)
    drawn.lifetime(alone)
    findings = drawn.found()
    assert [each.name for each in findings.machines] == ["mill", "Sensor"]
    assert findings.machines[0].components[0].nameplate.product_code == "D-1"


def test_counters_of_a_component_are_not_the_machines(drawn: Drawn):
    mill = machine(drawn)
    drawn.variable("OperationDuration", 3.0, under=drawn.object("OperationCounters", under=mill), space=DI)
    spindle = drawn.object("Spindle", TypeName(DI, "ComponentType"), under=mill)
    drawn.variable("OperationCycleCounter", 3, under=spindle, space=DI)
    (found,) = drawn.found().machines
    assert list(found.counters) == ["OperationDuration"]
    assert found.counters["OperationDuration"].path == "mill/OperationCounters/OperationDuration"


@pytest.mark.parametrize(
    ("start", "limit"), [(None, 5.0), (0.0, None), (3.0, 3.0), (math.nan, 5.0), (0.0, math.inf), ("0", 5), (True, 9)]
)
def test_a_lifetime_that_says_no_length_is_left_out_and_named(drawn: Drawn, start: Any, limit: Any):
    drawn.lifetime(machine(drawn), start, limit)
    findings = drawn.found()
    assert findings.machines[0].components == ()
    assert findings.notes == ("mill/Hours: a lifetime without a start and another limit says nothing",)


def test_a_time_without_a_unit_is_not_guessed_at(drawn: Drawn):
    place = drawn.lifetime(machine(drawn), unit="")
    indication = drawn.type(TypeName(DI, "TimeIndicationType"))
    drawn.variable("Indication", indication, under=place, space=DI)
    findings = drawn.found()
    assert findings.machines[0].components == ()
    assert "without a unit" in findings.notes[0]


@pytest.mark.parametrize(
    ("indication", "unit"), [("NumberOfPartsIndicationType", "parts"), ("NumberOfUsagesIndicationType", "cycles")]
)
def test_a_number_of_things_needs_no_unit(drawn: Drawn, indication: str, unit: str):
    place = drawn.lifetime(machine(drawn), unit="C62")
    drawn.variable("Indication", drawn.type(TypeName(DI, indication)), under=place, space=DI)
    (life,) = drawn.found().machines[0].components[0].lifetimes
    assert (life.signal.unit, life.indication) == (unit, indication)


@pytest.mark.parametrize("odd", [None, 3, "text", [1, 2], ua.NodeId(1, 9), ua.LocalizedText("x")])
def test_an_odd_indication_or_warning_says_nothing(drawn: Drawn, odd: Any):
    place = drawn.lifetime(machine(drawn))
    drawn.variable("Indication", odd, under=place, space=DI)
    drawn.variable("WarningValues", "soon", under=place, space=DI)
    (life,) = drawn.found().machines[0].components[0].lifetimes
    assert (life.indication, life.warnings) == ("", ())


def test_warnings_are_numbers_and_few(drawn: Drawn):
    place = drawn.lifetime(machine(drawn))
    drawn.variable("WarningValues", [400.0, math.nan, "x", *range(100)], under=place, space=DI)
    (life,) = drawn.found().machines[0].components[0].lifetimes
    assert life.warnings == (400.0, 0.0, 1.0, 2.0, 3.0, 4.0)


def test_what_stands_on_a_nameplate_is_one_bounded_line(drawn: Drawn):
    mill = machine(drawn)
    plate = next(each for each in drawn.tree.children(mill))
    drawn.variable("Model", "X\x1b[31m\n" + "y" * 500, under=plate, space=DI)
    drawn.variable("ProductCode", 5, under=plate, space=DI)
    (found,) = drawn.found().machines
    assert found.nameplate.model.startswith("X [31m yyy")
    assert len(found.nameplate.model) == 100
    assert found.nameplate.product_code == ""


def test_a_node_that_no_config_can_name_is_said(drawn: Drawn):
    mill = machine(drawn)
    place = drawn.lifetime(mill)
    drawn.tree.nodes[place].id = ua.NodeId("x", 77)
    findings = drawn.found()
    assert findings.machines[0].components == ()
    assert findings.notes == ("mill/Hours: its node cannot be named in a config",)


@pytest.mark.parametrize(
    "node",
    [
        ua.NodeId("plain", 5),
        ua.NodeId("with space = and / and ü", 5),
        ua.NodeId("a;b=c", 5),
        ua.NodeId(70_000, 5),
        ua.NodeId(7, 0),
        ua.NodeId(uuid.UUID(int=5), 5),
        ua.NodeId(b"\x00\xff", 5, ua.NodeIdType.ByteString),
    ],
)
def test_a_node_that_can_be_written_is_found_again_by_what_is_written(node: ua.NodeId):
    text = node_text(node, SPACES)
    assert text is not None
    assert resolve(text, SPACES) == node
    assert OpcUaTag(node=text, unit="1").node == text


@pytest.mark.parametrize("node", [ua.NodeId("a\nb", 5), ua.NodeId("x", 9)])
def test_a_node_that_could_be_mistaken_is_not_written(node: ua.NodeId):
    assert node_text(node, SPACES) is None
