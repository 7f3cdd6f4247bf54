"""All commands under one name, and what becomes of their failures: a sentence and an exit code, never a traceback.

Importing this costs typer and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any, Final

import typer
from typer.core import TyperGroup

from gateway.commands import (
    acting,
    alarms,
    audit,
    backtesting,
    browsing,
    files,
    keeping,
    looking,
    peeking,
    policy,
    running,
    simulating,
    stopping,
    tags,
    teaching,
    trusting,
)
from gateway.commands.output import MISTAKE, Failure, complain

FAILED: Final = 1


class _Panels(TyperGroup):
    """Lists commands under the headings of what they are for, in plain text."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None) or _("Commands")
                panels.setdefault(panel, []).append((name, command.get_short_help_str(limit=200)))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


def application() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(
        name="toolcrib",
        help="A machine customer: notices what wears out and buys the part before the machine stops.",
        cls=_Panels,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich would add a third to the time of --help
    )
    for module in (files, browsing, running, looking, backtesting, acting, stopping, alarms, keeping):
        module.add_to(app)
    app.add_typer(tags.app, name="tags", rich_help_panel=files.PANEL)
    app.add_typer(policy.app, name="policy", rich_help_panel=files.PANEL)
    app.add_typer(audit.app, name="audit", rich_help_panel=looking.PANEL)
    app.command("learn", rich_help_panel=looking.PANEL)(teaching.learn)
    app.command("peek", rich_help_panel=files.PANEL)(peeking.peek)
    app.add_typer(trusting.app, name="trust", rich_help_panel=acting.PANEL)
    app.add_typer(simulating.app, name="simulate", rich_help_panel=running.PANEL)
    app.add_typer(running.benchmark_app, name="benchmark", rich_help_panel=running.PANEL)
    app.callback()(_toolcrib)
    return app


def _toolcrib(
    version: bool = typer.Option(False, "--version", "-V", help="Show the version.", is_eager=True),
) -> None:
    """A machine customer: notices what wears out and buys the part before the machine stops."""
    if version:
        from gateway import VERSION

        typer.echo(f"toolcrib {VERSION}")
        raise typer.Exit


def run(words: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    try:
        application()(list(words), prog_name="toolcrib")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except Failure as error:
        complain(str(error))
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _told(error)
    return 0


def _told(error: Exception) -> int:
    """Say a failure that any command can meet; what is not known is a fault of ours and keeps its traceback."""
    from gateway.control_client import Interrupted, NotRunning, Refused
    from gateway.yaml_file import Mistakes

    if isinstance(error, Mistakes):
        complain(str(error))
        return MISTAKE
    if isinstance(error, NotRunning | Interrupted | Refused):
        complain(str(error))
        return FAILED
    raise error
