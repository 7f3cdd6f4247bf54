"""Commands that only look. They read the databases beside a running gateway, or without one, and change nothing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.commands.output import (
    ConfigOption,
    Failure,
    JsonOption,
    databases,
    find_data,
    load_config,
    say,
    say_json,
    say_table,
    wait_for,
)

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from sqlalchemy.ext.asyncio import AsyncConnection

    from gateway.config import Config, DataPlace
    from gateway.learning.kinds import Kind
    from gateway.learning.standing import Standing
    from gateway.views import ComponentPlan, JobLineView, KindView, NeedView, OrderView
    from gateway.views.foresight import Foresight

T = TypeVar("T")

PANEL = "Looking"
OrderArgument = Annotated[str, typer.Argument(help="The order's number, such as G1-0001-7.", metavar="ORDER")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (needs, orders, approvals, why, learning, states):
        app.command(rich_help_panel=PANEL)(command)


ComponentArgument = Annotated[
    str | None, typer.Argument(help="Only this one, with all that its job wants.", metavar="[MACHINE/COMPONENT]")
]


def needs(component: ComponentArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What wears, how long it lasts, and by when somebody must decide; of one component also what its job wants."""
    from gateway import i18n

    site = load_config(config)
    i18n.activate(site.site.language)
    now = plant_now(site.directory)
    views = wait_for(_needs(site, now))
    if component is not None:
        _say_need(next((view for view in views if view.component == component), None), component, site, as_json)
        return
    if as_json:
        say_json([view.as_dict() for view in views])
        return
    columns = (_("component"), _("health"), _("lasts"), _("decide by"), _("mode"), _("state"), _("order"))
    rows = [_need_row(view, site, now) for view in views]
    say_table(columns, rows, nothing=_("there are no needs yet"), right=(1, 2))


def _say_need(view: NeedView | None, component: str, site: Config, as_json: bool) -> None:
    view = _known_view(view, component, site)
    if as_json:
        say_json(view.as_dict())
        return
    from gateway import i18n
    from marketplace.sentences import sentence as sentence_of

    say(f"{view.name}: {view.job}")
    if view.duration is not None:
        say(_("It takes {duration}.").format(duration=i18n.span(view.duration)))
    for name, listed in ((_("Tools"), view.tools), (_("Skills"), view.skills)):
        if listed:
            say(f"{name}: {', '.join(listed)}")
    for line in view.lines:
        say(f"- {line.item}: {_covered(line, site)}")
    for each in view.evidence:
        say(sentence_of(each.code, each.parameters))


def _known_view(view: NeedView | None, component: str, site: Config) -> NeedView:
    """Return a need that is known. Raises `Failure` with the components that there are."""
    if view is not None:
        return view
    known = ", ".join(sorted(site.components)) or _("none")
    sentence = _("nothing is known of {component} yet; the config has: {known}")
    raise Failure(sentence.format(component=component, known=known))


def _covered(line: JobLineView, site: Config) -> str:
    """Return how a line of a job is covered, as people count."""
    from gateway import i18n

    def said(text: str, amount: Decimal, **more: str) -> str:
        return text.format(amount=i18n.quantity(amount, line.unit), **more)

    parts = [said(_("{amount} wanted"), line.quantity)]
    if line.due is not None:
        parts.append(_("for {day}").format(day=i18n.when(line.due, site.zone)))
    if line.on_shelf:
        parts.append(_("done") if line.kind == "service" else said(_("{amount} on the shelf"), line.on_shelf))
    parts += [said(_("{amount} on its way with {order}"), each.amount, order=each.order) for each in line.on_its_way]
    if line.in_hand:
        parts.append(said(_("{amount} being ordered"), line.in_hand))
    if line.missing:
        parts.append(said(_("{amount} to be bought"), line.missing))
    return ", ".join(parts)


def _need_row(view: NeedView, site: Config, now: datetime) -> tuple[str, ...]:
    from gateway import i18n

    lasts = _("beyond what is known")
    if view.remaining_days is not None:
        lasts = i18n.span(timedelta(days=view.remaining_days))
    decide = "-" if view.decide_by is None else i18n.when(view.decide_by, site.zone)
    state = _("{state} (stale)").format(state=view.state) if view.stale else view.state
    return view.component, i18n.percent(view.health), lasts, decide, view.mode, state, view.order or "-"


def learning(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What the lives of parts have taught: how far each kind has come, and why."""
    from gateway import i18n

    site = load_config(config)
    i18n.activate(site.site.language)
    found = wait_for(_kinds(site))
    if as_json:
        say_json([view.as_dict() for view in found])
        return
    columns = (_("kind"), _("wear"), _("phase"), _("since"), _("lives"), _("model"), _("gain a life"), _("because"))
    say_table(columns, [_kind_row(view, site) for view in found], nothing=_("nothing here can learn"), right=(4, 6))


def _kind_row(view: KindView, site: Config) -> tuple[str, ...]:
    from gateway import i18n

    standing, since = view.standing, view.since
    gain = f"{standing.gain:.2f} ± {standing.error:.2f} {standing.currency}" if standing.code == "CONVINCED" else "-"
    model = f"{standing.model} {standing.version[:12]}" if standing.model else "-"
    moment = "-" if since is None else i18n.when(since, site.zone)
    row = (view.kind.name, view.kind.by.value, standing.phase.value, moment, str(standing.lives), model, gain)
    return (*row, view.reason)


async def _kinds(site: Config) -> list[KindView]:
    from gateway.views import kind_views

    async with databases(site.directory) as opened, opened.spend.read() as spend:
        return await kind_views(spend, site.owner, site.components)


async def _needs(site: Config, now: datetime) -> list[NeedView]:
    from gateway.learning.ledger import standings
    from gateway.views import need_views
    from gateway.views.circumstances import Circumstances
    from maintenance.store import load_needs

    async with databases(site.directory) as opened:
        async with opened.telemetry.read() as telemetry:
            found = [need for need, _picture in (await load_needs(telemetry)).values()]
        async with opened.spend.read() as spend:
            known = await standings(spend, site.owner)
            around = Circumstances(frozenset(site.suppliers), site.windows)
            return await need_views(spend, site.owner, found, plans(site, known), now, around)


def plans(site: Config, known: Mapping[Kind, Standing]) -> dict[str, ComponentPlan]:
    """Return what views need to know about each component of a config, with what kinds have learned."""
    from gateway.learning.standing import patience_of
    from gateway.views import ComponentPlan

    found = {}
    for key, component in site.components.items():
        machine = site.file.machines[key.partition("/")[0]]
        terms = component.terms(site.file.timing, patience_of(key, component, known))
        found[key] = ComponentPlan(key, machine.name, component.name, terms, component.stale_after.duration)
    return found


def plant_now(directory: Path) -> datetime:
    """Return what time it is at the machines: the running gateway says, or where a demo stopped, or the wall."""
    from gateway.clock import real
    from gateway.control_client import Interrupted, NotRunning, Refused, status

    with suppress(NotRunning, Interrupted, Refused, KeyError, ValueError, TypeError):
        return datetime.fromisoformat(status(directory)["plant_time"])
    with suppress(OSError, KeyError, ValueError, TypeError):
        return datetime.fromisoformat(json.loads((directory / "clock.json").read_text())["plant"])
    return real()


StateOption = Annotated[list[str] | None, typer.Option("--state", help="Only in this state; may be given often.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]


def orders(
    config: ConfigOption = None, state: StateOption = None, limit: LimitOption = 200, as_json: JsonOption = False
) -> None:
    """Purchase orders, the newest first."""
    from gateway import views
    from marketplace.ordering.states import OrderState

    unknown = set(state or ()) - set(OrderState)
    if unknown:
        sentence = _("{state} is no state of an order; 'toolcrib states' lists them")
        raise Failure(sentence.format(state=", ".join(sorted(unknown))), exit_code=2)
    place = find_data(config)
    found = wait_for(look_at(place, lambda tx: views.orders(tx, place.owner, states=state or None, limit=limit)))
    _say_orders(found, place, as_json, nothing=_("there are no orders"))


def approvals(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Orders that wait for a person, the most urgent first."""
    from gateway import views

    place = find_data(config)
    found = wait_for(look_at(place, lambda tx: views.waiting(tx, place.owner)))
    apart = wait_for(look_at(place, lambda tx: views.set_apart(tx, place.owner)))
    if as_json:
        say_json([*(view.as_dict() for view in found), *(each.as_dict() for each in apart)])
        return
    if found or not apart:
        _say_orders(found, place, as_json, nothing=_("nothing waits for a person"))
    for each in apart:
        sentence = _("{requisition} for {component} is set apart; 'toolcrib release' takes it up again")
        say(sentence.format(requisition=each.requisition, component=each.component))


def _say_orders(found: list[OrderView], place: DataPlace, as_json: bool, *, nothing: str) -> None:
    if as_json:
        say_json([view.as_dict() for view in found])
        return
    from gateway import i18n

    i18n.activate(place.language)
    columns = (_("order"), _("state"), _("supplier"), _("total"), _("for"), _("authority"), _("rule"), _("changed"))
    rows = [
        (
            view.number,
            view.state,
            view.supplier,
            i18n.amount(view.total),
            view.component,
            view.authority or "-",
            view.problem[0] if view.problem else view.rule,
            i18n.when(view.changed_at, place.zone),
        )
        for view in found
    ]
    say_table(columns, rows, nothing=nothing, right=(3,))


WhyArgument = Annotated[
    str,
    typer.Argument(help="The order's number, such as G1-0001-7, or a component.", metavar="ORDER|MACHINE/COMPONENT"),
]


def why(subject: WhyArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Why an order was made, or what is advised for a component: evidence, forecast, and what would change it."""
    if "/" in subject:
        _why_component(subject, load_config(config), as_json)
    else:
        _why_order(subject, find_data(config), as_json)


def _why_order(order: str, place: DataPlace, as_json: bool) -> None:
    from gateway import i18n
    from gateway.views.changes import changes
    from gateway.views.foresight import foresee
    from marketplace.audit import explain

    i18n.activate(place.language)
    try:
        story = wait_for(look_at(place, lambda tx: explain.tell(tx, order, zone=place.zone)))
    except explain.NothingKnown as error:
        raise Failure(str(error)) from error
    beliefs = []
    for one in story.recorded:
        by = one.weighed
        seen = foresee(one.belief, by.now, by.terms, one.figures)
        beliefs.append((one.component, seen, wait_for(changes(one.belief, by.terms, by.now, place.zone))))
    if as_json:
        told = [{"component": key, **seen.as_dict(), "changes": turned} for key, seen, turned in beliefs]
        say_json({"order": order, "why": story.sentences, "beliefs": told})
        return
    for sentence in story.sentences:
        say(sentence)
    for key, seen, turned in beliefs:
        say(_("What was believed then of {component}:").format(component=key))
        _say_belief(seen, turned, place.zone, _("What would have changed the advice:"))


def _why_component(component: str, site: Config, as_json: bool) -> None:
    from gateway import i18n
    from gateway.views.changes import changes
    from marketplace.evidence import weighed
    from marketplace.sentences import sentence

    i18n.activate(site.site.language)
    found = wait_for(_needs(site, plant_now(site.directory)))
    view = _known_view(next((each for each in found if each.component == component), None), component, site)
    advice = view.advice
    turned = []
    if advice is not None:
        turned = wait_for(changes(view.belief, advice.weighed.terms, advice.weighed.now, site.zone))

    def told(code: str, parameters: Mapping[str, str]) -> str:
        return sentence(code, i18n.figures(parameters, site.zone))

    reasons = [
        " ".join(filter(None, (told(each.evidence.code, each.evidence.parameters), each.in_brackets())))
        for each in weighed(view.evidence, view.health, view.belief.life)
    ]
    if advice is not None:
        reasons.append(told(advice.code, advice.parameters))
    if as_json:
        say_json({"component": component, "why": reasons, **view.foresight.as_dict(), "changes": turned})
        return
    for reason in reasons:
        say(reason)
    _say_belief(view.foresight, turned, site.zone, "" if advice is None else _("What would change the advice:"))


def _say_belief(seen: Foresight, turned: list[str], zone: ZoneInfo, heading: str) -> None:
    """Say a belief as a picture and in words, and what would turn the advice round; no heading: there is no advice."""
    from gateway.commands.timeline import timeline

    for line in timeline(seen, zone):
        say(f"  {line}")
    say(seen.words(zone))
    if heading:
        say(heading)
        for each in turned or [_("Nothing near: no single figure, up to ten times as much or as little.")]:
            say(f"- {each}")


def states(
    as_json: JsonOption = False,
    drawn: Annotated[bool, typer.Option("--mermaid", help="As two Mermaid diagrams, for a page in Markdown.")] = False,
) -> None:
    """How requisitions and orders move, and what each step does to the budgets."""
    from marketplace.ordering.states import mermaid, rows

    if drawn:
        say(mermaid().rstrip("\n"))
        return
    columns = ("document", "before", "after", "effect")
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows()])
        return
    say_table(columns, list(rows()), nothing="")


async def look_at(place: DataPlace, look: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Look at the spend database of a place. Raises `Failure`."""
    async with databases(place.directory) as opened, opened.spend.read() as connection:
        return await look(connection)


def order_hash(place: DataPlace, number: str) -> str:
    """Return the hash of exactly the order that stands in the database now. Raises `Failure` when there is none."""
    from gateway import views

    found = wait_for(look_at(place, lambda tx: views.order(tx, place.owner, number)))
    if found is None:
        raise Failure(_("there is no order {number}").format(number=number))
    return found.order_hash
