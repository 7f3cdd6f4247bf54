"""Nodes put straight into the protocol stack's address space, without its services: a hundred thousand in seconds.

The stack's own way to add a node costs a request object, a dozen checks and a search through the parent's references
each; nodes made here share the attributes that never differ. Types are found by name, namespaces by URI. It reaches
into the stack's private parts, for want of a cheap public way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import asyncua.ua
from asyncua.server.address_space import AddressSpace, AttributeValue, NodeData
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from connectors.simulator.companions import STANDARD, Definition
from connectors.simulator.shape import OWN, UA, Reference, Shape, TypeName, Value

ua: Any = asyncua.ua  # its generated classes take plain numbers and texts, which their annotations do not say

CAPACITY_MAX: Final = 200_000
"""Nodes of one server: twice the largest address space that we measure; a hundred thousand take half a gigabyte."""
_READ, _HISTORY = 1, 4
_CURRENT: Final = AttributeIds.Value
_HANGS: Final = frozenset(int(each.value) for each in Reference)


def _shown(value: Any, kind: asyncua.ua.VariantType) -> AttributeValue:
    return AttributeValue(ua.DataValue(ua.Variant(value, kind)))


class NodeSpace:
    """The nodes of one server; `keys` finds a variable by the key of its shape."""

    def __init__(self, server: Server, indexes: Mapping[str, int]) -> None:
        """Take a server that has begun, and the index of every namespace that will be used, by URI."""
        self._space: AddressSpace = server.iserver.aspace
        self._indexes = {UA: 0, **indexes}
        self._types = {name: ua.NodeId(number) for name, number in STANDARD.items()}
        self._shared: dict[Any, AttributeValue] = {}
        self.keys: dict[str, asyncua.ua.NodeId] = {}
        self.kinds: dict[str, asyncua.ua.VariantType] = {}

    def node(self, text: str, space: str) -> asyncua.ua.NodeId:
        """Return the id of a node by its text and the URI of its namespace."""
        found: asyncua.ua.NodeId = ua.NodeId(text, self._indexes[space])
        return found

    def define(self, types: Iterable[Definition]) -> None:
        """Add types, each after what it is a subtype of."""
        for each in types:
            kind = ua.NodeClass.VariableType if each.variable else ua.NodeClass.ObjectType
            node = ua.NodeId(each.number, self._indexes[each.name.space])
            data = self._data(node, each.name.name, each.name.space, kind)
            data.attributes[AttributeIds.IsAbstract] = self._same(False, ua.VariantType.Boolean)
            parent = self._types[each.parent]
            self._refer(parent, ObjectIds.HasSubtype, data)
            self._types[each.name] = node

    def build(self, parent: asyncua.ua.NodeId, shape: Shape, path: str = "") -> asyncua.ua.NodeId:
        """Add a shape and all below it to a node, and return the shape's own. Raises KeyError for an unknown type."""
        place = f"{path}.{shape.name}" if path else shape.name
        node = self.node(shape.key or place, OWN)  # the machine's own, whatever standard gave it its name
        kind = ua.NodeClass.Object if shape.value is None else ua.NodeClass.Variable
        data = self._data(node, shape.name, shape.space, kind)
        if shape.value is None:
            data.attributes[AttributeIds.EventNotifier] = self._same(0, ua.VariantType.Byte)
        else:
            self._describe(data, shape.value)
            if shape.key is not None:
                self.keys[shape.key], self.kinds[shape.key] = node, shape.value.kind
        self._refer(parent, shape.reference.value, data, self._types[shape.type])
        self._point(data, ObjectIds.HasTypeDefinition, self._types[shape.type])
        for interface in shape.interfaces:
            self._point(data, ObjectIds.HasInterface, self._types[interface])
        for child in shape.children:
            self.build(node, child, shape.key or place)
        return node

    def link(self, source: asyncua.ua.NodeId, target: asyncua.ua.NodeId, reference: Reference) -> None:
        """Let a node hang on another one, too; nothing keeps that from being a circle."""
        data = self._space[target]
        self._space[source].references.append(self._forward(reference.value, data, ua.NodeId()))

    def below(self, node: asyncua.ua.NodeId) -> Iterator[asyncua.ua.NodeId]:
        """Yield the nodes that hang on a node. Raises KeyError for an unknown one."""
        for reference in self._space[node].references:
            if reference.IsForward and reference.ReferenceTypeId.Identifier in _HANGS:
                yield reference.NodeId

    def remove(self, node: asyncua.ua.NodeId) -> None:
        """Take a node out, and every reference between it and its neighbours. Raises KeyError for an unknown one."""
        data = self._space[node]
        for neighbour in {reference.NodeId for reference in data.references}:
            found = self._space.get(neighbour)
            if found is not None:
                found.references[:] = [each for each in found.references if each.NodeId != node]
        del self._space[node]
        for key in [key for key, each in self.keys.items() if each == node]:
            del self.keys[key], self.kinds[key]

    def remember(self, node: asyncua.ua.NodeId) -> None:
        """Let a variable say that the server keeps its history."""
        data = self._space[node]
        for attribute in (AttributeIds.AccessLevel, AttributeIds.UserAccessLevel):
            data.attributes[attribute] = self._same(_READ | _HISTORY, ua.VariantType.Byte)
        data.attributes[AttributeIds.Historizing] = self._same(True, ua.VariantType.Boolean)

    def _data(self, node: asyncua.ua.NodeId, name: str, space: str, kind: asyncua.ua.NodeClass) -> NodeData:
        data = NodeData(node)
        data.attributes = {
            AttributeIds.NodeId: _shown(node, ua.VariantType.NodeId),
            AttributeIds.NodeClass: self._same(int(kind), ua.VariantType.Int32),
            AttributeIds.BrowseName: _shown(ua.QualifiedName(name, self._indexes[space]), ua.VariantType.QualifiedName),
            AttributeIds.DisplayName: _shown(ua.LocalizedText(name), ua.VariantType.LocalizedText),
            AttributeIds.WriteMask: self._same(0, ua.VariantType.UInt32),
            AttributeIds.UserWriteMask: self._same(0, ua.VariantType.UInt32),
        }
        self._space[node] = data
        return data

    def _describe(self, data: NodeData, value: Value) -> None:
        number = value.data_type if value.data_type is not None else int(value.kind.value)
        listed = isinstance(value.value, list)
        shown = self._types[value.value] if isinstance(value.value, TypeName) else value.value
        first = (
            ua.DataValue(ua.Variant(None, ua.VariantType.Null), ua.StatusCode(StatusCodes.BadWaitingForInitialData))
            if shown is None
            else ua.DataValue(ua.Variant(shown, value.kind))
        )
        data.attributes |= {
            AttributeIds.DataType: self._same(("type", number), ua.VariantType.NodeId, ua.NodeId(number)),
            AttributeIds.ValueRank: self._same(1 if listed else -1, ua.VariantType.Int32),
            AttributeIds.AccessLevel: self._same(_READ, ua.VariantType.Byte),
            AttributeIds.UserAccessLevel: self._same(_READ, ua.VariantType.Byte),
            AttributeIds.Historizing: self._same(False, ua.VariantType.Boolean),
            _CURRENT: AttributeValue(first),
        }

    def _same(self, token: Any, kind: asyncua.ua.VariantType, value: Any = None) -> AttributeValue:
        """Return an attribute that many nodes share; nothing ever writes to it."""
        found = self._shared.get((token, kind))
        if found is None:
            found = self._shared[token, kind] = _shown(token if value is None else value, kind)
        return found

    def _refer(
        self, parent: asyncua.ua.NodeId, number: int, data: NodeData, type_: asyncua.ua.NodeId | None = None
    ) -> None:
        above = self._space[parent]
        above.references.append(self._forward(number, data, type_ or ua.NodeId()))
        back = ua.ReferenceDescription(
            ReferenceTypeId=ua.NodeId(number),
            IsForward=False,
            NodeId=parent,
            BrowseName=_attribute(above, AttributeIds.BrowseName),
            DisplayName=_attribute(above, AttributeIds.DisplayName),
            NodeClass=ua.NodeClass(_attribute(above, AttributeIds.NodeClass)),
        )
        data.references.append(back)

    def _forward(self, number: int, data: NodeData, type_: asyncua.ua.NodeId) -> asyncua.ua.ReferenceDescription:
        made: asyncua.ua.ReferenceDescription = ua.ReferenceDescription(
            ReferenceTypeId=ua.NodeId(number),
            IsForward=True,
            NodeId=data.nodeid,
            BrowseName=_attribute(data, AttributeIds.BrowseName),
            DisplayName=_attribute(data, AttributeIds.DisplayName),
            NodeClass=ua.NodeClass(_attribute(data, AttributeIds.NodeClass)),
            TypeDefinition=type_,
        )
        return made

    def _point(self, data: NodeData, number: int, target: asyncua.ua.NodeId) -> None:
        """A reference to a type, which need not know who refers to it."""
        data.references.append(self._forward(number, self._space[target], ua.NodeId()))
        data.references[-1].IsForward = True


def _attribute(data: NodeData, attribute: AttributeIds) -> Any:
    value = data.attributes[attribute].value
    assert value is not None
    return value.Value.Value if value.Value is not None else None
