"""The stop switch on the command line.

To stop works always: through the running gateway, and where none answers by the file STOP in its data directory, which
counts before anything is sent at the next start. To lift a stop takes the running gateway.
"""

from __future__ import annotations

from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.acting import PANEL, PersonOption, act
from gateway.commands.looking import look_at
from gateway.commands.output import (
    MISTAKE,
    ConfigOption,
    Failure,
    JsonOption,
    find_data,
    say,
    say_json,
    say_table,
    wait_for,
)

if TYPE_CHECKING:
    from gateway.config import DataPlace
    from gateway.views import HaltView

ScopeArgument = Annotated[str, typer.Argument(help="plant, machine, supplier or component.", metavar="[SCOPE]")]
KeyArgument = Annotated[str, typer.Argument(help="Which one; the plant needs no key.", metavar="[KEY]")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; for those who look later.")]
KINDS = ("plant", "machine", "supplier", "component")


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (stop, resume, stops):
        app.command(rich_help_panel=PANEL)(command)


def stop(
    scope: ScopeArgument = "plant",
    key: KeyArgument = "",
    reason: ReasonOption = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop buying at once: of the whole plant, or of one machine, supplier or component."""
    from gateway.control_client import Interrupted, NotRunning

    body = _body(scope, key, reason)
    place = find_data(config)
    try:
        act(place, "stop", body, as_json, person)
    except (NotRunning, Interrupted):
        _by_file(place, scope, key, as_json)


def _by_file(place: DataPlace, kind: str, key: str, as_json: bool) -> None:
    """Stop without a gateway: nothing is bought now, and nothing will be when it starts."""
    from gateway.stop_file import demand
    from marketplace.authority.scopes import Scope, ScopeKind

    scope = Scope(ScopeKind(kind), key)
    try:
        path = demand(place.directory, scope)
    except OSError as error:
        sentence = _("no gateway answers, and {directory} cannot be written ({reason}): nothing was stopped")
        raise Failure(sentence.format(directory=place.directory, reason=error.strerror)) from error
    sentence = _("No gateway answers. {scope} is in {path} and counts before anything is sent at the next start.")
    message = sentence.format(scope=scope, path=path)
    if as_json:
        say_json({"ok": True, "code": "STOP_WRITTEN", "message": message})
    else:
        say(message)


def resume(
    scope: ScopeArgument = "plant",
    key: KeyArgument = "",
    reason: ReasonOption = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift the stop of exactly this scope, as a person who may approve or apply a policy."""
    act(find_data(config), "resume", _body(scope, key, reason), as_json, person)


def _body(kind: str, key: str, reason: str) -> dict[str, str]:
    """Return what the gateway is asked, without importing what knows more of it: a stop shall not wait for that."""
    if kind not in KINDS or (kind == "plant") != (not key):
        sentence = _("say what: plant, or machine, supplier or component with its key, such as 'machine mill'")
        raise Failure(sentence, exit_code=MISTAKE)
    return {"scope": kind, "key": key, "reason": reason}


def stops(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Where buying is stopped, since when, by whom and why."""
    from gateway import views
    from gateway.stop_file import NAME

    place = find_data(config)
    found = wait_for(look_at(place, lambda tx: views.standing(tx, place.owner)))
    if as_json:
        say_json([view.as_dict() for view in found])
        return
    _say_stops(found, place)
    if (place.directory / NAME).exists():
        say(_("the file {path} is there").format(path=place.directory / NAME))


def _say_stops(found: list[HaltView], place: DataPlace) -> None:
    from gateway import i18n
    from marketplace.sentences import sentence

    i18n.activate(place.language)
    columns = (_("stopped"), _("key"), _("since"), _("by"), _("how"), _("why"), _("note"))
    rows = [
        (
            view.scope,
            view.key or "-",
            i18n.when(view.at, place.zone),
            view.by,
            view.method,
            sentence(view.code, {}),
            view.note,
        )
        for view in found
    ]
    say_table(columns, rows, nothing=_("nothing is stopped"))
