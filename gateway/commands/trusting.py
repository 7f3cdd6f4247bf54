"""Commands about whom to believe among machines: look at what servers showed, let one in, throw one out.

Looking reads files beside a running gateway, or without one. Pinning and rejecting go through the running gateway as a
named person, and are audited.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.acting import PersonOption, act
from gateway.commands.output import (
    MISTAKE,
    ConfigOption,
    Failure,
    JsonOption,
    complain,
    find_data,
    load_config,
    say,
    say_json,
    say_table,
)

if TYPE_CHECKING:
    from connectors.opcua.pins import Seen
    from gateway.config import Config

app = typer.Typer(
    help="Which OPC-UA servers are believed, and which wait for a person.", no_args_is_help=True, rich_markup_mode=None
)
ConnectionArgument = Annotated[str, typer.Argument(help="The connection's key in the config.", metavar="CONNECTION")]
FingerprintArgument = Annotated[
    str, typer.Argument(help="'sha256:' and 64 digits, as compared at the machine.", metavar="FINGERPRINT")
]


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every certificate that a connection's server has shown, and whether it is let in."""
    unread: list[str] = []
    rows = list(_rows(load_config(config), unread))
    if as_json:
        say_json(rows)
    else:
        _say_rows(rows)
    if unread:
        raise Failure("\n".join(unread))


def _say_rows(rows: list[dict[str, str]]) -> None:
    columns = (_("connection"), _("state"), _("fingerprint"), _("subject"), _("valid until"), _("last seen"), _("by"))
    keys = ("connection", "state", "fingerprint", "subject", "valid_until", "last_seen", "by")
    say_table(columns, [[row[key] or "-" for key in keys] for row in rows], nothing=_("no server has been seen yet"))


@app.command()
def show(
    connection: ConnectionArgument,
    fingerprint: Annotated[
        str | None, typer.Argument(help="Only this one; its first digits will do.", metavar="FINGERPRINT")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """All that is known of the certificates of one connection."""
    unread: list[str] = []
    wanted = "" if fingerprint is None else _normal(fingerprint)
    rows = [
        row
        for row in _rows(load_config(config), unread)
        if row["connection"] == connection and row["fingerprint"].startswith(wanted)
    ]
    if not rows:
        for sentence in unread:
            complain(sentence)
        raise Failure(_("{connection} has seen no such certificate").format(connection=connection))
    if as_json:
        say_json(rows)
        return
    for row in rows:
        width = max(map(len, row))
        for key, value in row.items():
            say(f"{key:<{width}}  {_printable(value) or '-'}")
        say("")


@app.command()
def pin(
    connection: ConnectionArgument,
    fingerprint: FingerprintArgument,
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a server in: you have compared its fingerprint at the machine."""
    body = {"connection": connection, "fingerprint": _whole(fingerprint), "verdict": "pinned"}
    act(find_data(config), "trust", body, as_json, person)


@app.command()
def reject(
    connection: ConnectionArgument,
    fingerprint: FingerprintArgument,
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Throw a server out: it is not the machine, or no more."""
    body = {"connection": connection, "fingerprint": _whole(fingerprint), "verdict": "rejected"}
    act(find_data(config), "trust", body, as_json, person)


def _rows(config: Config, unread: list[str]) -> Iterator[dict[str, str]]:
    """Yield what the connections have seen; one whose file is spoilt is a sentence in `unread` instead."""
    from connectors.connector import ConnectionRefused
    from connectors.opcua import pins
    from connectors.opcua.settings import OpcUaSettings

    for name, settings in config.connections.items():
        if not isinstance(settings, OpcUaSettings):
            continue
        try:
            seen = pins.seen(config.connector_state, name)
        except ConnectionRefused as error:
            unread.append(f"{name}: {error}")
            seen = ()
        yield from (_row(name, each, _state(each, settings.pinned)) for each in seen)
        for missing in sorted(settings.pinned - {each.fingerprint for each in seen}):
            yield _unseen(name, missing)


def _state(seen: Seen, pinned: frozenset[str]) -> str:
    if seen.fingerprint in pinned:
        return "pinned by config"
    if pinned:  # what the config says wins over every command
        return "quarantined" if seen.verdict == "pinned" else seen.verdict.value
    return "pinned by command" if seen.verdict == "pinned" else seen.verdict.value


def _row(connection: str, seen: Seen, state: str) -> dict[str, str]:
    described = seen.described
    return {
        "connection": connection,
        "state": state,
        "fingerprint": seen.fingerprint,
        "subject": described.subject,
        "uri": described.uri,
        "valid_from": _when(described.valid_from),
        "valid_until": _when(described.valid_until),
        "first_seen": _when(seen.first_seen),
        "last_seen": _when(seen.last_seen),
        "by": seen.by,
        "judged_at": "" if seen.judged_at is None else _when(seen.judged_at),
    }


def _unseen(connection: str, fingerprint: str) -> dict[str, str]:
    keys = ("subject", "uri", "valid_from", "valid_until", "first_seen", "last_seen", "by", "judged_at")
    return {
        "connection": connection,
        "state": "pinned by config",
        "fingerprint": fingerprint,
        **dict.fromkeys(keys, ""),
    }


def _when(moment: Any) -> str:
    return str(moment.isoformat(timespec="seconds"))


def _printable(text: str) -> str:
    from gateway.commands.output import printable

    return printable(text)


def _normal(text: str) -> str:
    prefix, _colon, digits = text.strip().lower().rpartition("sha256:")
    return prefix + "sha256:" + digits.replace(":", "")


def _whole(text: str) -> str:
    from connectors.opcua.settings import fingerprint_of

    try:
        return fingerprint_of(text)
    except ValueError as error:
        raise Failure(str(error), exit_code=MISTAKE) from error
