"""What a table says about tags: judged row by row against the config, every mistake at once, and what it would change.

Promises: a table with any mistake changes nothing; each mistake names file, row and column; the columns are `machine`,
`tag` and whatever the machine's connector knows of a tag. Pure but for the models of installed connectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any, Final, get_args

from pydantic import ValidationError

from connectors.settings import TagSettings, models
from gateway.complaints import sentence, unknown
from gateway.config import Config
from gateway.tag_lists.table import Row, Table
from gateway.yaml_file import scalar

MACHINE, TAG = "machine", "tag"
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

Tags = Mapping[str, Mapping[str, Any]]
"""By tag, what the config says of it, in the words of the config."""


@dataclass(frozen=True, slots=True, order=True)
class RowMistake:
    """A mistake in a table: the row as a spreadsheet numbers it, the column by its name, and what to do."""

    row: int
    column: str
    message: str

    def told(self, name: str) -> str:
        """Return it in one line, as `file:row:column: message`."""
        return f"{name}:{self.row}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Change:
    """What a table would change, by machine: tags that are new, otherwise, or (only when asked for) no longer there."""

    new: Mapping[str, Tags] = field(default_factory=dict)
    changed: Mapping[str, Tags] = field(default_factory=dict)
    gone: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return how many tags are new, changed and gone."""
        kinds: dict[str, Mapping[str, Any]] = {"new": self.new, "changed": self.changed, "gone": self.gone}
        return {kind: sum(len(tags) for tags in machines.values()) for kind, machines in kinds.items()}

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not any(self.counts().values())


def judge(table: Table, config: Config, *, replace: bool = False) -> tuple[Change, list[RowMistake]]:
    """Return what a table would change, and its mistakes.

    replace: whether tags of a machine in the table that the table does not name are taken out.
    """
    missing = [column for column in (MACHINE, TAG) if column not in table.columns]
    if missing:
        return Change(), [RowMistake(1, column, _("the column is missing")) for column in missing]
    said: dict[str, dict[str, dict[str, Any]]] = {}
    rows: dict[tuple[str, str], int] = {}
    mistakes: list[RowMistake] = []
    for row in table.rows:
        found, objections = _judged(row, table.columns, config)
        mistakes += objections
        if found is None:
            continue
        machine, tag, values = found
        if (machine, tag) in rows:
            text = _("{machine}/{tag} stands in row {row} already")
            mistakes.append(RowMistake(row.number, TAG, text.format(machine=machine, tag=tag, row=rows[machine, tag])))
        rows.setdefault((machine, tag), row.number)
        said.setdefault(machine, {})[tag] = values
    return _change(said, config, replace=replace), sorted(mistakes)


def _judged(
    row: Row, columns: Sequence[str], config: Config
) -> tuple[tuple[str, str, dict[str, Any]] | None, list[RowMistake]]:
    machine, tag = row.cells.get(MACHINE, ""), row.cells.get(TAG, "")
    settings = config.file.machines.get(machine)
    if settings is None:
        message = unknown(machine, sorted(config.file.machines)) if machine else _("is missing")
        return None, [RowMistake(row.number, MACHINE, message)]
    if settings.connection is None:
        return None, [RowMistake(row.number, MACHINE, _("the machine has no connection that could read tags"))]
    if not _KEY.fullmatch(tag):
        message = _("a tag's key is a letter or digit, then letters, digits, '_', '.', '-', at most 64 in all")
        return None, [RowMistake(row.number, TAG, message if tag else _("is missing"))]
    model = models(config.connections[settings.connection].connector)[1]
    values = {
        column: scalar(text) if _is_plain(model, column) else text
        for column, text in row.cells.items()
        if column not in (MACHINE, TAG)
    }
    try:
        model.model_validate(values)
    except ValidationError as error:
        return None, _objections(row, error, model, columns)
    return (machine, tag, values), []


def _is_plain(model: type[TagSettings], column: str) -> bool:
    """Whether a column holds numbers or yes and no; every other one holds texts, which may look like numbers."""
    for name, info in model.model_fields.items():
        if (info.alias or name) == column:
            return bool({int, float, bool} & {info.annotation, *get_args(info.annotation)})
    return False


def _objections(row: Row, error: ValidationError, model: type[TagSettings], columns: Sequence[str]) -> list[RowMistake]:
    known = sorted(info.alias or name for name, info in model.model_fields.items())
    mistakes = []
    for each in error.errors(include_url=False, include_input=False):
        column = str(each["loc"][0]) if each["loc"] else ""
        if each["type"] == "missing":
            message = _("is missing") if column in columns else _("the column is missing")
        elif each["type"] == "extra_forbidden":
            message = unknown(column, known)
        else:
            message = sentence(each)
        mistakes.append(RowMistake(row.number, column or TAG, message))
    return mistakes


def _change(said: Mapping[str, Tags], config: Config, *, replace: bool) -> Change:
    new: dict[str, dict[str, Mapping[str, Any]]] = {}
    changed: dict[str, dict[str, Mapping[str, Any]]] = {}
    gone: dict[str, list[str]] = {}
    for machine, tags in said.items():
        for tag, values in tags.items():
            before = config.tags.get(f"{machine}/{tag}")
            if before is None:
                new.setdefault(machine, {})[tag] = values
            elif type(before).model_validate(values) != before:
                changed.setdefault(machine, {})[tag] = values
        held = [key.partition("/")[2] for key in config.tags if key.startswith(f"{machine}/")]
        if replace and (lost := [tag for tag in held if tag not in tags]):
            gone[machine] = lost
    return Change(new, changed, gone)


def rows_of(config: Config) -> tuple[list[str], list[dict[str, str]]]:
    """Return the config's tags as a table: its columns, and a row for each tag."""
    rows = []
    columns: dict[str, None] = {MACHINE: None, TAG: None}
    for key, tag in config.tags.items():
        machine, _slash, name = key.partition("/")
        said = tag.model_dump(mode="json", by_alias=True, exclude_unset=True)
        columns |= dict.fromkeys(said)
        rows.append({MACHINE: machine, TAG: name, **{column: _written(value) for column, value in said.items()}})
    return list(columns), rows


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
