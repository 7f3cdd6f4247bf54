"""The pages to look at. Every handler reads, renders and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from markupsafe import Markup

from gateway import views
from gateway.live import Link, Reading
from gateway.views import NeedView, OrderView
from gateway.web import charts
from gateway.web.context import CONTEXT, ComponentInfo, MachineInfo, TagInfo, WebContext
from gateway.web.render import page
from marketplace.audit.explain import why
from marketplace.audit.verify import Verification
from marketplace.ordering.states import ENDED, OrderState

UNDER_WAY = tuple(state for state in OrderState if state not in ENDED and state not in views.WAITING)
"""Orders that go on by themselves."""
CHART_PAST = timedelta(days=90)
"""How far back a chart looks: what is older says little about the next weeks."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits for a person, with the sentences that say why."""

    order: OrderView
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag with its last reading, if any; `fault` says why it cannot be read."""

    tag: TagInfo
    reading: Reading | None
    stale: bool
    fault: str

    @property
    def name(self) -> str:
        """The tag's own part of its key."""
        return self.tag.key.partition("/")[2]


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A component with its need, if samples have made one, and its chart."""

    info: ComponentInfo
    need: NeedView | None
    chart: Markup


@dataclass(frozen=True, slots=True)
class MachineCard:
    """A machine as the page shows it; `link` is None without telemetry or before it was first tried."""

    machine: MachineInfo
    link: Link | None
    tags: Sequence[TagRow]
    components: Sequence[ComponentRow]


async def inbox(request: web.Request) -> web.Response:
    """Show what waits for a person, and what is under way without one."""
    context = request.app[CONTEXT]
    async with context.spend.read() as spend:
        waiting = [
            Waiting(order, await why(spend, order.number)) for order in await views.waiting(spend, context.owner)
        ]
        moving = await views.orders(spend, context.owner, states=UNDER_WAY)
    links = [link for link in context.live.links() if not link.connected or link.faults]
    return page(request, "inbox.html", waiting=waiting, moving=moving, links=links)


async def machines(request: web.Request) -> web.Response:
    """Show every machine, the most urgent component of each with its chart."""
    context = request.app[CONTEXT]
    needs = await _needs(context)
    cards = [
        await _card(context, machine, needs, charts_for=_most_urgent(machine, needs))
        for machine in sorted(context.machines.values(), key=lambda machine: _urgency(machine, needs))
    ]
    return page(request, "machines.html", cards=cards)


async def machine(request: web.Request) -> web.Response:
    """Show one machine with a chart for each component."""
    context = request.app[CONTEXT]
    found = context.machines.get(request.match_info["machine"])
    if found is None:
        raise web.HTTPNotFound
    card = await _card(context, found, await _needs(context), charts_for={each.key for each in found.components})
    return page(request, "machine.html", card=card)


async def component(request: web.Request) -> web.Response:
    """Show one component: condition, forecast, evidence, and what was bought for it."""
    context = request.app[CONTEXT]
    key = f"{request.match_info['machine']}/{request.match_info['component']}"
    found = context.component(key)
    if found is None:
        raise web.HTTPNotFound
    card = await _card(context, found[0], await _needs(context), charts_for={key})
    row = next(each for each in card.components if each.info.key == key)
    tag = next((each for each in card.tags if each.tag.key == row.info.tag), None)
    async with context.spend.read() as spend:
        bought = [
            order
            for order in await views.orders(spend, context.owner)
            if any(line.component == key for line in order.lines)
        ]
    return page(request, "component.html", card=card, row=row, tag=tag, orders=bought)


async def orders(request: web.Request) -> web.Response:
    """Show the newest orders."""
    context = request.app[CONTEXT]
    async with context.spend.read() as spend:
        found = await views.orders(spend, context.owner)
    return page(request, "orders.html", orders=found)


async def order(request: web.Request) -> web.Response:
    """Show one order: how it went, what was offered, why, by whose authority."""
    return await _order_page(request, "order.html")


async def decide(request: web.Request) -> web.Response:
    """Show one order that waits, with the forms that approve or reject exactly what is shown."""
    return await show_decision(request)


async def show_decision(request: web.Request, *, error: str = "", note: str = "", status: int = 200) -> web.Response:
    """Show the decision page, after a refusal with its reason and what was typed."""
    return await _order_page(request, "decide.html", status=status, error=error, note=note)


async def _order_page(request: web.Request, template: str, *, status: int = 200, **values: str) -> web.Response:
    context, number = request.app[CONTEXT], request.match_info["number"]
    async with context.spend.read() as spend:
        found = await views.order(spend, context.owner, number)
        if found is None:
            raise web.HTTPNotFound
        offers = await views.offers(spend, context.owner, number)
        events = await views.history(spend, context.owner, number)
        reasons = await why(spend, number)
    return page(request, template, status=status, order=found, offers=offers, events=events, reasons=reasons, **values)


async def audit(request: web.Request) -> web.Response:
    """Show the log, newest first."""
    return await show_audit(request)


async def show_audit(request: web.Request, verification: Verification | None = None) -> web.Response:
    """Show the log, after a verification with its result."""
    context = request.app[CONTEXT]
    before = request.query.get("before", "")
    async with context.spend.read() as spend:
        found = await views.audit(
            spend, context.owner, before=int(before) if before.isdecimal() and len(before) < 12 else None
        )
    return page(request, "audit.html", audit=found, verification=verification)


# --- machines ---------------------------------------------------------------------------------------------------------


async def _needs(context: WebContext) -> dict[str, NeedView]:
    async with context.telemetry.read() as telemetry:
        stored = await load_needs(telemetry)
    async with context.spend.read() as spend:
        found = await views.need_views(spend, context.owner, stored, context.plans(), context.clock())
    return {view.component: view for view in found}


def _most_urgent(machine: MachineInfo, needs: dict[str, NeedView]) -> set[str]:
    """Return the component that lasts the shortest, or the first one while nothing is known."""
    known = [each.key for each in machine.components if each.key in needs]
    return {min(known or [each.key for each in machine.components], key=lambda key: _lasts(needs.get(key)))}


def _lasts(need: NeedView | None) -> float:
    return float("inf") if need is None or need.remaining_days is None else need.remaining_days


def _urgency(machine: MachineInfo, needs: dict[str, NeedView]) -> tuple[float, str]:
    return min((_lasts(needs.get(each.key)) for each in machine.components), default=float("inf")), machine.key


async def _card(
    context: WebContext, machine: MachineInfo, needs: dict[str, NeedView], *, charts_for: set[str]
) -> MachineCard:
    link = next((each for each in context.live.links() if each.name == machine.connection), None)
    faults = {} if link is None else dict(link.faults)
    now, readings = context.clock(), context.live.readings()
    rows = []
    for info in machine.components:
        need = needs.get(info.key)
        rows.append(ComponentRow(info, need, await _chart(context, info, need) if info.key in charts_for else Markup()))
    tags = [
        TagRow(
            tag,
            readings.get(tag.key),
            tag.key in readings and context.live.is_stale(readings[tag.key], now),
            faults.get(tag.key, ""),
        )
        for tag in machine.tags
    ]
    return MachineCard(machine, link, tags, rows)


async def _chart(context: WebContext, info: ComponentInfo, need: NeedView | None) -> Markup:
    if not info.tag:
        return Markup()
    now = context.clock()
    async with context.telemetry.read() as telemetry:
        points = await history(telemetry, info.tag, now - CHART_PAST, charts.POINTS_MAX * 4)
    chart = charts.Chart(
        title=info.name,
        unit=info.unit,
        history=points,
        now=now,
        limit=info.limit,
        forecast=None if need is None else charts.Forecast(*_ends(need, now)),
        decide_by=None if need is None else need.decide_by,
    )
    return charts.draw(chart, context.time_zone)


def _ends(need: NeedView, now: datetime) -> tuple[datetime | None, datetime | None, datetime | None]:
    early, likely, late = (
        None if days is None or days > 36_500 else now + timedelta(days=days)
        for days in (need.remaining_days_early, need.remaining_days, need.remaining_days_late)
    )
    return early, likely, late
