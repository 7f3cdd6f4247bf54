"""All commands under one name, and what becomes of their failures: a sentence and an exit code, never a traceback.

Importing this costs typer and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

from gateway.commands import acting, files, looking, policy, running, simulating
from gateway.commands.output import MISTAKE, Failure, complain

FAILED: Final = 1


def application() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(
        name="toolcrib",
        help="A machine customer: notices what wears out and buys the part before the machine stops.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    for module in (files, running, looking, acting):
        module.add_to(app)
    app.add_typer(policy.app, name="policy", rich_help_panel=files.PANEL)
    app.add_typer(looking.audit_app, name="audit", rich_help_panel=looking.PANEL)
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
