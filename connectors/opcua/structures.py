"""Structures as the server describes them: from bytes to named parts.

Promises: what is read is what the description says, field by field, and every byte of it, or nothing; optional fields
and unions included; nesting and arrays are bounded by the bytes that came. The description comes from the server and is
data: no code is made of it. Refuses to know sessions. Structures: OPC 10000-3, 8.48; encoding: OPC 10000-6, 5.2.6.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.opcua.variants import Overlong, read_variant

DEPTH_MAX: Final = 5
_U32, _I32 = struct.Struct("<I"), struct.Struct("<i")


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a structure: its name, its built-in type or its own structure, whether it is an array or optional."""

    name: str
    kind: int
    structure: Definition | None = None
    is_array: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """What a structure holds, in order; of a union only one of its fields is there."""

    fields: Sequence[Field]
    is_union: bool = False


def read_structure(body: bytes, definition: Definition) -> Mapping[str, Any]:
    """Return the parts of a structure by name; an optional part that is not there is left out.

    Raises ValueError for bytes that are not what the definition says.
    """
    try:
        parts, behind = _parts(body, 0, definition, 0)
    except (struct.error, IndexError) as error:
        raise ValueError("the structure ends too soon") from error
    if behind != len(body):
        raise ValueError(f"{len(body) - behind} bytes are left behind the structure")
    return parts


def _parts(body: bytes, at: int, definition: Definition, depth: int) -> tuple[dict[str, Any], int]:
    if depth > DEPTH_MAX:
        raise Overlong(f"structures are nested deeper than {DEPTH_MAX}")
    fields, at = _present(body, at, definition)
    parts: dict[str, Any] = {}
    for each in fields:
        if each.structure is None:
            parts[each.name], at = _value(body, at, each)
        elif each.is_array:
            parts[each.name], at = _several(body, at, each.structure, depth)
        else:
            parts[each.name], at = _parts(body, at, each.structure, depth + 1)
    return parts, at


def _present(body: bytes, at: int, definition: Definition) -> tuple[Sequence[Field], int]:
    """The fields that are there: one of a union, by its number; of optional ones those whose bit is set."""
    if definition.is_union:
        (chosen,) = _U32.unpack_from(body, at)
        if chosen > len(definition.fields):
            raise ValueError(f"the union has no part {chosen}")
        return definition.fields[chosen - 1 : chosen] if chosen else (), at + 4
    optional = [each for each in definition.fields if each.is_optional]
    if not optional:
        return definition.fields, at
    (mask,) = _U32.unpack_from(body, at)
    absent = {each.name for bit, each in enumerate(optional) if not mask >> bit & 1}
    return [each for each in definition.fields if each.name not in absent], at + 4


def _value(body: bytes, at: int, part: Field) -> tuple[Any, int]:
    """A value of a built-in type lies as in a variant, without the byte that says which."""
    if part.kind == 0:
        raise ValueError(f"{part.name} is of no type that can be read")
    encoded = bytes([part.kind | (0x80 if part.is_array else 0)]) + body[at:]
    value, behind = read_variant(encoded, 0, len(encoded))
    return value, at + behind - 1


def _several(body: bytes, at: int, definition: Definition, depth: int) -> tuple[list[Any], int]:
    (count,) = _I32.unpack_from(body, at)
    at += 4
    if count > len(body) - at:
        raise Overlong(f"{count} structures are announced and not there")
    found = []
    for _one in range(count):
        parts, at = _parts(body, at, definition, depth + 1)
        found.append(parts)
    return found, at
