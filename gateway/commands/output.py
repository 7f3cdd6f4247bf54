"""What every command shares: how it says things, in tables for people and JSON for programs, and where its config is.

Answers go to stdout, sentences about failures to stderr. Whatever comes from outside is shown as text: a supplier's
words can neither colour a terminal nor draw in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

if TYPE_CHECKING:
    from gateway.config import Config, DataPlace
    from gateway.databases import Databases
    from gateway.yaml_file import YamlFile

T = TypeVar("T")

MISTAKE: Final = 2
"""Exit code for a mistake in the config or in the command."""
CONFIG_VARIABLE: Final = "TOOLCRIB_CONFIG"
DEFAULTS: Final = (Path("toolcrib.yaml"), Path("data/demo/toolcrib.yaml"))
"""Where a config is looked for when none is named: here, else the demo's."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar=CONFIG_VARIABLE,
        show_envvar=True,
        help="The site's config; ./toolcrib.yaml by default.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]


class Failure(Exception):
    """Something did not work; `str()` is the one sentence that is shown."""

    def __init__(self, sentence: str, *, exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(sentence)


def say(text: str) -> None:
    """Write one line of the answer."""
    typer.echo(text)


def complain(text: str) -> None:
    """Write what went wrong."""
    typer.echo(text, err=True)


def say_json(value: Any) -> None:
    """Write the answer for programs: one JSON value, one line."""
    typer.echo(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def say_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str, right: Sequence[int] = ()
) -> None:
    """Write a table for people; `right` are the columns of figures. Without rows the sentence `nothing` is written."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = list(rows)
    if not listed:
        say(nothing)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in right else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text(printable(cell)) for cell in row))
    width = None if sys.stdout.isatty() else 200  # a pipe has no width; wide enough that nothing is cut
    Console(width=width, highlight=False).print(table)


def printable(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text)


def find_config(named: Path | None) -> Path:
    """Return the config that a command is about. Raises `Failure`."""
    if named is not None:
        return named
    for path in DEFAULTS:
        if path.is_file():
            return path
    raise Failure(
        _("there is no config here: name one with --config, or begin with 'toolcrib init toolcrib.yaml'"),
        exit_code=MISTAKE,
    )


def load_config(named: Path | None) -> Config:
    """Return the whole config. Raises `Mistakes`, `Failure`."""
    from gateway.config import load

    return _readable(load, find_config(named))


def load_config_with_places(named: Path) -> tuple[Config, YamlFile]:
    """Return the whole config with the places of everything in it. Raises `Mistakes`, `Failure`."""
    from gateway.config import load_with_places

    return _readable(load_with_places, named)


def find_data(named: Path | None) -> DataPlace:
    """Return where the data of a config is. Raises `Mistakes`, `Failure`."""
    from gateway.config import place_of

    return _readable(place_of, find_config(named))


def _readable(read: Callable[[Path], T], path: Path) -> T:
    try:
        return read(path)
    except OSError as error:
        sentence = _("{path} cannot be read: {reason}").format(path=path, reason=error.strerror)
        raise Failure(sentence, exit_code=MISTAKE) from error


@asynccontextmanager
async def databases(directory: Path) -> AsyncIterator[Databases]:
    """Open the databases for reading, beside a running gateway or without one. Raises `Failure`."""
    from sqlalchemy.exc import DBAPIError

    from gateway.databases import read_databases
    from gateway.storage import StorageBroken

    try:
        async with read_databases(directory) as opened:
            yield opened
    except StorageBroken as error:
        raise Failure(str(error)) from error
    except DBAPIError as error:
        sentence = _("the data in {directory} cannot be read: {reason}")
        raise Failure(sentence.format(directory=directory, reason=error.orig)) from error


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Do what needs an event loop."""
    import asyncio

    return asyncio.run(work)
