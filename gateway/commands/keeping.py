"""Commands that keep what must not be lost: back up, look a backup over, put it back, and let buying go on after it."""

from __future__ import annotations

from datetime import UTC, datetime
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.acting import PersonOption, act
from gateway.commands.output import ConfigOption, Failure, JsonOption, find_data, say, say_json, say_table, wait_for

if TYPE_CHECKING:
    from gateway.restore import LookedOver

PANEL = "Keeping"
PassphraseOption = Annotated[
    Path | None, typer.Option("--with-key", help="Private keys too, sealed under the passphrase in this file.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (backup, restore, restored):
        app.command(rich_help_panel=PANEL)(command)


def backup(
    target: Annotated[Path, typer.Argument(help="The file to write, or a directory; or the word 'verify'.")],
    file: Annotated[Path | None, typer.Argument(help="After 'verify': the backup to look over.")] = None,
    config: ConfigOption = None,
    with_key: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back everything up while the gateway runs; 'backup verify FILE' looks one over."""
    if file is None:
        _back_up(target, config, with_key, as_json)
    elif str(target) == "verify":
        _verify(file, as_json)
    else:
        raise typer.BadParameter(_("write 'backup FILE' or 'backup verify FILE'"))


def _back_up(target: Path, config: Path | None, with_key: Path | None, as_json: bool) -> None:
    from gateway.backup import BackupFailed, Source, make_backup

    place = find_data(config)
    source = Source(place.directory, place.config, place.policy, place.owner)
    try:
        made = make_backup(source, target, datetime.now(UTC), passphrase=_passphrase(with_key))
    except BackupFailed as error:
        raise Failure(str(error)) from error
    found = _looked_over(made)
    if as_json:
        say_json({"file": str(made), **found.manifest})
    else:
        sentence = _("{file}: {entries} audit entries, root {root}")
        audit = found.manifest["audit"]
        say(sentence.format(file=made, entries=audit["size"], root=audit["root"]))


def _verify(file: Path, as_json: bool) -> None:
    found = _looked_over(file)
    if as_json:
        say_json({**found.manifest, "verified": not found.problems, "problems": list(found.problems)})
    else:
        for problem in found.problems:
            say(problem)
        audit = found.manifest["audit"]
        done = _("{file} of {made_at} verifies: {entries} audit entries, root {root}")
        bad = _("{file} does NOT verify; do not rely on it")
        said = {"file": file, "made_at": found.manifest["made_at"], "entries": audit["size"], "root": audit["root"]}
        say((bad if found.problems else done).format(**said))
    if found.problems:
        raise typer.Exit(1)


def _looked_over(file: Path) -> LookedOver:
    from gateway.restore import NotRestored, verify_backup

    try:
        return wait_for(verify_backup(file))
    except NotRestored as error:
        raise Failure(str(error)) from error


def _passphrase(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        passphrase = file.read_bytes().strip()
    except OSError as error:
        raise Failure(_("{path} cannot be read: {reason}").format(path=file, reason=error.strerror)) from error
    if not passphrase:
        raise Failure(_("{path} is empty; it must hold the passphrase").format(path=file))
    return passphrase


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    to: Annotated[Path, typer.Option("--to", help="The data directory; it must hold no database.")],
    with_key: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup back where nothing is; the gateway then buys nothing until 'restored --confirm'."""
    from gateway.restore import NotRestored, restore_backup
    from gateway.sealing import SealUnopened
    from gateway.storage import StorageBroken

    passphrase = _passphrase(with_key)
    try:
        found = wait_for(restore_backup(file, to, datetime.now(UTC), passphrase=passphrase))
    except (NotRestored, StorageBroken, SealUnopened) as error:
        raise Failure(str(error)) from error
    if as_json:
        say_json({"to": str(to), **found.manifest})
        return
    say(_("{to} is as it was at {made_at}").format(to=to, made_at=found.manifest["made_at"]))
    say(_("next: start the gateway; it asks suppliers what was bought since, and buys nothing until you confirm"))


def restored(
    confirm: Annotated[bool, typer.Option("--confirm", help="Let buying go on, having read what is lost.")] = False,
    new_epoch: Annotated[
        bool,
        typer.Option("--new-epoch", help="With --confirm: a witness has seen entries that are lost for good; say so."),
    ] = False,
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a restored gateway has found out about orders that its backup does not know."""
    from gateway import control_client

    if new_epoch and not confirm:
        raise typer.BadParameter(_("write 'restored --confirm --new-epoch'"))
    place = find_data(config)
    if confirm:
        act(place, "confirm-restore", {"new_epoch": True} if new_epoch else {}, as_json, person)
        return
    status = control_client.status(place.directory)
    found = status.get("restored")
    if as_json:
        say_json(found)
    elif found is None:
        say(_("this gateway was not restored from a backup"))
    else:
        _say_restored(found)
        _say_audit(status["audit"])


def _say_restored(found: dict[str, Any]) -> None:
    say(_("restored from a backup of {made_at}").format(made_at=found["made_at"]))
    if found["entries_lost"] is not None:
        say(_("{entries} audit entries were written since, and are lost").format(entries=found["entries_lost"]))
    if not found["looked"]:
        say(_("suppliers are being asked; look again in a minute"))
        return
    rows = [(each["order"], each["supplier"], each["total"]) for each in found["lost"]]
    say_table((_("order"), _("supplier"), _("total")), rows, nothing=_("suppliers know no order that is lost here"))
    for name in found["unasked"]:
        say(_("{supplier} could not be asked: find out there what was ordered since").format(supplier=name))
    said = (
        _("a person has confirmed; buying goes on") if found["confirmed"] else _("next: 'toolcrib restored --confirm'")
    )
    say(said)


def _say_audit(trouble: str) -> None:
    """Say what keeps buying waiting beside the restore, and the way out when a witness's entries are lost for good."""
    if trouble != "signed":
        say(_("the audit log: {trouble}").format(trouble=trouble))
        say(_("if no newer backup has what a witness has seen: 'toolcrib restored --confirm --new-epoch'"))
