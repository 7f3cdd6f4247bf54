"""What pydantic objects to, said as a mistake of the file: where it stands and what to write instead.

A key that is not known is answered with the nearest one that is. What stands there is not repeated by this module: it
might be a secret.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Mapping as MappingType
from difflib import get_close_matches
from gettext import gettext as _
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.yaml_file import Mistake, Place, YamlFile

KNOWN_SHOWN: Final = 12
"""Known keys named in one sentence; more would not be read."""


def complaints(error: ValidationError, file: YamlFile, place: Place, model: type[BaseModel]) -> list[Mistake]:
    """Return one mistake for each objection to what stands at `place`."""
    said = [_complaint(each, file, place, model) for each in error.errors(include_url=False, include_input=False)]
    return list(dict.fromkeys(said))


def _complaint(error: ErrorDetails, file: YamlFile, base: Place, model: type[BaseModel]) -> Mistake:
    loc = error["loc"]
    at_key = "[key]" in loc
    place = _place(file.data, base, loc)
    if error["type"] == "missing":
        return file.mistake((*place, loc[-1]), _("is missing"), at_key=True) if place else _absent(file, loc[-1])
    if error["type"] == "extra_forbidden":
        known = sorted(_known(model, place[len(base) : -1]))
        return file.mistake(place, unknown(str(place[-1]), known), at_key=True)
    return file.mistake(place, sentence(error), at_key=at_key)


def _absent(file: YamlFile, key: str | int) -> Mistake:
    return file.mistake((key,), _("is missing"))


def _place(data: Any, base: Place, loc: Sequence[str | int]) -> Place:
    """Return where an objection belongs; steps that pydantic invents (the arms of a union) are left out."""
    place: list[str | int] = list(base)
    for step in base:
        data = data[step]
    for step in loc:
        inside = isinstance(data, Mapping) and step in data
        if inside or (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            data = data[step]
            place.append(step)
    return tuple(place)


def unknown(key: str, known: Iterable[str]) -> str:
    """Return the sentence about a key that nobody knows."""
    names = list(known)
    near = get_close_matches(key, names, n=1, cutoff=0.6)
    if near:
        return _("is not known here; did you mean '{near}'?").format(near=near[0])
    if not names or len(names) > KNOWN_SHOWN:
        return _("is not known here")
    return _("is not known here; known are {known}").format(known=", ".join(names))


_SENTENCES: Final = {
    "string_type": "must be a text; put it in quotes",
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "model_attributes_type": "must be a mapping of keys and values",
    "mapping_type": "must be a mapping of keys and values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "set_type": "must be a list",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be the path of a file",
}


def sentence(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _SENTENCES:
        return _(_SENTENCES[kind])
    if kind in ("literal_error", "enum"):
        return _("must be {expected}").format(expected=context.get("expected", ""))
    if kind == "union_tag_not_found":
        return _("lacks {discriminator}").format(discriminator=context.get("discriminator", ""))
    if kind == "union_tag_invalid":
        sentence = _("{discriminator} must be one of {expected}")
        return sentence.format(
            discriminator=context.get("discriminator", ""), expected=context.get("expected_tags", "")
        )
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    if kind == "string_pattern_mismatch":
        return _("is not written as it must be: {pattern}").format(pattern=context.get("pattern", ""))
    return error["msg"][:1].lower() + error["msg"][1:]


def _known(model: Any, steps: Sequence[str | int]) -> set[str]:
    """Return the keys that a model knows below these steps; every arm of a union counts."""
    found = [model]
    for step in steps:
        found = [inner for each in found for arm in _arms(each) for inner in _step(arm, step)]
    return {
        field.alias or name
        for each in found
        for arm in _arms(each)
        if isinstance(arm, type) and issubclass(arm, BaseModel)
        for name, field in arm.model_fields.items()
    }


def _arms(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _arms(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for inner in get_args(annotation):
            yield from _arms(inner)
    else:
        yield annotation


def _step(arm: Any, step: str | int) -> Iterator[Any]:
    origin, inner = get_origin(arm), get_args(arm)
    if isinstance(arm, type) and issubclass(arm, BaseModel):
        for name, field in arm.model_fields.items():
            if (field.alias or name) == step:
                yield field.annotation
    elif origin in (dict, MappingType) and len(inner) == 2:
        yield inner[1]
    elif origin in (list, tuple, set, frozenset) and inner:
        yield inner[0]
