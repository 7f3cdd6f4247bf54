"""What the server's own types mean: the names of enumerations, the parts of structures. Learned when first met.

Promises: each type is asked about once a conversation, however many tags have it; a type that the server does not
describe stays a number, or bytes that nobody can read; what is learned is bounded. Refuses to know tags and batches.
DataTypeDefinition: OPC 10000-3, 5.8.3; EnumStrings and EnumValues: OPC 10000-3, 5.8.3 and 8.39.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import structlog
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaError

from connectors.opcua.limits import portions
from connectors.opcua.structures import Definition, Field, read_structure
from connectors.opcua.variants import Structure

TYPES_MAX: Final = 1_000
"""Types of one server that are learned."""
NAMES_MAX: Final = 10_000
SUPERTYPES_MAX: Final = 12

_INT32: Final = ua.NodeId(ua.Int32(6))
_STRUCTURE, _ENUMERATION, _BUILT_IN_LAST = 22, 29, 25
_WELL_KNOWN: Final[Mapping[int, Any]] = {
    886: ua.Range,
    889: ua.EUInformation,
    12181: ua.ComplexNumberType,
    12182: ua.DoubleComplexNumberType,
    12090: ua.XVType,
    8917: ua.TimeZoneDataType,
}
"""Structures of the standard itself by their binary encoding, for servers that do not describe them."""

_log = structlog.get_logger()


class Vocabulary:
    """One server's types, as far as they were met."""

    def __init__(self) -> None:
        self._definitions: dict[ua.NodeId, Definition | None] = {}
        self._types: dict[ua.NodeId, Definition | None] = {}
        self._kinds: dict[ua.NodeId, int] = {}
        self._names: dict[ua.NodeId, Mapping[int, str]] = {}

    async def names(
        self, client: Client, nodes: Mapping[int, ua.NodeId], nodes_max: int
    ) -> dict[int, Mapping[int, str]]:
        """Return the names of the values of those nodes that are of an enumeration, by their handles.

        Raises what the stack raises.
        """
        found: dict[int, Mapping[int, str]] = {}
        for portion in portions(list(nodes.items()), nodes_max):
            session = client.uaclient.session
            answers = await session.read_attributes([node for _handle, node in portion], AttributeIds.DataType)
            for (handle, _node), answer in zip(portion, answers, strict=True):
                kind = answer.Value.Value if answer.Value is not None else None
                if isinstance(kind, ua.NodeId) and kind != _INT32:
                    names = await self._names_of(client, kind)
                    if names:
                        found[handle] = names
        return found

    async def _names_of(self, client: Client, kind: ua.NodeId) -> Mapping[int, str]:
        if kind not in self._names and len(self._names) < TYPES_MAX:
            try:
                self._names[kind] = await _ask_names(client, kind)
            except UaError as error:
                _log.info("an enumeration's names could not be read", type=kind.to_string(), error=str(error)[:200])
                self._names[kind] = {}
        return self._names.get(kind, {})

    def knows(self, encoding: ua.NodeId) -> bool:
        """Tell whether a structure was asked about already."""
        return encoding in self._definitions

    async def learn(self, client: Client, encoding: ua.NodeId) -> None:
        """Ask what a structure holds. Raises what the stack raises, but for a type that cannot be described."""
        if len(self._definitions) >= TYPES_MAX:
            return
        try:
            kind = await _inverse(client, encoding, ObjectIds.HasEncoding)
            self._definitions[encoding] = await self._definition(client, kind, 0) if kind is not None else None
        except (UaError, ValueError) as error:
            _log.info("a structure is not described", encoding=encoding.to_string(), error=str(error)[:200])
            self._definitions[encoding] = None

    def read(self, value: Any) -> Any:
        """Return a value with every structure in it replaced by its parts; one that nobody describes stays as it is."""
        if isinstance(value, list):
            return [self.read(each) for each in value]
        if isinstance(value, Mapping):
            return {name: self.read(each) for name, each in value.items()}
        if not isinstance(value, Structure):
            return value
        definition = self._definitions.get(value.encoding)
        try:
            if definition is not None:
                return {name: self.read(each) for name, each in read_structure(value.body, definition).items()}
            if value.encoding.NamespaceIndex == 0 and value.encoding.Identifier in _WELL_KNOWN:
                return struct_from_binary(_WELL_KNOWN[int(value.encoding.Identifier)], Buffer(value.body))
        except Exception as error:  # its bytes are not what its description says
            _log.info("a structure could not be read", encoding=value.encoding.to_string(), error=str(error)[:200])
        return value

    async def _definition(self, client: Client, kind: ua.NodeId, depth: int) -> Definition | None:
        if kind in self._types:
            return self._types[kind]
        if depth > SUPERTYPES_MAX or len(self._types) >= TYPES_MAX:
            return None
        said = await _attribute(client, kind, AttributeIds.DataTypeDefinition)
        if not isinstance(said, ua.StructureDefinition):
            return None
        self._types[kind] = None  # a structure in itself has no end
        fields = [await self._field(client, each, said, depth) for each in said.Fields or ()]
        union = said.StructureType in (ua.StructureType.Union, ua.StructureType.UnionWithSubtypedValues)
        self._types[kind] = Definition(fields, is_union=union)
        return self._types[kind]

    async def _field(self, client: Client, said: Any, whole: Any, depth: int) -> Field:
        kind = await self._kind(client, said.DataType)
        structure = None
        if kind == _STRUCTURE and said.DataType != ua.NodeId(ua.Int32(_STRUCTURE)):
            structure = await self._definition(client, said.DataType, depth + 1)
            kind = kind if structure is not None else 0
        if said.ValueRank > 1:
            kind = 0  # a matrix within a structure has dimensions that nothing here reads
        optional = whole.StructureType == ua.StructureType.StructureWithOptionalFields and bool(said.IsOptional)
        return Field(said.Name, kind, structure, said.ValueRank == 1, optional)

    async def _kind(self, client: Client, kind: ua.NodeId) -> int:
        """Return the built-in type that a type is made of; 0 when there is none."""
        first = kind
        for _step in range(SUPERTYPES_MAX):
            if first in self._kinds:
                return self._kinds[first]
            number = kind.Identifier if kind.NamespaceIndex == 0 else None
            if isinstance(number, int) and (number == _ENUMERATION or 0 < number <= _BUILT_IN_LAST):
                self._kinds[first] = 6 if number == _ENUMERATION else number
                break
            above = await _inverse(client, kind, ObjectIds.HasSubtype)
            if above is None:
                break
            kind = above
        return self._kinds.get(first, 0)


async def _ask_names(client: Client, kind: ua.NodeId) -> Mapping[int, str]:
    said = await _attribute(client, kind, AttributeIds.DataTypeDefinition)
    if isinstance(said, ua.EnumDefinition):
        return {int(each.Value): str(each.Name) for each in (said.Fields or ())[:NAMES_MAX]}
    for name in ("EnumStrings", "EnumValues"):
        node = await _property(client, kind, name)
        values: Any = await _attribute(client, node, AttributeIds.Value) if node is not None else None
        if isinstance(values, list):
            return _named(values[:NAMES_MAX])
    return {}


def _named(values: Sequence[Any]) -> Mapping[int, str]:
    """Of EnumStrings the place is the value; EnumValues bring their own."""
    names = {}
    for place, each in enumerate(values):
        if isinstance(each, ua.LocalizedText):
            names[place] = each.Text or ""
        elif isinstance(each, ua.EnumValueType):
            names[int(each.Value)] = each.DisplayName.Text or ""
    return names


async def _attribute(client: Client, node: ua.NodeId, attribute: AttributeIds) -> Any:
    (answer,) = await client.uaclient.session.read_attributes([node], attribute)
    return answer.Value.Value if answer.Value is not None else None


async def _property(client: Client, node: ua.NodeId, name: str) -> ua.NodeId | None:
    element = ua.RelativePathElement(
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HasProperty)),
        IsInverse=cast(ua.Boolean, False),
        IncludeSubtypes=cast(ua.Boolean, True),
        TargetName=ua.QualifiedName(ua.String(name), ua.Int16(0)),
    )
    path = ua.BrowsePath(StartingNode=node, RelativePath=ua.RelativePath(Elements=[element]))
    (answer,) = await client.uaclient.session.translate_browsepaths_to_nodeids([path])
    if not answer.StatusCode.is_good() or not answer.Targets:
        return None
    return _plain(answer.Targets[0].TargetId)


async def _inverse(client: Client, node: ua.NodeId, reference: int) -> ua.NodeId | None:
    """Return the first node that refers to a node in such a way."""
    wanted = ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Inverse,
        ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
        IncludeSubtypes=True,
        NodeClassMask=ua.UInt32(0),
        ResultMask=ua.UInt32(0),
    )
    parameters = ua.BrowseParameters(RequestedMaxReferencesPerNode=ua.Counter(1), NodesToBrowse=[wanted])
    (answer,) = await client.uaclient.session.browse(parameters)
    return _plain(answer.References[0].NodeId) if answer.References else None


def _plain(node: ua.NodeId) -> ua.NodeId:
    """An expanded node id of this server as a node id."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex)
