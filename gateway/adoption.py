"""From what machines say of themselves to what a config says of them.

Promises: nothing that a person wrote is changed, only added to; the same machine is found again by its nodes, so that
adopting twice adds once; every key is legal and free; a component gets a rule of wear only from lifetimes that the
machine states, a clock from each, and an item only from a maker and a part number; counters without a life are tags,
and it is said how a person who knows one makes a component of them. Nothing that is adopted can be bought before a
person has said what buying means for it. Pure: a document in, what to add to it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from gettext import gettext as _
from typing import TYPE_CHECKING, Any, Final

from gateway.config_edit import block, flow
from gateway.keys import free_key, key_of
from maintenance.settings import CLOCKS_MAX, is_time

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
                told.append(f"+ machines.{machine.key}.components.{key}  ({_lasting(component)})")
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
        held_before = set(tags.new)
        counters = {tags.key(signal, key_of(name)): signal for name, signal in machine.counters.items()}
        new = {tag: signal for tag, signal in counters.items() if tag in tags.new and tag not in held_before}
        if new:
            self._notes.append(_suggestion(key, new))
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
        read = {tag for each in existing.values() for tag in _tags_read(each)}
        added: dict[str, Mapping[str, Any]] = {}
        remarks: dict[str, str] = {}
        for component in machine.components:
            lives = self._lives(component, tags)
            if not read.isdisjoint(lives):
                continue
            key = free_key([key_of(component.name)], {*existing, *added})
            added[key] = self._component(component, lives)
            warned = [_warning(life) for life in lives.values() if life.warnings]
            if warned:
                remarks[key] = "; ".join(warned)
        for prognosis in machine.prognoses:
            tag = tags.key(prognosis.signal, f"{key_of(prognosis.name)[:52]}-predicted")
            if tag not in read:
                added[free_key([key_of(prognosis.name)], {*existing, *added})] = self._foreseen(prognosis, tag)
        return added, remarks

    def _lives(self, component: DiscoveredComponent, tags: _Tags) -> dict[str, Lifetime]:
        """The lifetimes that a part wears by, by tag; what is beyond a part's clocks is a tag alone, and it is said."""
        stem = key_of(component.name)[:40]
        lives: dict[str, Lifetime] = {}
        for life in component.lifetimes:
            tag = tags.key(life.signal, f"{stem}-{key_of(life.signal.name)[:23]}")
            if len(lives) < CLOCKS_MAX:
                lives[tag] = life
                continue
            text = _("{path}: its part has {most} clocks already; this lifetime is a tag, and wears nothing by itself")
            self._notes.append(text.format(path=life.signal.path, most=CLOCKS_MAX))
        return lives

    def _foreseen(self, prognosis: Prognosis, tag: str) -> Mapping[str, Any]:
        name = _name(prognosis.name) or tag
        title = _name(prognosis.about) or name
        return {"name": name, "wear": {"by": "foretold", "tag": tag}, "job": {"title": title}}

    def _component(self, component: DiscoveredComponent, lives: Mapping[str, Lifetime]) -> Mapping[str, Any]:
        """A part with one lifetime, or with several of which the first to end counts; by their tags."""
        name = _name(component.name) or next(iter(lives))
        job: dict[str, Any] = {"title": _("Replace {name}").format(name=name)}
        item = self._item(component.nameplate)
        if item is not None:
            job["lines"] = {"part": {"item": item, "quantity": 1}}
        made: dict[str, Any] = {"name": name}
        if not component.nameplate.is_empty:
            made["identity"] = _identity(component.nameplate)
        if len(lives) == 1:
            ((tag, life),) = lives.items()
            return made | {"rated_life": _length(life), "wear": {"by": "usage"} | _counter(life, tag), "job": job}
        clocks: dict[str, Any] = {}
        for tag, life in lives.items():
            clocks[_clock_key(life, clocks)] = _counter(life, tag) | {"rated_life": _length(life)}
        return made | {"wear": {"by": "usage", "clocks": clocks}, "job": job}

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


def _tags_read(component: Any) -> Iterator[str]:
    """The tags that a component of the document wears by, as far as it is well written."""
    wear = component.get("wear") if isinstance(component, Mapping) else None
    if not isinstance(wear, Mapping):
        return
    clocks = wear.get("clocks")
    for each in (wear, *(clocks.values() if isinstance(clocks, Mapping) else ())):
        if isinstance(each, Mapping) and each.get("tag") is not None:
            yield str(each["tag"])


def _clock_key(life: Lifetime, taken: Mapping[str, Any]) -> str:
    """A clock is called as its signal is; a name of digits alone would be a place in a list."""
    wish = key_of(life.signal.name)
    return free_key([f"clock-{wish[:50]}" if wish.isdigit() else wish], taken)


def _length(life: Lifetime) -> str:
    return f"{_figure(life.length)} {life.signal.unit}"


def _lasting(component: Mapping[str, Any]) -> str:
    """How long a component lasts, on each of its clocks."""
    clocks = component["wear"].get("clocks", {}).values()
    return ", ".join(each["rated_life"] for each in clocks) or str(component.get("rated_life"))


def _warning(life: Lifetime) -> str:
    told = ", ".join(_figure(each) for each in life.warnings)
    return _("the machine warns at {values} {unit}").format(values=told, unit=life.signal.unit)


def _suggestion(machine: str, counters: Mapping[str, Signal]) -> str:
    """What a person may write who knows the life that the machine does not state."""
    parts = ", ".join(
        f"{tag}: {{tag: {tag}, rated_life: ... {'h' if is_time(signal.unit) else signal.unit}}}"
        for tag, signal in counters.items()
    )
    text = _(
        "machines.{machine}: {tags} say how much it runs, and no life. For a part that wears by that, write below its "
        "components, with the clocks that count for it: "
        "part: {{name: ..., wear: {{by: usage, clocks: {{{parts}}}}}, job: {{title: ...}}}}"
    )
    return text.format(machine=machine, tags=", ".join(counters), parts=parts)


def _counter(life: Lifetime, tag: str) -> dict[str, Any]:
    """A lifetime is a counter of the part's own: it begins at its start, up or down, and ends at its limit."""
    wear: dict[str, Any] = {"tag": tag, "resets_at_fitting": True}
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
