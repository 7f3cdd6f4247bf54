"""Machines that a server describes by companion specifications: what they are, what lasts how long, what counts.

Everything is recognised by type definition (name and namespace, vendors' subtypes included) or, for the parts of a
type, by their standard's BrowseName; never by node id, and never by a name that a vendor chose. What is not described
well enough to be used is left out and said. Pure: from what was browsed and read to values.

Identification: OPC 10000-100, 4.5 and OPC 40001-1, 8; lifetimes: OPC 10000-100, 10 and OPC 40501-1's ToolLifeType;
counters: OPC 10000-100, 4.5.5 and OPC 40001-1, 14; prognoses: OPC 40501-1's PrognosisType and its subtypes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any, Final

from connectors.opcua.ancestry import Ancestry, TypeName
from connectors.opcua.browse import Tree
from connectors.opcua.units import MOMENT, UNKNOWN, unit_of

DI: Final = "http://opcfoundation.org/UA/DI/"
MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL: Final = "http://opcfoundation.org/UA/MachineTool/"

MACHINES_MAX: Final = 500
PARTS_MAX: Final = 2_000
"""Components of one server; a person has to look at what they become."""
TEXT_MAX: Final = 100
"""As long as an item of the catalogue allows a maker's name to be."""

_MACHINE_IDENTIFICATION: Final = TypeName(MACHINERY, "MachineIdentificationType")
_IDENTIFICATION: Final = TypeName(MACHINERY, "MachineryItemIdentificationType")
_MACHINE_TOOL: Final = TypeName(MACHINE_TOOL, "MachineToolType")
_DEVICE: Final = TypeName(DI, "DeviceType")
_COMPONENT: Final = TypeName(DI, "ComponentType")
_TOOL: Final = TypeName(MACHINE_TOOL, "BaseToolType")
_LIFETIME: Final = TypeName(DI, "LifetimeVariableType")
_TOOL_LIFE: Final = TypeName(MACHINE_TOOL, "ToolLifeType")
_PROGNOSIS: Final = TypeName(MACHINE_TOOL, "PrognosisType")

_PLATE: Final = ("Manufacturer", "Model", "ProductCode", "SerialNumber")
_COUNTERS: Final = ("OperationDuration", "PowerOnDuration", "OperationCycleCounter")
"""Best first: what a part wears by is what the machine does, not that it is switched on."""
_COUNTER_UNITS: Final[Mapping[str, str]] = {
    "OperationDuration": "ms",  # a Duration is milliseconds (OPC 10000-3, 8.13)
    "PowerOnDuration": "ms",
    "OperationCycleCounter": "cycles",
}
_INDICATED: Final[Mapping[str, str]] = {
    "TimeIndicationType": "h",
    "NumberOfPartsIndicationType": "parts",
    "NumberOfUsagesIndicationType": "cycles",
    "LengthIndicationType": "m",
    "DiameterIndicationType": "mm",
    "SubstanceVolumeIndicationType": "l",
}
"""What is counted where the unit says nothing; a time or length without a unit is not guessed at, see `_unit`."""
_GUESSED: Final = frozenset({"parts", "cycles"})
_TOLD: Final = ("Activity", "ToolName", "ToolIdentifier", "UtilityName", "Location", "PartName")


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What a thing says of its own identity; each is empty where it says nothing."""

    manufacturer: str = ""
    model: str = ""
    product_code: str = ""
    serial: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing at all."""
        return not (self.manufacturer or self.model or self.product_code or self.serial)


@dataclass(frozen=True, slots=True)
class Signal:
    """A variable to be read: its node as a config names it, its name, its path, its unit."""

    node: str
    name: str
    path: str
    unit: str


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long something lasts: the signal runs from `start` to `limit`, up or down, in its unit.

    indication: the BrowseName of the type that says what is counted, or empty. warnings: values before the limit.
    """

    signal: Signal
    start: float
    limit: float
    warnings: tuple[float, ...] = ()
    indication: str = ""

    @property
    def length(self) -> float:
        """The whole life, in the signal's unit."""
        return abs(self.limit - self.start)

    @property
    def runs_down(self) -> bool:
        """Whether the signal falls as the part is used."""
        return self.start > self.limit


@dataclass(frozen=True, slots=True)
class DiscoveredComponent:
    """A part of a machine that lasts a known time, with its identity; at least one lifetime."""

    name: str
    path: str
    nameplate: Nameplate
    lifetimes: tuple[Lifetime, ...]


@dataclass(frozen=True, slots=True)
class Prognosis:
    """When the machine expects something to be due: its kind by BrowseName, what it is about, where it is read."""

    name: str
    kind: str
    about: str
    signal: Signal


@dataclass(frozen=True, slots=True)
class DiscoveredMachine:
    """A machine as it describes itself; `counters` by the standard's names, the best for wear first."""

    name: str
    path: str
    nameplate: Nameplate
    counters: Mapping[str, Signal] = field(default_factory=dict)
    components: tuple[DiscoveredComponent, ...] = ()
    prognoses: tuple[Prognosis, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What was recognised, and in sentences what was not and why."""

    machines: tuple[DiscoveredMachine, ...]
    notes: tuple[str, ...] = ()


def asked_of(tree: Tree, kinds: Ancestry) -> list[int]:
    """Return the places of the few variables whose values `assets_of` needs: nameplates, lifetimes, prognoses."""
    wanted: list[int] = []
    for place, node in enumerate(tree.nodes):
        if not node.is_variable:
            continue
        above = node.parent
        plate = node.space == DI and node.name in _PLATE
        named = node.space == MACHINE_TOOL and node.name in ("Name", "Identifier", *_TOLD)
        life = above is not None and _is(tree, kinds, above, _LIFETIME, _TOOL_LIFE)
        if plate or named or life:
            wanted.append(place)
    return wanted


def assets_of(tree: Tree, kinds: Ancestry, values: Mapping[int, Any]) -> Findings:
    """Return the machines that a tree describes; `values` are those of `asked_of`, by place."""
    return _Reader(tree, kinds, values).findings()


def _is(tree: Tree, kinds: Ancestry, place: int, *wanted: TypeName) -> bool:
    return not kinds.get(tree.nodes[place].type, frozenset()).isdisjoint(wanted)


class _Reader:
    """One pass over a tree: who owns what, then machine by machine."""

    def __init__(self, tree: Tree, kinds: Ancestry, values: Mapping[int, Any]) -> None:
        self._tree = tree
        self._kinds = kinds
        self._values = values
        self._notes: list[str] = []
        self._machines = [place for place in range(len(tree.nodes)) if self._is_machine(place)]
        self._counters: dict[int, dict[str, Signal]] = {}
        self._lives: dict[int, dict[int, list[Lifetime]]] = {}
        self._prognoses: dict[int, list[Prognosis]] = {}

    def findings(self) -> Findings:
        self._gather()
        owners = [*self._machines, *(each for each in self._lives if each not in self._machines)]
        machines = tuple(self._machine(place) for place in dict.fromkeys(owners[:MACHINES_MAX]))
        if len(owners) > MACHINES_MAX:
            self._notes.append(_("more than {most} machines; the rest is left out").format(most=MACHINES_MAX))
        return Findings(machines, tuple(self._notes))

    # ---- what is what

    def _is_machine(self, place: int) -> bool:
        """A machine has a machine's identification, or is a machine tool, or is a device that is part of no other."""
        if self._tree.nodes[place].is_variable:
            return False
        if _is(self._tree, self._kinds, place, _MACHINE_TOOL):
            return True
        if any(_is(self._tree, self._kinds, each, _MACHINE_IDENTIFICATION) for each in self._tree.children(place)):
            return True
        if not _is(self._tree, self._kinds, place, _DEVICE):
            return False
        return not any(self._is_machine(each) for each in self._above(place))

    def _is_part(self, place: int) -> bool:
        """A part has an identification, or is a component or tool by its type."""
        if self._tree.nodes[place].is_variable:
            return False
        if _is(self._tree, self._kinds, place, _COMPONENT, _TOOL):
            return True
        return any(_is(self._tree, self._kinds, each, _IDENTIFICATION) for each in self._tree.children(place))

    def _above(self, place: int) -> Iterator[int]:
        parent = self._tree.nodes[place].parent
        while parent is not None:
            yield parent
            parent = self._tree.nodes[parent].parent

    def _owner(self, place: int) -> int | None:
        """The machine that something belongs to; where none is described, the object that holds it."""
        machines = set(self._machines)
        above = [each for each in self._above(place) if self._tree.nodes[each].parent is not None]
        found = next((each for each in above if each in machines), None)
        if found is not None:
            return found
        parts = [each for each in above if self._is_part(each)]
        return parts[-1] if parts else (above[-1] if above else None)

    # ---- what belongs to whom

    def _gather(self) -> None:
        count = 0
        for place, node in enumerate(self._tree.nodes):
            if node.is_variable and _is(self._tree, self._kinds, place, _LIFETIME, _TOOL_LIFE):
                life, owner = self._lifetime(place), self._owner(place)
                if life is None or owner is None:
                    continue
                count += 1
                if count > PARTS_MAX:
                    self._notes.append(_("more than {most} lifetimes; the rest is left out").format(most=PARTS_MAX))
                    break
                part = next((each for each in self._above(place) if each == owner or self._is_part(each)), owner)
                self._lives.setdefault(owner, {}).setdefault(part, []).append(life)
            elif node.is_variable and node.name in _COUNTERS and node.space in (DI, MACHINE_TOOL):
                self._count(place)
            elif not node.is_variable and _is(self._tree, self._kinds, place, _PROGNOSIS):
                self._foresee(place)

    def _count(self, place: int) -> None:
        """A counter of a machine's own; one of a component would be another clock."""
        owner = self._owner(place)
        if owner is None or owner not in self._machines:
            return
        if any(self._is_part(each) for each in self._between(place, owner)):
            return
        name = self._tree.nodes[place].name
        signal = self._signal(place, _COUNTER_UNITS[name])
        if signal is not None:
            self._counters.setdefault(owner, {}).setdefault(name, signal)

    def _between(self, place: int, owner: int) -> Iterator[int]:
        for each in self._above(place):
            if each == owner:
                return
            yield each

    def _foresee(self, place: int) -> None:
        owner = self._owner(place)
        predicted = self._tree.child(place, "PredictedTime", MACHINE_TOOL)
        if owner is None or predicted is None:
            return
        signal = self._signal(predicted, MOMENT)
        if signal is None:
            return
        told = (self._text(self._tree.child(place, each, MACHINE_TOOL)) for each in _TOLD)
        names = self._kinds.get(self._tree.nodes[place].type, frozenset())
        kind = min((each.name for each in names - {_PROGNOSIS} if each.space == MACHINE_TOOL), default=_PROGNOSIS.name)
        about = next((each for each in told if each), "")
        self._prognoses.setdefault(owner, []).append(Prognosis(self._tree.nodes[place].name, kind, about, signal))

    # ---- what it says

    def _lifetime(self, place: int) -> Lifetime | None:
        node = self._tree.nodes[place]
        start, limit = (self._number(self._named(place, each)) for each in ("StartValue", "LimitValue"))
        if start is None or limit is None or start == limit:
            self._notes.append(
                _("{path}: a lifetime without a start and another limit says nothing").format(path=node.path)
            )
            return None
        indication = self._indication(place)
        unit = self._unit(place, indication)
        if unit is None:
            self._notes.append(_("{path}: a lifetime without a unit is not guessed at").format(path=node.path))
            return None
        signal = self._signal(place, unit)
        if signal is None:
            return None
        return Lifetime(signal, start, limit, self._warnings(place), indication)

    def _named(self, place: int, name: str) -> int | None:
        found = self._tree.child(place, name, DI)
        return found if found is not None else self._tree.child(place, name, MACHINE_TOOL)

    def _unit(self, place: int, indication: str) -> str | None:
        """The unit of a lifetime: the server's, or what is plainly a number of something; None is not to be used."""
        units = self._tree.child(place, "EngineeringUnits")
        found = unit_of(self._values.get(units)) if units is not None else UNKNOWN
        if found != UNKNOWN:
            return found
        counted = _INDICATED.get(indication, "cycles" if not indication else "")
        return counted if counted in _GUESSED else None

    def _indication(self, place: int) -> str:
        """What is counted: the value is the id of a type, found among the known ones, or an enumeration's word."""
        found = self._named(place, "Indication")
        value = self._values.get(found) if found is not None else None
        try:
            names = self._kinds.get(value, frozenset()) if value is not None else frozenset()
        except TypeError:  # a vendor put something else here
            return ""
        known = [each.name for each in names if each in {TypeName(DI, name) for name in _INDICATED}]
        return known[0] if known else ""

    def _warnings(self, place: int) -> tuple[float, ...]:
        for name in ("WarningValues", "WarningValue"):
            found = self._named(place, name)
            value = self._values.get(found) if found is not None else None
            told = value if isinstance(value, list | tuple) else [value]
            numbers = tuple(each for each in map(_finite, told[:8]) if each is not None)
            if numbers:
                return numbers
        return ()

    def _number(self, place: int | None) -> float | None:
        return None if place is None else _finite(self._values.get(place))

    def _text(self, place: int | None) -> str:
        value = self._values.get(place) if place is not None else None
        value = getattr(value, "Text", value)
        text = "".join(each if each.isprintable() else " " for each in value) if isinstance(value, str) else ""
        return " ".join(text.split())[:TEXT_MAX]

    def _signal(self, place: int, unit: str) -> Signal | None:
        node = self._tree.nodes[place]
        text = self._tree.text_of(node.id)
        if text is None:
            self._notes.append(_("{path}: its node cannot be named in a config").format(path=node.path))
            return None
        return Signal(text, node.name, node.path, unit)

    # ---- machines and components

    def _machine(self, place: int) -> DiscoveredMachine:
        node = self._tree.nodes[place]
        counters = self._counters.get(place, {})
        return DiscoveredMachine(
            name=node.name,
            path=node.path,
            nameplate=self._nameplate(place),
            counters={name: counters[name] for name in _COUNTERS if name in counters},
            components=tuple(self._components(place)),
            prognoses=tuple(self._prognoses.get(place, ())),
        )

    def _components(self, machine: int) -> Iterator[DiscoveredComponent]:
        for part, lives in self._lives.get(machine, {}).items():
            node = self._tree.nodes[part]
            if part != machine:
                yield DiscoveredComponent(node.name, node.path, self._nameplate(part), tuple(lives))
                continue
            for life in lives:  # of the machine as a whole: whatever part it is about has no identity
                yield DiscoveredComponent(life.signal.name, life.signal.path, Nameplate(), (life,))

    def _nameplate(self, place: int) -> Nameplate:
        """What stands in the identification of a thing, or right below it; a tool's identifier is its product code."""
        groups = [
            each
            for each in self._tree.children(place)
            if _is(self._tree, self._kinds, each, _IDENTIFICATION) or self._tree.nodes[each].name == "Identification"
        ]
        said = {name: next((text for text in self._said([*groups, place], name) if text), "") for name in _PLATE}
        if _is(self._tree, self._kinds, place, _TOOL) and not said["ProductCode"]:
            said["ProductCode"] = self._text(self._tree.child(place, "Identifier", MACHINE_TOOL))
        return Nameplate(said["Manufacturer"], said["Model"], said["ProductCode"], said["SerialNumber"])

    def _said(self, places: Sequence[int], name: str) -> Iterable[str]:
        return (self._text(self._tree.child(place, name, DI)) for place in places)


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
