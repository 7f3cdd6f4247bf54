"""Alarms on the command line: those about money, which may stop it, and those about conditions, which never do.

Both have an id and are acknowledged alike. To look takes no running gateway; to act takes one.
"""

from __future__ import annotations

from datetime import datetime
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.acting import PANEL, NoteOption, PersonOption, act
from gateway.commands.looking import look_at, plant_now
from gateway.commands.output import ConfigOption, JsonOption, databases, find_data, say, say_json, say_table, wait_for

if TYPE_CHECKING:
    from gateway.config import DataPlace
    from gateway.views import AlarmView, ConditionsView, ConditionView

app = typer.Typer(help="What is wrong and waits for somebody: with money, and with machines.", rich_markup_mode=None)
AlarmArgument = Annotated[str, typer.Argument(help="The alarm's id, as 'toolcrib alarms' lists it.", metavar="ALARM")]


def add_to(whole: typer.Typer) -> None:
    """Add these commands."""
    whole.add_typer(app, name="alarms", rich_help_panel=PANEL)


@app.callback(invoke_without_command=True)
def alarms(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Alarms: those about money stop what they name if nobody acknowledges them; those about machines only tell."""
    from gateway import views

    if context.invoked_subcommand is not None:
        return
    place = find_data(config)
    money = wait_for(look_at(place, lambda tx: views.open_alarms(tx, place.owner)))
    now = plant_now(place.directory)
    conditions = wait_for(_conditions(place, now))
    if as_json:
        say_json([*(view.as_dict() for view in money), *(view.as_dict() for view in conditions.all)])
        return
    if not money and not conditions.all:
        say(_("no alarm is open"))
        return
    _say_money(money, place)
    _say_conditions(conditions, place)


async def _conditions(place: DataPlace, now: datetime) -> ConditionsView:
    from gateway.views import conditions_view
    from maintenance.alarms import store
    from maintenance.alarms.book import Book
    from maintenance.alarms.rules import Rules

    book = Book(Rules())
    async with databases(place.directory) as opened, opened.telemetry.read() as tx:
        book.restore(*await store.load(tx))
    return conditions_view(book.overview(now), now)


def _say_money(found: list[AlarmView], place: DataPlace) -> None:
    if not found:
        return
    from gateway import i18n
    from marketplace.sentences import reach, sentence

    i18n.activate(place.language)
    columns = (_("alarm"), _("what is wrong"), _("would stop"), _("raised"), _("acknowledge by"))
    rows = [
        (
            view.id,
            sentence(view.code, i18n.figures(view.parameters, place.zone)),
            reach(view.scope, view.key),
            i18n.when(view.raised_at, place.zone),
            _("stopped") if view.halted else i18n.when(view.acknowledge_by, place.zone),
        )
        for view in found
    ]
    say_table(columns, rows, nothing="")


def _say_conditions(found: ConditionsView, place: DataPlace) -> None:
    if not found.all:
        return
    from gateway import i18n

    i18n.activate(place.language)
    columns = (_("alarm"), _("priority"), _("state"), _("what is wrong"), _("what to do"), _("respond by"))
    rows = [_condition_row(view, place) for view in found.all]
    say_table(columns, rows, nothing="")
    sentence = _("{rate} an hour on average; one person can take about {most}")
    say(sentence.format(rate=i18n.number(found.per_hour, 1), most=i18n.number(found.manageable, 0)))


def _condition_row(view: ConditionView, place: DataPlace) -> tuple[str, ...]:
    from gateway import i18n

    state = view.state
    if view.shelf is not None:
        state = _("shelved until {time}").format(time=i18n.when(view.shelf.until, place.zone))
    due = "-" if view.due is None else i18n.when(view.due, place.zone)
    return view.id, view.priority.word, state, view.what, view.action, due


@app.command("ack")
def acknowledge(
    alarm: AlarmArgument,
    note: NoteOption = "",
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that you have seen an alarm; a stop that one about money has caused stays until it is lifted."""
    act(find_data(config), "acknowledge", {"alarm": alarm, "note": note}, as_json, person)


@app.command()
def shelve(
    alarm: AlarmArgument,
    span: Annotated[str, typer.Option("--for", help="For how long, such as '8 h' or '7 d'; 30 d at most.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever looks next must know.")],
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an alarm about a machine aside; it comes back by itself."""
    act(find_data(config), "shelve", {"alarm": alarm, "span": span, "reason": reason}, as_json, person)


@app.command()
def unshelve(
    alarm: AlarmArgument, person: PersonOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Take an alarm from the shelf before its time."""
    act(find_data(config), "unshelve", {"alarm": alarm}, as_json, person)


@app.command()
def states(
    as_json: JsonOption = False,
    drawn: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid diagram, for a page in Markdown.")] = False,
) -> None:
    """How alarms about machines move, after ISA-18.2."""
    from maintenance.alarms.states import mermaid, rows

    if drawn:
        say(mermaid().rstrip("\n"))
        return
    columns = ("before", "event", "after")
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows()])
        return
    say_table(columns, list(rows()), nothing="")


@app.command()
def kinds(as_json: JsonOption = False) -> None:
    """Every kind of alarm about machines: what to do, in which time, and its usual limits and delays."""
    from gateway import i18n
    from maintenance.alarms.kinds import KINDS, told

    if as_json:
        say_json(
            [
                {
                    "kind": code.value,
                    "action": kind.action,
                    "consequence": kind.consequence,
                    "respond_within_s": kind.respond_within.total_seconds(),
                    "on_delay_s": kind.on_delay.total_seconds(),
                    "off_delay_s": kind.off_delay.total_seconds(),
                    "limit": kind.limit if kind.unit else None,
                    "band": kind.band if kind.unit else None,
                    "unit": kind.unit.value or None,
                }
                for code, kind in KINDS.items()
            ]
        )
        return
    columns = (_("kind"), _("what to do"), _("within"), _("on delay"), _("off delay"))
    rows = [
        (code.value, told(kind.action, {}), *map(i18n.span, (kind.respond_within, kind.on_delay, kind.off_delay)))
        for code, kind in KINDS.items()
    ]
    say_table(columns, rows, nothing="")
