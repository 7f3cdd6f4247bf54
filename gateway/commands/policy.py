"""Commands about the policy: what counts, and putting a file into force as a named person."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.acting import PersonOption, act, text_of
from gateway.commands.output import ConfigOption, Failure, JsonOption, databases, load_config, say, say_json, wait_for

if TYPE_CHECKING:
    from gateway.config import Config
    from marketplace.authority.applied import AppliedPolicy

app = typer.Typer(help="What may be bought, by whom, up to how much.", no_args_is_help=True, rich_markup_mode=None)


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="The policy to put into force.")],
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a policy into force, as the person you are; until then an edited file changes nothing."""
    from gateway.config import place_of
    from gateway.policy_file import parse_policy

    site = load_config(config)
    text = text_of(file)
    parse_policy(text, site, str(file))  # mistakes are said with their lines before anything is sent
    act(place_of(site.path), "policy", {"text": text}, as_json, person)


@app.command("show")
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the policy that counts, and whether the file says something else."""
    site = load_config(config)
    applied = wait_for(_applied(site))
    unapplied = _difference(site, applied)
    if as_json:
        say_json({"applied": None if applied is None else _facts(applied), "not_applied": unapplied})
        return
    if applied is None:
        say(_("no policy is in force, so nothing is bought"))
    else:
        sentence = _("version {version}, applied by {person} at {at}")
        at = applied.applied_at.astimezone(site.zone).strftime("%Y-%m-%d %H:%M")
        say(sentence.format(version=applied.version, person=applied.applied_by, at=at))
        for path, (_before, text) in sorted(_flat(applied).items()):
            say(f"  {path}: {text}")
    if unapplied:
        say(_("{file} says something else, which counts only once it is applied:").format(file=site.policy_file))
        for path, (before, after) in unapplied.items():
            say(f"  {path}: {before or '-'} -> {after or '-'}")


def _facts(applied: AppliedPolicy) -> dict[str, Any]:
    return {
        "version": applied.version,
        "hash": applied.hash,
        "applied_by": applied.applied_by,
        "applied_at": applied.applied_at.isoformat(),
        "document": applied.policy.document(),
    }


def _flat(applied: AppliedPolicy) -> dict[str, list[str]]:
    from marketplace.authority.applied import difference

    return difference({}, applied.policy.document())


def _difference(site: Config, applied: AppliedPolicy | None) -> dict[str, list[str]]:
    from gateway.policy_file import read_policy
    from gateway.yaml_file import Mistakes
    from marketplace.authority.applied import difference

    try:
        _file, policy = read_policy(site.policy_file)
    except (OSError, Mistakes):
        return {}
    return difference(applied.policy.document() if applied else {}, policy.document())


async def _applied(site: Config) -> AppliedPolicy | None:
    from marketplace.authority.applied import GateClosed, current_policy

    async with databases(site.directory) as opened, opened.spend.read() as connection:
        try:
            return await current_policy(connection, site.owner)
        except GateClosed as error:
            raise Failure(str(error)) from error
