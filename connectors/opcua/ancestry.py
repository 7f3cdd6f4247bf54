"""What kind of thing a node is: its type and every type above, by name and namespace.

Promises: types are told by BrowseName and namespace URI, never by number, so that a vendor's own subtype is known for
what it is; each type is asked about once; circles end. Refuses to judge. HasSubtype and HasInterface: OPC 10000-3, 7.10
and 7.22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import asyncua.ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.browse import NAME_MAX, nodes_per_browse
from connectors.opcua.inspection import plain, read_values
from connectors.opcua.limits import portions

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

TYPES_MAX: Final = 5_000
"""Types of one server: all companion specifications together have fewer."""
DEPTH_MAX: Final = 20
TYPES_PER_REQUEST: Final = 50


class TypeName(NamedTuple):
    """A type: the URI of its namespace and its BrowseName."""

    space: str
    name: str


Ancestry = Mapping[asyncua.ua.NodeId, frozenset[TypeName]]
"""By a type's id, its own name and those of everything that it is a subtype of or has the interface of."""


async def ancestry(client: Client, types: Iterable[asyncua.ua.NodeId], namespaces: Sequence[str]) -> Ancestry:
    """Return what the types are. Raises what the stack raises."""
    wanted = [each for each in dict.fromkeys(types) if not each.is_null()][:TYPES_MAX]
    above = await _above(client, wanted)
    known = list(dict.fromkeys([*above, *(each for parents in above.values() for each in parents)]))
    answers = await read_values(client, known, AttributeIds.BrowseName)
    names = {node: _name(plain(answer), namespaces) for node, answer in zip(known, answers, strict=True)}
    return {each: frozenset(names[node] for node in _line(each, above)) for each in wanted}


async def _above(client: Client, types: Sequence[Any]) -> dict[Any, list[Any]]:
    """Return for each type, and each found above, what is right above it."""
    above: dict[Any, list[Any]] = {}
    level = list(types)
    size = min(await nodes_per_browse(client), TYPES_PER_REQUEST)
    for _depth in range(DEPTH_MAX):
        level = [each for each in dict.fromkeys(level) if each not in above][: TYPES_MAX - len(above)]
        if not level:
            break
        for portion in portions(level, size):
            parents = await _browse(client, portion, ObjectIds.HasSubtype, ua.BrowseDirection.Inverse)
            interfaces = await _browse(client, portion, ObjectIds.HasInterface, ua.BrowseDirection.Forward)
            above |= {each: [*up, *has] for each, up, has in zip(portion, parents, interfaces, strict=True)}
        level = [each for node in level for each in above[node]]
    return above


async def _browse(client: Client, nodes: Sequence[Any], reference: int, direction: Any) -> list[list[Any]]:
    asked = [
        ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=direction,
            ReferenceTypeId=ua.NodeId(reference),
            IncludeSubtypes=True,
            ResultMask=ua.BrowseResultMask.All,
        )
        for node in nodes
    ]
    # A type has one supertype and a few interfaces: what does not fit into one answer is no type that we look for.
    results = await client.uaclient.session.browse(
        ua.BrowseParameters(RequestedMaxReferencesPerNode=100, NodesToBrowse=asked)
    )
    return [[each.NodeId for each in result.References or ()] for result in results]


def _line(node: Any, above: Mapping[Any, Sequence[Any]]) -> set[Any]:
    found: set[Any] = set()
    left = [node]
    while left:
        each = left.pop()
        if each not in found:
            found.add(each)
            left += above.get(each, ())
    return found


def _name(name: Any, namespaces: Sequence[str]) -> TypeName:
    index = int(getattr(name, "NamespaceIndex", 0))
    space = namespaces[index] if index < len(namespaces) else ""
    return TypeName(space, str(getattr(name, "Name", "") or "")[:NAME_MAX])
