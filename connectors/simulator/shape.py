"""What an OPC-UA address space looks like, as plain values: nodes below nodes, each of a type that is named.

Types and namespaces are named by their BrowseName and URI, never by number: which index a namespace has, and which
number a node, is the server's affair (`nodes`). Knows no server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaprotocol_auto import EUInformation
from asyncua.ua.uatypes import Int32, LocalizedText, String, VariantType

UA: Final = "http://opcfoundation.org/UA/"
OWN: Final = "urn:toolcrib:machine"
"""The namespace of every node that belongs to a simulated machine and to no standard."""
UNECE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type by the URI of its namespace and its BrowseName."""

    space: str
    name: str


BASE_OBJECT: Final = TypeName(UA, "BaseObjectType")
FOLDER: Final = TypeName(UA, "FolderType")
VARIABLE: Final = TypeName(UA, "BaseDataVariableType")
PROPERTY: Final = TypeName(UA, "PropertyType")
ANALOG: Final = TypeName(UA, "AnalogUnitType")


class Reference(Enum):
    """How a node hangs on the one above it; the value is the standard's number."""

    COMPONENT = ObjectIds.HasComponent
    ORGANIZES = ObjectIds.Organizes
    PROPERTY = ObjectIds.HasProperty
    ADD_IN = ObjectIds.HasAddIn


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable shows at first, and its data type: a built-in one, or `data_type` by its number in the standard.

    value: None waits for the first value; a `TypeName` is shown as the id of that type.
    """

    kind: VariantType
    value: Any = None
    data_type: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A node and what is below it: a variable when it has a `value`, else an object.

    key: under which its value is written later; it is also the text of its node id. Left out, it is the path of names.
    """

    name: str
    type: TypeName = BASE_OBJECT
    children: tuple[Shape, ...] = ()
    space: str = OWN
    reference: Reference = Reference.COMPONENT
    value: Value | None = None
    key: str | None = None
    interfaces: tuple[TypeName, ...] = ()

    def walk(self) -> Iterator[Shape]:
        """Yield the shape and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def text(name: str, value: str, space: str = OWN, *, localized: bool = True) -> Shape:
    """Return a property that says something in words."""
    shown = LocalizedText(String(value)) if localized else value
    kind = VariantType.LocalizedText if localized else VariantType.String
    return Shape(name, PROPERTY, (), space, Reference.PROPERTY, Value(kind, shown))


def constant(name: str, kind: VariantType, value: Any, space: str = OWN, key: str | None = None) -> Shape:
    """Return a property with a value."""
    return Shape(name, PROPERTY, (), space, Reference.PROPERTY, Value(kind, value), key)


def unit(code: str, symbol: str) -> Shape:
    """Return the property EngineeringUnits (OPC 10000-8, 5.6.3) for a code of UN/ECE Recommendation 20."""
    number = int.from_bytes(code.encode("ascii"), "big")
    shown = EUInformation(
        NamespaceUri=String(UNECE),
        UnitId=Int32(number),
        DisplayName=LocalizedText(String(symbol)),
        Description=LocalizedText(String(symbol)),
    )
    value = Value(VariantType.ExtensionObject, shown, ObjectIds.EUInformation)
    return Shape("EngineeringUnits", PROPERTY, (), UA, Reference.PROPERTY, value)


def measured(
    name: str, key: str, code: str, symbol: str, kind: VariantType = VariantType.Double, space: str = OWN
) -> Shape:
    """Return a variable with a unit, waiting for its first value."""
    return Shape(name, ANALOG, (unit(code, symbol),), space, value=Value(kind), key=key)
