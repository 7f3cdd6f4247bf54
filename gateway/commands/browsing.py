"""Commands that look at OPC-UA servers: who is there, what they show, what machines they describe.

They read and never write to a server. What they put into the config goes in whole, judged as 'check' does, or not at
all; a running gateway takes it up with 'toolcrib reload'.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.commands.files import PANEL
from gateway.commands.output import (
    DEFAULTS,
    MISTAKE,
    ConfigOption,
    Failure,
    JsonOption,
    complain,
    load_config,
    say,
    say_json,
    say_table,
    wait_for,
)

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.visits import Look, Rescan, Target

T = TypeVar("T")
SHOWN = 40
"""Lines of a difference that are listed; the rest is a number."""
COLUMNS = ("path", "value", "unit", "type", "status", "node")
ROWS = 1_000
"""Variables in a table for people; who wants more wants a file."""

ServerArgument = Annotated[
    str, typer.Argument(help="A connection of the config, or an address such as opc.tcp://10.0.0.5:4840.")
]
InsecureOption = Annotated[bool, typer.Option("--insecure", help="Speak with the server without any protection.")]
CertificateOption = Annotated[
    str | None,
    typer.Option("--server-certificate", help="The server's fingerprint, sha256:..., compared at the machine."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (discover, browse, rescan, adopt):
        app.command(rich_help_panel=PANEL)(command)


def discover(
    url: Annotated[str, typer.Argument(help="Of a server or a discovery server.")] = "opc.tcp://localhost:4840",
    as_json: JsonOption = False,
) -> None:
    """Which applications an OPC-UA server knows, their endpoints, policies and certificates."""
    from dataclasses import asdict

    from connectors.opcua.discovery import discover as ask

    found = _visit(ask(url, Path()))
    if as_json:
        say_json([asdict(each) for each in found])
        return
    for application in found:
        say(f"{application.name}  ({application.kind})  {application.uri}")
        if application.problem:
            complain(application.problem)
        columns = (_("endpoint"), _("policy"), _("mode"), _("sign in"), _("certificate"))
        rows = [
            (each.url, each.policy, each.mode, ", ".join(each.sign_in), each.fingerprint or "-")
            for each in application.endpoints
        ]
        say_table(columns, rows, nothing=_("no endpoints"))
    if not found:
        say(_("no applications"))


def browse(
    server: ServerArgument,
    glob: Annotated[
        list[str] | None,
        typer.Option("--glob", help="Only paths like 'Machines/*/Power' or 'Plant/**'; may be given often."),
    ] = None,
    add: Annotated[str | None, typer.Option("--add", metavar="MACHINE", help="Add what is found to a machine.")] = None,
    dry_run: DryRunOption = False,
    properties: Annotated[bool, typer.Option("--properties", help="Also what describes other variables.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=250_000, help="Nodes to look at.")] = 250_000,
    insecure: InsecureOption = False,
    server_certificate: CertificateOption = None,
    config: ConfigOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As a table for a spreadsheet.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What an OPC-UA server shows: path, live value, unit, data type; with --add, put it into the config."""
    from gateway.globs import EVERYTHING
    from gateway.visits import look

    site = _site(config, needed=add is not None)
    target = _target(server, site, insecure, server_certificate)
    globs = glob or [EVERYTHING]
    found = _visit(look(target, globs, properties=properties, nodes_max=most), target)
    for note in found.notes:
        complain(note)
    if add is not None:
        assert site is not None
        _add_tags(site, target, add, globs, found, dry_run=dry_run, as_json=as_json)
    elif as_json:
        say_json([each.facts() for each in found.variables])
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, COLUMNS)
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in each.facts().items()} for each in found.variables)
    else:
        _tell(found)


def _tell(found: Look) -> None:
    columns = (_("path"), _("value"), _("unit"), _("type"), _("status"), _("node"))
    rows = [[each.facts()[column] for column in COLUMNS] for each in found.variables[:ROWS]]
    say_table(columns, rows, nothing=_("no variables there"))
    if len(found.variables) > ROWS:
        say(_("and {more} more; --csv and --json show all").format(more=len(found.variables) - ROWS))


def _cell(text: str) -> str:
    """A server's text in a spreadsheet is text, never a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "@") or (text[:1] == "-" and not text[1:2].isdigit()) else text


def _add_tags(
    site: Config, target: Target, machine: str, globs: Sequence[str], found: Look, *, dry_run: bool, as_json: bool
) -> None:
    from gateway.browse_memory import recall, remember
    from gateway.browsing import tags_of
    from gateway.config_edit import flow

    settings = site.file.machines.get(machine)
    if settings is not None and settings.connection not in (None, target.connection):
        text = _("{machine} is read over {connection}; a machine has one connection")
        raise Failure(text.format(machine=machine, connection=settings.connection), exit_code=MISTAKE)
    new = tags_of(found.variables, _tags(site, machine))

    def edit(document: Any) -> None:
        section = _machine(document, machine)
        section["connection"] = _connection(document, target)
        kept = list(section.get("browse") or ())
        section["browse"] = [*kept, *(each for each in globs if each not in kept)]
        tags = _mapping(section, "tags")
        for key, values in new.tags.items():
            tags[key] = flow(dict(values))

    if new.tags:
        _change(site, edit, dry_run=dry_run)
    if new.tags and not dry_run:
        kinds = {each.node: each.kind for each in found.variables if each.node}
        remember(site.connector_state, machine, {**recall(site.connector_state, machine), **kinds})
    if as_json:
        say_json(
            {
                "machine": machine,
                "new": {tag: dict(values) for tag, values in new.tags.items()},
                "known": new.known,
                "words": new.words,
                "unnamed": new.unnamed,
                "written": bool(new.tags) and not dry_run,
            }
        )
        return
    _list([f"+ {machine}/{tag}  {values['node']}" for tag, values in new.tags.items()])
    told = _("{new} new, {known} known already, {words} no numbers, {unnamed} that no config can name")
    say(
        (told if not dry_run else _("would be: {what}").format(what=told)).format(
            new=len(new.tags), known=new.known, words=new.words, unnamed=new.unnamed
        )
    )


def rescan(
    machine: Annotated[list[str] | None, typer.Argument(help="Machines; all that were browsed if left out.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look again at servers: tags whose node is gone, nodes that are new, units and types that changed.

    Changes nothing; 'browse --add' adds what is new. Exit 1 when anything differs.
    """
    from gateway.browse_memory import recall, remember
    from gateway.visits import rescan as look_again

    site = load_config(config)
    wanted = machine or [key for key, each in site.file.machines.items() if each.browse]
    told: dict[str, Any] = {}
    differs = False
    for key in wanted:
        settings = site.file.machines.get(key)
        if settings is None or settings.connection is None:
            text = _("{machine} is no machine with a connection").format(machine=key)
            raise Failure(text, exit_code=MISTAKE)
        target = _target(settings.connection, site, False, None)
        known = recall(site.connector_state, key)
        found: Rescan = _visit(look_again(target, _tags(site, key), settings.browse, known))
        remember(site.connector_state, key, {**known, **found.kinds} if not found.difference.changed else known)
        for note in found.notes:
            complain(note)
        told[key] = found.difference.facts()
        differs = differs or not found.difference.is_empty
        if not as_json:
            _list(found.difference.lines(key))
    if as_json:
        say_json(told)
    elif not wanted:
        say(_("no machine was browsed; 'toolcrib browse SERVER --add MACHINE --glob PATTERN' does"))
    elif not differs:
        say(_("nothing differs"))
    if differs:
        raise typer.Exit(1)


def adopt(
    server: ServerArgument,
    dry_run: DryRunOption = False,
    insecure: InsecureOption = False,
    server_certificate: CertificateOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the machines that a server describes into the config: components, wear, parts, without a typed tag.

    By the companion specifications Machinery (OPC 40001-1), Devices (OPC 10000-100) and Machine Tools (OPC 40501-1).
    """
    from gateway.adoption import Addition, addition_of, apply
    from gateway.visits import machines_of

    site = _site(config, needed=True)
    assert site is not None
    target = _target(server, site, insecure, server_certificate)
    findings = _visit(machines_of(target), target)
    made: list[Addition] = []

    def edit(document: Any) -> None:
        key = target.connection or _connection_key(document, target)
        made.append(addition_of(findings.machines, document, key))
        if not made[0].is_empty:
            _connection(document, target)
            apply(document, made[0])

    _change(site, edit, dry_run=dry_run)
    addition = made[0]
    for note in (*findings.notes, *addition.notes):
        complain(note)
    if as_json:
        written = not dry_run and not addition.is_empty
        say_json({"machines": len(findings.machines), "added": addition.lines(), "written": written})
        return
    _list(addition.lines())
    if not findings.machines:
        say(_("the server describes no machine by a companion specification; 'toolcrib browse' shows what it has"))
    elif addition.is_empty:
        say(_("the config has all of it already"))
    elif not dry_run:
        say(
            _("next: say under 'buying' what a late part costs, then 'toolcrib check {config}'").format(
                config=site.path
            )
        )


def _visit(work: Coroutine[Any, Any, T], target: Target | None = None) -> T:
    """Do what needs a server; raises `Failure` with what it said."""
    from connectors.connector import ConnectionLost, ConnectionRefused
    from gateway.logs import quiet

    quiet()
    try:
        return wait_for(work)
    except ConnectionRefused as error:
        settings = None if target is None or target.connection else target.settings
        hint = _("\nFor a look: --server-certificate and the fingerprint, once it was compared.")
        raise Failure(str(error) + (hint if settings and settings.server_certificate is None else "")) from error
    except ConnectionLost as error:
        raise Failure(str(error)) from error


def _site(named: Path | None, *, needed: bool) -> Config | None:
    """The config, if there is one or there must be."""
    if named is None and not needed and not any(path.is_file() for path in DEFAULTS):
        return None
    return load_config(named)


def _target(said: str, site: Config | None, insecure: bool, certificate: str | None) -> Target:
    from gateway.visits import UnknownServer, target_of

    try:
        return target_of(said, site, insecure=insecure, certificate=certificate)
    except UnknownServer as error:
        raise Failure(str(error), exit_code=MISTAKE) from error


def _tags(site: Config, machine: str) -> dict[str, Mapping[str, Any]]:
    """What the config says of a machine's tags."""
    settings = site.file.machines.get(machine)
    return {} if settings is None else {key: tag for key, tag in settings.tags.items() if isinstance(tag, Mapping)}


def _change(site: Config, edit: Callable[[Any], None], *, dry_run: bool) -> None:
    """Edit the config, or with a dry run see that it could be. Raises `Failure`; then nothing changed."""
    from gateway.config_edit import edited, judge, replace
    from gateway.yaml_file import Mistakes

    try:
        text = edited(site.path, edit)
        if dry_run:
            judge(site.path, text)
        elif text != site.path.read_text(encoding="utf-8"):
            replace(site.path, text)
    except Mistakes as error:
        raise Failure(_("{mistakes}\nnothing was changed").format(mistakes=error), exit_code=MISTAKE) from error
    except OSError as error:
        text = _("{path} cannot be written: {reason}").format(path=site.path, reason=error.strerror)
        raise Failure(text) from error


def _connection_key(document: Any, target: Target) -> str:
    from gateway.keys import free_key, key_of
    from gateway.visits import host_of

    return free_key([key_of(host_of(target))], document.get("connections") or {})


def _connection(document: Any, target: Target) -> str:
    """The key of the connection to a server, made where the config has none."""
    from gateway.visits import connection_of

    if target.connection:
        return target.connection
    key = _connection_key(document, target)
    _mapping(document, "connections")[key] = connection_of(target)
    return key


def _machine(document: Any, key: str) -> Any:
    machines = _mapping(document, "machines")
    if machines.get(key) is None:
        machines[key] = {"name": key}
    return machines[key]


def _mapping(document: Any, name: str) -> Any:
    from gateway.adoption import section

    return section(document, name)


def _list(lines: Sequence[str]) -> None:
    for line in lines[:SHOWN]:
        say(line)
    if len(lines) > SHOWN:
        say(_("and {more} more").format(more=len(lines) - SHOWN))
