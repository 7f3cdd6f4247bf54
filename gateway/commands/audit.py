"""Commands about the log of every act that touched money: verify it, replay it, show it, prove an order, hand it over.

They read beside a running gateway or without one. Only `rotate` acts, through the gateway, as a named person. `witness`
runs on another computer, with a state and a key of its own.
"""

from __future__ import annotations

from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.acting import PersonOption, act
from gateway.commands.looking import LimitOption, OrderArgument, look_at
from gateway.commands.output import (
    MISTAKE,
    ConfigOption,
    Failure,
    JsonOption,
    databases,
    find_data,
    say,
    say_json,
    say_table,
    wait_for,
)

if TYPE_CHECKING:
    from gateway.config import DataPlace
    from marketplace.audit.note import VerifierKey
    from marketplace.audit.seals import Trust
    from marketplace.audit.verify import Verification
    from marketplace.audit.witness import Witness

app = typer.Typer(help="The log of every act that touched money.", no_args_is_help=True, rich_markup_mode=None)

KeyOption = Annotated[
    list[str] | None, typer.Option("--key", help="A public key that you know the log to be signed with.")
]
SeenOption = Annotated[
    list[Path] | None, typer.Option("--seen", help="A checkpoint from elsewhere, such as a witness keeps.")
]
WitnessKeyOption = Annotated[
    list[str] | None, typer.Option("--witness", help="The witnesses' public keys, in the order of --seen.")
]


@app.command("verify")
def verify(
    key: KeyOption = None,
    seen: SeenOption = None,
    witness: WitnessKeyOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only hashes, tree, newest checkpoint and keys; everything on a fault.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the whole log anew and hold seals and tables against it; exit 1 when anything is wrong."""
    place = find_data(config)
    found = wait_for(_verified(place, _trust(key or [], seen or [], witness or []), quick))
    if as_json:
        problems = list(found.problems)
        counts = {"entries": found.entries, "root": found.root, "verified": found.verified}
        say_json({**counts, "problems": problems, "breaks": list(found.breaks)})
    else:
        for each in found.breaks:
            say(each)
        _say_verified(found.entries, found.root, found.problems)
    if not found.verified:
        raise typer.Exit(1)


async def _verified(place: DataPlace, trust: Trust, quick: bool) -> Verification:
    from gateway.databases import spend_file
    from marketplace.audit import verify as checker

    async with databases(place.directory) as opened, opened.spend.read() as connection:
        if quick:
            found = await checker.verify_quickly(connection, spend_file(place.directory), place.owner, trust)
            if found.verified:
                return found
        return await checker.verify(connection, place.owner, trust)


def _trust(keys: list[str], seen: list[Path], witnesses: list[str]) -> Trust:
    from marketplace.audit.checkpoint import SignedCheckpoint
    from marketplace.audit.note import NoteBroken
    from marketplace.audit.seals import Trust

    if len(witnesses) > len(seen):
        raise Failure(_("each --witness needs a --seen before it"), exit_code=MISTAKE)
    known = [*map(_public, witnesses), *[None] * (len(seen) - len(witnesses))]
    try:
        notes = [SignedCheckpoint.parse(_text(path)) for path in seen]
    except NoteBroken as error:
        raise Failure(_("this is no checkpoint: {reason}").format(reason=error), exit_code=MISTAKE) from error
    return Trust(tuple(map(_public, keys)), tuple(zip(notes, known, strict=True)))


def _public(text: str) -> VerifierKey:
    from marketplace.audit.note import NoteBroken, VerifierKey

    try:
        return VerifierKey.parse(text)
    except NoteBroken as error:
        raise Failure(
            _("{text} is no public key: {reason}").format(text=text, reason=error), exit_code=MISTAKE
        ) from error


def _text(path: Path) -> str:
    from gateway.commands.acting import text_of

    return text_of(path)


def _say_verified(entries: int, root: str, problems: tuple[str, ...]) -> None:
    for problem in problems:
        say(problem)
    if problems:
        say(_("the audit log does NOT verify"))
    else:
        say(_("{entries} entries, verified; root {root}").format(entries=entries, root=root))


@app.command("replay")
def replay(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Compute every decision again from what its entry recorded; exit 1 when one comes out otherwise."""
    from marketplace.audit.replay import replay as again

    place = find_data(config)
    found = wait_for(look_at(place, lambda tx: again(tx, place.owner)))
    if as_json:
        counts = {"decisions": found.decisions, "identical": found.identical, "incomplete": found.incomplete}
        say_json(counts | {"differences": list(found.differences)})
    else:
        for difference in found.differences:
            say(difference)
        sentence = _("{identical} of {decisions} decisions came out identical")
        say(sentence.format(identical=found.identical, decisions=found.decisions))
        if found.incomplete:
            too_little = _("{count} were recorded by an older version with too little to compute")
            say(too_little.format(count=found.incomplete))
    if not found.holds:
        raise typer.Exit(1)


@app.command("show")
def show(
    subject: Annotated[str | None, typer.Argument(help="An order's number; everything if left out.")] = None,
    config: ConfigOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """The entries of the log: of one subject the oldest first, or the newest of all."""
    from gateway import i18n, views
    from marketplace.audit.chain import EPOCH
    from marketplace.audit.epochs import sentence

    place = find_data(config)
    i18n.activate(place.language)
    if subject is not None:
        entries = wait_for(look_at(place, lambda tx: views.history(tx, place.owner, subject)))[-limit:]
    else:
        entries = list(wait_for(look_at(place, lambda tx: views.audit(tx, place.owner, limit=limit))).entries)
    if as_json:
        say_json([entry.as_dict() for entry in entries])
        return
    columns = (_("entry"), _("when"), _("kind"), _("subject"), _("who"), _("by"))
    rows = [
        (
            str(entry.index),
            i18n.when(entry.at, place.zone),
            entry.kind,
            entry.subject,
            entry.actor_name or entry.actor,
            entry.method,
        )
        for entry in entries
    ]
    say_table(columns, rows, nothing=_("the log has no such entries"), right=(0,))
    for entry in entries:
        if entry.kind == EPOCH:
            say(sentence(entry.index, entry.actor, entry.facts))


@app.command("prove")
def prove(order: OrderArgument, config: ConfigOption = None) -> None:
    """Print the proof of one order: its entries, their places in the log, and who signed it; for `verifier`."""
    from marketplace.audit import export
    from marketplace.audit.note import NoteBroken
    from marketplace.audit.tree import AuditBroken

    place = find_data(config)
    _sign_first(place)
    try:
        proof = wait_for(look_at(place, lambda tx: export.prove(tx, place.owner, order)))
    except export.NothingSigned as error:
        raise Failure(_("nothing was signed yet; start the gateway once")) from error
    except (AuditBroken, NoteBroken) as error:
        raise Failure(_("nothing can be proven: {reason}").format(reason=error)) from error
    if not proof["leaves"]:
        raise Failure(_("the log has no entry about {order}").format(order=order))
    say_json(proof)


@app.command("export")
def export_log(
    to: Annotated[Path, typer.Argument(help="A file to write, or a directory for it.", metavar="FILE|DIR")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the whole log for an auditor, with its checkpoints and keys; for `verifier`."""
    place = find_data(config)
    _sign_first(place)
    file = to / f"{place.owner.plant}.{place.owner.gateway_id}.audit.jsonl" if to.is_dir() else to
    try:
        count = wait_for(_write(place, file))
    except OSError as error:
        raise Failure(_("{path} cannot be written: {reason}").format(path=file, reason=error.strerror)) from error
    if as_json:
        say_json({"file": str(file), "lines": count})
    else:
        say(_("wrote {file}").format(file=file))


async def _write(place: DataPlace, file: Path) -> int:
    from marketplace.audit import export

    count = 0
    with file.open("w", encoding="utf-8") as stream:
        async with databases(place.directory) as opened, opened.spend.read() as connection:
            async for line in export.lines(connection, place.owner):
                stream.write(line)
                count += 1
    return count


def _sign_first(place: DataPlace) -> None:
    """Let a running gateway sign what happened within the last minute; without one it was signed when it stopped."""
    from gateway import control_client as client

    with suppress(client.NotRunning, client.Interrupted, client.Refused):
        client.sign_audit(place.directory)


@app.command("keys")
def keys(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The public keys that the log is signed with, the newest last; an auditor keeps one of them."""
    from marketplace.audit import notary

    place = find_data(config)
    found = wait_for(look_at(place, lambda tx: notary.stored_keys(tx, place.owner)))
    if as_json:
        say_json([{"from_size": each.from_size, "key": str(each.key)} for each in found])
        return
    rows = [(str(each.from_size), str(each.key)) for each in found]
    say_table((_("from"), _("key")), rows, nothing=_("nothing was signed yet; start the gateway once"), right=(0,))


@app.command("rotate")
def rotate(person: PersonOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Sign the log with a new key from now on; the old one hands over and is forgotten."""
    act(find_data(config), "rotate-audit-key", {}, as_json, person)


@app.command("verifier")
def verifier() -> None:
    """Print the verifier that needs no Toolcrib: one file for auditors, which checks a database, export or proof."""
    from importlib.resources import files

    typer.echo(files("marketplace.audit").joinpath("standalone.py").read_text(encoding="utf-8"), nl=False)


@app.command("witness")
def witness(
    log: Annotated[list[str], typer.Option("--log", help="The public key of a log; may be given often.")],
    name: Annotated[str, typer.Option("--name", help="Your name as a witness, such as office.example/w1.")],
    state: Annotated[Path, typer.Option("--state", help="Where you keep your key and what you have seen.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="A drop folder: answer what is in it, once.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Listen there instead.")] = None,
    bind: Annotated[str, typer.Option("--bind", help="On which address to listen.")] = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Be a witness of other gateways' logs: sign what only grew, refuse the rest; on another computer than theirs."""
    from marketplace.audit.keys import KeyUnreadable
    from marketplace.audit.note import NoteBroken
    from marketplace.audit.witness import Witness

    try:
        opened = Witness(state, name, [_public(each) for each in log])
    except (KeyUnreadable, NoteBroken) as error:
        raise Failure(str(error)) from error
    if folder is not None:
        _look_into(folder, opened, as_json)
    elif port is not None:
        wait_for(_listen(opened, bind, port))
    elif as_json:
        say_json({"key": str(opened.public)})
    else:
        say(_("this witness signs with {key}").format(key=opened.public))


def _look_into(folder: Path, opened: Witness, as_json: bool) -> None:
    from gateway.clock import real
    from gateway.witnesses import look_into

    try:
        answers = look_into(folder, opened, int(real().timestamp()))
    except OSError as error:
        raise Failure(_("{path} cannot be used: {reason}").format(path=folder, reason=error.strerror)) from error
    said = [{"request": name, "status": answer.status} for name, answer in answers]
    if as_json:
        say_json(said)
    for each in [] if as_json else said:
        say(_("{request}: {verdict}").format(request=each["request"], verdict=_verdict(each)))
    if any(each["status"] != 200 for each in said):
        raise typer.Exit(1)


def _verdict(said: dict[str, Any]) -> str:
    if said["status"] == 200:
        return _("signed")
    if said["status"] in (409, 422):
        return _("NOT signed: it does not continue what was seen before (or was asked from another place)")
    return _("NOT signed: no request of a log that is known here")


async def _listen(opened: Witness, bind: str, port: int) -> None:
    import asyncio

    from gateway.clock import real
    from gateway.witnesses import serve

    try:
        runner = await serve(opened, bind, port, lambda: int(real().timestamp()))
    except OSError as error:
        raise Failure(
            _("cannot listen on {bind}:{port}: {reason}").format(bind=bind, port=port, reason=error)
        ) from error
    say_json({"key": str(opened.public), "port": runner.addresses[0][1]})
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
