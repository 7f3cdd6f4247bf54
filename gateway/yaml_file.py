"""A YAML file written by a person, read strictly, with the place of every key and value.

Promises: one plain tree of mappings, lists, texts, numbers and booleans (YAML 1.2 core, so `NO` is a text), and for
each its line and column, so that every mistake can be said as `file:line:column: path: message`. Refuses what could
surprise: files above a bound, more than one document, anchors, aliases, tags, keys that are not texts, keys given
twice, deep nesting. Knows nothing of what the keys mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

FILE_MAX: Final = 8 * 1024 * 1024
"""Bytes: 50,000 tags need most of it; 5,000 are half a megabyte, and reading them takes a second."""
DEPTH_MAX: Final = 32
"""Our deepest value lies at 9."""

Place = tuple[str | int, ...]
"""Where something stands in the tree: keys and indexes from the root."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Line and column, both counted from 1, as editors do."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that a person has to put right. `str()` is how every tool of the trade says it."""

    file: str
    position: Position
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.position.line}:{self.position.column}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"

    def facts(self) -> dict[str, str | int]:
        """Return the mistake for programs."""
        return {
            "file": self.file,
            "line": self.position.line,
            "column": self.position.column,
            "path": self.path,
            "message": self.message,
        }


class Mistakes(Exception):
    """A file says something that cannot be meant; every mistake found is in `mistakes`, in the order of the file."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(map(str, self.mistakes)))


class YamlFile:
    """What a file says (`data`), and where it says it: `keys` and `values` by place.

    Places are looked for when somebody first asks, by reading the text again: most files have no mistake, and the
    places of 1,000 tags are a megabyte.
    """

    def __init__(self, name: str, text: str, data: dict[str, Any]) -> None:
        self.name = name
        self.data = data
        self._text = text
        self._index: _Index | None = None

    @property
    def text(self) -> str:
        """The file as it was written."""
        return self._text

    @property
    def keys(self) -> Mapping[Place, Position]:
        """Where each key stands."""
        return self._places().keys

    @property
    def values(self) -> Mapping[Place, Position]:
        """Where each value begins."""
        return self._places().values

    def _places(self) -> _Index:
        if self._index is None:
            self._index = _Index()
            _Builder(self.name, index=self._index).document(_events(self._text))
        return self._index

    def locate(self, place: Place) -> Position:
        """Return where a value stands, or else what is nearest above it."""
        while place not in self.values and place:
            place = place[:-1]
        return self.values.get(place, Position(1, 1))

    def mistake(self, place: Place, message: str, *, at_key: bool = False) -> Mistake:
        """Return a mistake at a place; at its key when the key itself is wrong, or is what lacks something."""
        position = self.keys.get(place) if at_key else None
        return Mistake(self.name, position or self.locate(place), dotted(place), message)


def dotted(place: Place) -> str:
    """Return a place as people write it: `machines.mill.tags[2]`."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def read(path: Path) -> YamlFile:
    """Read a file. Raises `Mistakes`; an OSError says that it cannot be opened."""
    with path.open("rb") as stream:
        raw = stream.read(FILE_MAX + 1)
    return parse(raw, str(path))


def parse(raw: bytes, name: str) -> YamlFile:
    """Read the bytes of a file that people know by `name`. Raises `Mistakes`."""
    if len(raw) > FILE_MAX:
        message = _("the file is larger than {size} KiB").format(size=FILE_MAX // 1024)
        raise Mistakes([Mistake(name, Position(1, 1), "", message)])
    builder = _Builder(name)
    try:
        text = raw.decode("utf-8-sig")
        builder.document(_events(text))
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        position = Position(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise Mistakes([Mistake(name, position, "", _("this is not UTF-8 text"))]) from error
    except MarkedYAMLError as error:
        raise Mistakes([*builder.mistakes, _syntax(name, error)]) from error
    except YAMLError as error:
        message = " ".join(str(error).split())[:200]
        raise Mistakes([*builder.mistakes, Mistake(name, Position(1, 1), "", message)]) from error
    if builder.mistakes:
        raise Mistakes(builder.mistakes)
    return YamlFile(name, text, builder.root)


def _events(text: str) -> Iterator[Event]:
    loader = YAML(typ="safe", pure=True)
    yield from loader.parse(text)


def _syntax(name: str, error: MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    position = Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
    message = str(error.problem or error.context or _("this is not YAML"))
    if "\\t" in message or "'\t'" in message:
        message = _("a tab cannot indent; use spaces")
    return Mistake(name, position, "", message)


_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")


def scalar(text: str) -> str | int | float | bool | None:
    """Return what an unquoted word means in YAML 1.2's core schema; a code with leading zeros stays a text."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if re.fullmatch(r"[-+]?0[0-9]+", text):
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class _TooDeep(YAMLError):
    """Deeper than anything that we could mean."""


_NODES: Final = (ScalarEvent, MappingStartEvent, SequenceStartEvent, AliasEvent)


@dataclass(slots=True)
class _Index:
    """Where everything in a file stands."""

    keys: dict[Place, Position] = field(default_factory=dict)
    values: dict[Place, Position] = field(default_factory=dict)


@dataclass(slots=True)
class _Builder:
    """Turns events into the tree; keeps going after a mistake that leaves the structure clear.

    `index` takes down where everything stands; without it only mistakes are placed.
    """

    name: str
    index: _Index | None = None
    root: dict[str, Any] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def document(self, events: Iterator[Event]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._say(event, (), _("only one document belongs in a file"))
                    return
            elif isinstance(event, _NODES):
                self._top(self._value(event, events, ()), event)
        if not documents:
            self.mistakes.append(Mistake(self.name, Position(1, 1), "", _("the file is empty")))

    def _top(self, value: Any, event: Event) -> None:
        if isinstance(value, dict):
            self.root = value
        else:
            self._say(event, (), _("a mapping such as 'schema: 1' is expected here"))

    def _value(self, event: Event, events: Iterator[Event], place: Place) -> Any:
        if self.index is not None:
            self.index.values[place] = _position(event)
        if isinstance(event, AliasEvent):
            self._say(event, place, _("aliases are not allowed; write the value out"))
            return None
        if getattr(event, "anchor", None):
            self._say(event, place, _("anchors are not allowed; write the value out"))
        tag = getattr(event, "tag", None)
        if tag and not any(_implicit(event)):
            self._say(event, place, _("tags such as '{tag}' are not allowed").format(tag=str(tag)[:40]))
        if len(place) > DEPTH_MAX:
            raise _TooDeep(_("values are nested too deeply"))
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, place)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, place)
        quoted = bool(getattr(event, "style", None))
        text = str(getattr(event, "value", ""))
        return text if quoted else scalar(text)

    def _mapping(self, events: Iterator[Event], place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = event.value if isinstance(event, ScalarEvent) else None
            inner = (*place, key if key is not None else "?")
            if key is None:
                self._say(event, place, _("a key is a plain word"))
                self._value(event, events, inner)
                self._value(next(events), events, inner)
                continue
            if key in result:
                self._say(event, inner, _("is given twice; first in line {line}").format(line=lines[key]))
                self._value(next(events), events, (*place, f"{key} (again)"))
                continue
            lines[key] = event.start_mark.line + 1
            if self.index is not None:
                self.index.keys[inner] = _position(event)
            result[key] = self._value(next(events), events, inner)
        return result

    def _sequence(self, events: Iterator[Event], place: Place) -> list[Any]:
        result: list[Any] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            result.append(self._value(event, events, (*place, len(result))))
        return result

    def _say(self, event: Event, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(self.name, _position(event), dotted(place), message))


def _implicit(event: Event) -> tuple[bool, ...]:
    implicit = getattr(event, "implicit", True)
    return implicit if isinstance(implicit, tuple) else (bool(implicit),)


def _position(event: Event) -> Position:
    mark: StringMark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)
