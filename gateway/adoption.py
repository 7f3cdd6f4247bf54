"""From what machines say of themselves to what a config says of them.

Promises: nothing that a person wrote is changed, only added to; the same machine is found again by its nodes, so that
adopting twice adds once; every key is legal and free; a component gets a rule of wear only from a lifetime that the
machine states, and an item only from a maker and a part number. Nothing that is adopted can be bought before a person
has said what buying means for it. Pure: a document in, what to add to it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from gettext import gettext as _
from typing import TYPE_CHECKING, Any, Final

from gateway.config_edit import block, flow
from gateway.keys import free_key, key_of

if TYPE_CHECKING:
    from connectors.opcua.machinery import (
        DiscoveredComponent,
        DiscoveredMachine,
        Lifetime,
        Nameplate,
        Prognosis,
        Signal,
    )

NAME_MAX: Final = 100
"""Characters of a name in a config."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MachineAddition:
    """What is added to one machine, by key in the words of a config; `is_new` makes the machine itself.

    remarks: a sentence for a component, written beside it.
    """

    key: str
    is_new: bool
    head: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is added."""
        return not (self.is_new or self.tags or self.components)


@dataclass(frozen=True, slots=True)
class Addition:
    """What is added to a config: machines, items, and in sentences what a person should know."""

    machines: Sequence[MachineAddition]
    items: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is added."""
        return not self.items and all(each.is_empty for each in self.machines)

    def lines(self) -> list[str]:
        """Return what is added, a line for each, as a difference shows it."""
        told = []
        for machine in self.machines:
            if machine.is_new:
                told.append(f"+ machines.{machine.key}")
            told += [f"+ machines.{machine.key}.tags.{tag}" for tag in machine.tags]
            for key, component in machine.components.items():
                told.append(f"+ machines.{machine.key}.components.{key}  ({component.get('rated_life')})")
        return told + [f"+ items.{key}" for key in self.items]


def addition_of(machines: Sequence[DiscoveredMachine], document: Document, connection: str) -> Addition:
    """Return what a config lacks of machines that were discovered over a connection."""
    return _Adopter(document, connection).addition(machines)


class _Adopter:
    """One pass over the machines; keys that are given away are taken from then on."""

    def __init__(self, document: Document, connection: str) -> None:
        self._connection = connection
        self._machines: Mapping[str, Any] = document.get("machines") or {}
        self._taken = set(self._machines)
        self._known_items: Mapping[str, Any] = document.get("items") or {}
        self._parts = {
            (str(item.get("manufacturer")), str(item.get("mpn"))): key
            for key, item in self._known_items.items()
            if isinstance(item, Mapping)
        }
        self._items: dict[str, Mapping[str, Any]] = {}
        self._notes: list[str] = []

    def addition(self, machines: Sequence[DiscoveredMachine]) -> Addition:
        added = [self._machine(each) for each in machines]
        return Addition(added, self._items, tuple(self._notes))

    def _machine(self, machine: DiscoveredMachine) -> MachineAddition:
        known = self._known(machine)
        key = known or free_key([key_of(machine.name)], self._taken)
        self._taken.add(key)
        held: Mapping[str, Any] = self._machines.get(key) or {} if known else {}
        tags = _Tags(held.get("tags") or {})
        components, remarks = self._components(machine, held, tags)
        for name, signal in machine.counters.items():
            tags.key(signal, key_of(name))
        head: dict[str, Any] = {"name": _name(machine.name) or key, "connection": self._connection}
        if not machine.nameplate.is_empty:
            head["identity"] = _identity(machine.nameplate)
        return MachineAddition(key, not known, head if not known else {}, tags.new, components, remarks)

    def _known(self, machine: DiscoveredMachine) -> str | None:
        """The machine of the config that reads one of these nodes over this connection, if there is one."""
        nodes = {signal.node for signal in _signals(machine)}
        for key, held in self._machines.items():
            if not isinstance(held, Mapping) or held.get("connection") != self._connection:
                continue
            tags = (held.get("tags") or {}).values()
            if any(isinstance(tag, Mapping) and tag.get("node") in nodes for tag in tags):
                return str(key)
        return None

    def _components(
        self, machine: DiscoveredMachine, held: Mapping[str, Any], tags: _Tags
    ) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
        existing: Mapping[str, Any] = held.get("components") or {}
        read = {
            str(each["wear"].get("tag"))
            for each in existing.values()
            if isinstance(each, Mapping) and isinstance(each.get("wear"), Mapping)
        }
        added: dict[str, Mapping[str, Any]] = {}
        remarks: dict[str, str] = {}
        for component in machine.components:
            first, *others = component.lifetimes
            stem = key_of(component.name)
            for life in others:
                tags.key(life.signal, f"{stem[:40]}-{key_of(life.signal.name)[:23]}")
                text = _("{path}: a further lifetime of the same part; it is a tag, and wears nothing by itself")
                self._notes.append(text.format(path=life.signal.path))
            tag = tags.key(first.signal, f"{stem[:40]}-{key_of(first.signal.name)[:23]}")
            if tag in read:
                continue
            key = free_key([stem], {*existing, *added})
            added[key] = self._component(component, first, tag)
            if first.warnings:
                told = ", ".join(_figure(each) for each in first.warnings)
                remarks[key] = _("the machine warns at {values} {unit}").format(values=told, unit=first.signal.unit)
        for prognosis in machine.prognoses:
            tag = tags.key(prognosis.signal, f"{key_of(prognosis.name)[:52]}-predicted")
            if tag not in read:
                added[free_key([key_of(prognosis.name)], {*existing, *added})] = self._foreseen(prognosis, tag)
        return added, remarks

    def _foreseen(self, prognosis: Prognosis, tag: str) -> Mapping[str, Any]:
        name = _name(prognosis.name) or tag
        title = _name(prognosis.about) or name
        return {"name": name, "wear": {"by": "foretold", "tag": tag}, "job": {"title": title}}

    def _component(self, component: DiscoveredComponent, life: Lifetime, tag: str) -> Mapping[str, Any]:
        name = _name(component.name) or tag
        job: dict[str, Any] = {"title": _("Replace {name}").format(name=name)}
        item = self._item(component.nameplate)
        if item is not None:
            job["lines"] = {"part": {"item": item, "quantity": 1}}
        made: dict[str, Any] = {"name": name}
        if not component.nameplate.is_empty:
            made["identity"] = _identity(component.nameplate)
        made |= {"rated_life": f"{_figure(life.length)} {life.signal.unit}", "wear": _wear(life, tag), "job": job}
        return made

    def _item(self, plate: Nameplate) -> str | None:
        """The key of the item that a part is: manufacturer and part number, which a product code is."""
        number = plate.product_code or plate.model
        if not plate.manufacturer or not number:
            return None
        key = self._parts.get((plate.manufacturer, number))
        if key is None:
            wish = key_of(f"{plate.manufacturer[:30]} {number}")
            key = free_key([wish], {*self._known_items, *self._items})
            self._parts[plate.manufacturer, number] = key
            self._items[key] = {
                "manufacturer": plate.manufacturer,
                "mpn": number,
                **({"description": plate.model} if plate.model and plate.model != number else {}),
            }
        return key


class _Tags:
    """A machine's tags: those it has, and those that are new."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self._by_node = {str(tag.get("node")): key for key, tag in held.items() if isinstance(tag, Mapping)}
        self._taken = set(held)
        self.new: dict[str, Mapping[str, Any]] = {}

    def key(self, signal: Signal, wish: str) -> str:
        """Return the tag that reads a signal, making it where there is none."""
        found = self._by_node.get(signal.node)
        if found is None:
            found = free_key([wish], self._taken)
            self._taken.add(found)
            self._by_node[signal.node] = found
            self.new[found] = {"node": signal.node, "unit": signal.unit}
        return found


def _signals(machine: DiscoveredMachine) -> Iterator[Signal]:
    for component in machine.components:
        yield from (life.signal for life in component.lifetimes)
    yield from machine.counters.values()
    yield from (each.signal for each in machine.prognoses)


def _wear(life: Lifetime, tag: str) -> dict[str, Any]:
    """A lifetime is a counter of the part's own: it begins at its start, up or down, and ends at its limit."""
    wear: dict[str, Any] = {"by": "usage", "tag": tag, "resets_at_fitting": True}
    if life.start or life.runs_down:
        wear["as_new"] = _number(life.start)
    if life.runs_down:
        wear["counts_down"] = True
    return wear


def _name(said: str) -> str:
    """A name as a config takes it: one line, without anything that a terminal would obey."""
    printable = "".join(each if each.isprintable() else " " for each in said)
    return " ".join(printable.split())[:NAME_MAX].strip()


def _identity(plate: Nameplate) -> dict[str, str]:
    said = {
        "manufacturer": plate.manufacturer,
        "model": plate.model,
        "product_code": plate.product_code,
        "serial": plate.serial,
    }
    return {key: value for key, value in said.items() if value}


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _figure(value: float) -> str:
    """A number as a config takes it: every digit, no exponent."""
    return f"{Decimal(repr(value)).normalize():f}"


def apply(document: Any, addition: Addition) -> None:
    """Put an addition into a document that ruamel.yaml read, beside what stands there."""
    machines = section(document, "machines")
    for each in addition.machines:
        if each.is_empty:
            continue
        if each.is_new:
            machines[each.key] = block({key: _written(value) for key, value in each.head.items()})
        machine = machines[each.key]
        tags = section(machine, "tags") if each.tags else {}
        for key, values in each.tags.items():
            tags[key] = flow(dict(values))
        components: Any = section(machine, "components") if each.components else {}
        for key, component in each.components.items():
            components[key] = block({name: _written(value) for name, value in component.items()})
            if key in each.remarks and hasattr(components, "yaml_add_eol_comment"):
                components.yaml_add_eol_comment(each.remarks[key], key)
    if addition.items:
        items = section(document, "items")
        for key, values in addition.items.items():
            items[key] = flow(dict(values))


def section(document: Any, name: str) -> Any:
    """Return the mapping of that name of a document, made where there is none, in a form that takes further lines."""
    found = document.get(name)
    if found is None:
        found = document[name] = block({})
    fa = getattr(found, "fa", None)
    if fa is not None and fa.flow_style():
        fa.set_block_style()
    return found


def _written(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    inner = {key: _written(each) for key, each in value.items()}
    return flow(inner) if not any(isinstance(each, Mapping) for each in inner.values()) else block(inner)
