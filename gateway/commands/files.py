"""Commands about files: write a first config, check one, describe all of them."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.output import (
    MISTAKE,
    Failure,
    JsonOption,
    complain,
    load_config_with_places,
    say,
    say_json,
    wait_for,
)

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.yaml_file import Mistake, YamlFile

PANEL = "Setting up"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("init", rich_help_panel=PANEL)(init)
    app.command("check", rich_help_panel=PANEL)(check)
    app.command("schema", rich_help_panel=PANEL)(schema)


def init(file: Annotated[Path, typer.Argument(help="The config to write, such as toolcrib.yaml.")]) -> None:
    """Write a commented config and a policy that are valid and ask before everything."""
    from gateway.clock import real
    from gateway.starter import AlreadyThere, write

    try:
        config, policy = write(file, real())
    except AlreadyThere as error:
        raise Failure(_("{path} exists; nothing was written").format(path=error)) from error
    except OSError as error:
        raise Failure(_("{path} cannot be written: {reason}").format(path=file, reason=error.strerror)) from error
    say(_("wrote {config} and {policy}").format(config=config, policy=policy))
    say(_("next: edit {config}, then 'toolcrib check {config}'").format(config=config))


def check(
    file: Annotated[Path, typer.Argument(help="The config to check.")],
    live: Annotated[bool, typer.Option("--live", help="Also ask every machine once for its tags.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say every mistake in a config as file:line:column: path: message."""
    from gateway.yaml_file import Mistakes

    mistakes: list[Mistake] = []
    warnings: list[Mistake] = []
    registers: list[dict[str, str | int]] = []
    try:
        config, written = load_config_with_places(file)
        warnings += config.warnings
        mistakes += _policy_mistakes(config, written, warnings)
        registers = _registers(config)
        if live:
            mistakes += _live_mistakes(config, written)
    except Mistakes as error:
        mistakes += error.mistakes
    if as_json:
        told = {"mistakes": mistakes, "warnings": warnings}
        say_json({**{kind: [each.facts() for each in found] for kind, found in told.items()}, "registers": registers})
    else:
        _tell(file, mistakes, warnings)
        for each in registers:
            say(_("{tag}: register {register} is address {address} of {table}").format(**each))
    if mistakes:
        raise typer.Exit(MISTAKE)


def _registers(config: Config) -> list[dict[str, str | int]]:
    """Return where each Modbus tag lies in both ways of counting: from 1 with its table's digit, and from 0."""
    from connectors.modbus.settings import ModbusTag

    found: list[dict[str, str | int]] = []
    for key, tag in config.tags.items():
        if isinstance(tag, ModbusTag):
            table, address = tag.place
            found.append({"tag": key, "register": tag.number, "address": address, "table": table})
    return found


def _policy_mistakes(config: Config, file: YamlFile, warnings: list[Mistake]) -> list[Mistake]:
    from gateway.policy_file import read_policy
    from gateway.yaml_file import Mistakes

    try:
        read_policy(config.policy_file, config)
    except FileNotFoundError:
        sentence = _("there is no such file; nothing is bought before a policy was applied")
        warnings.append(file.mistake(("policy",), sentence))
    except OSError as error:
        sentence = _("cannot be read: {reason}").format(reason=error.strerror)
        return [file.mistake(("policy",), sentence)]
    except Mistakes as error:
        return list(error.mistakes)
    return []


def _live_mistakes(config: Config, file: YamlFile) -> list[Mistake]:
    from gateway.clock import real
    from gateway.logs import quiet
    from gateway.probing import probe

    quiet()
    return wait_for(probe(config, file, real))


def _tell(file: Path, mistakes: list[Mistake], warnings: list[Mistake]) -> None:
    for warning in warnings:
        complain(_("warning: {warning}").format(warning=warning))
    for mistake in mistakes:
        say(str(mistake))
    if not mistakes:
        say(_("{file}: no mistakes").format(file=file))


def schema() -> None:
    """Print the JSON Schema of a config, with every connector and supplier adapter that is installed."""
    from gateway.config import schema as described

    say_json(described())
