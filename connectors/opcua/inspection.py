"""What variables show: value, quality, data type and unit of each, read in a few requests.

Promises: the server's limit of nodes in a read is kept to; a value that cannot be read is shown with its reason and
keeps nobody else from being read; every text of the server is bounded. Refuses to browse and to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncua.ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames
from asyncua.ua.status_codes import StatusCodes

from connectors.opcua import limits
from connectors.opcua.browse import IN_FLIGHT, Tree, together
from connectors.opcua.limits import portions
from connectors.opcua.nodes import resolve
from connectors.opcua.units import UNKNOWN, unit_of

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

VALUES_PER_REQUEST: Final = 500
"""An array in each would still fit into a message."""
SHOWN_MAX: Final = 120
"""Characters of a value."""


_NO_NODE: Final = frozenset({StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid})


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as people look at it.

    node: as a config names it; empty when it cannot be named there. status: `Good`, or the standard's name of what is
    wrong. kind: the name of its data type. is_number: a tag can read it as one.
    """

    place: int
    node: str
    path: str
    value: str
    status: str
    kind: str
    unit: str
    is_number: bool

    def facts(self) -> dict[str, str]:
        """Return it for programs."""
        return {
            "node": self.node,
            "path": self.path,
            "value": self.value,
            "status": self.status,
            "type": self.kind,
            "unit": self.unit,
        }


async def read_values(client: Client, nodes: Sequence[asyncua.ua.NodeId], attribute: int) -> list[Any]:
    """Return one attribute of many nodes as the stack's DataValues, in their order. Raises what the stack raises."""
    size = min((await limits.ask(client)).read, VALUES_PER_REQUEST)
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def ask(portion: Sequence[asyncua.ua.NodeId]) -> list[Any]:
        async with gate:
            return list(await client.uaclient.session.read_attributes(list(portion), AttributeIds(attribute)))

    answers = await together(ask(portion) for portion in portions(nodes, size))
    return [value for answer in answers for value in answer]


async def inspect(client: Client, tree: Tree, places: Iterable[int]) -> list[Variable]:
    """Return what the variables at these places of a tree show. Raises what the stack raises."""
    wanted = list(places)
    nodes = [tree.nodes[place].id for place in wanted]
    values = await read_values(client, nodes, AttributeIds.Value)
    kinds = [plain(each) for each in await read_values(client, nodes, AttributeIds.DataType)]
    names = await _type_names(client, {kind for kind in kinds if isinstance(kind, asyncua.ua.NodeId)})
    units = await _units(client, tree, wanted)
    return [
        Variable(
            place=place,
            node=tree.text_of(tree.nodes[place].id) or "",
            path=tree.nodes[place].path,
            value=shown(plain(value)),
            status=value.StatusCode.name if value.StatusCode is not None else "Good",
            kind=names.get(kind, ""),
            unit=units.get(place, UNKNOWN),
            is_number=_is_number(value, kind),
        )
        for place, value, kind in zip(wanted, values, kinds, strict=True)
    ]


async def missing(client: Client, nodes: Sequence[str], namespaces: Sequence[str]) -> list[str]:
    """Return which of these nodes, named as in a config, the server does not have. Raises what the stack raises."""
    resolved = {text: resolve(text, namespaces) for text in nodes}
    asked = {text: node for text, node in resolved.items() if node is not None}
    answers = await read_values(client, list(asked.values()), AttributeIds.NodeClass)
    gone = {
        text
        for text, answer in zip(asked, answers, strict=True)
        if answer.StatusCode is not None and answer.StatusCode.value in _NO_NODE
    }
    return [text for text, node in resolved.items() if node is None or text in gone]


def plain(value: Any) -> Any:
    """Return what a DataValue holds, or None."""
    return value.Value.Value if value.Value is not None else None


_NUMBERS: Final = frozenset(range(1, 12)) | {26, 27, 28, 290}
"""Boolean to Double; the abstract Number, Integer, UInteger; Duration (OPC 10000-6, 5.1.2 and OPC 10000-3, 8)."""


def _is_number(value: Any, kind: Any) -> bool:
    found = plain(value)
    if found is not None:
        return isinstance(found, int | float)
    return isinstance(kind, asyncua.ua.NodeId) and kind.NamespaceIndex == 0 and kind.Identifier in _NUMBERS


def shown(value: Any) -> str:
    """Return a value as one bounded line for people."""
    if value is None:
        return ""
    if isinstance(value, float):
        text = f"{value:.10g}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(each) for each in value[:8]) + (", ...]" if len(value) > 8 else "]")
    elif isinstance(value, asyncua.ua.LocalizedText):
        text = str(value.Text or "")
    elif hasattr(value, "isoformat"):
        text = value.isoformat()
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


async def _type_names(client: Client, kinds: set[asyncua.ua.NodeId]) -> Mapping[Any, str]:
    """Return the names of data types; those of the standard need not be asked for."""
    names = {kind: _standard(kind) for kind in kinds}
    unknown = [kind for kind, name in names.items() if not name]
    if unknown:
        answers = await read_values(client, unknown, AttributeIds.BrowseName)
        for kind, answer in zip(unknown, answers, strict=True):
            names[kind] = str(getattr(plain(answer), "Name", "") or "")[:SHOWN_MAX]
    return names


def _standard(kind: asyncua.ua.NodeId) -> str:
    if kind.NamespaceIndex != 0:
        return ""
    return str(ObjectIdNames.get(kind.Identifier, "")) if isinstance(kind.Identifier, int) else ""


async def _units(client: Client, tree: Tree, places: Sequence[int]) -> dict[int, str]:
    found = {place: tree.child(place, "EngineeringUnits") for place in places}
    asked = {place: unit for place, unit in found.items() if unit is not None}
    nodes = [tree.nodes[unit].id for unit in asked.values()]
    answers = await read_values(client, nodes, AttributeIds.Value)
    return {place: unit_of(plain(answer)) for place, answer in zip(asked, answers, strict=True)}
