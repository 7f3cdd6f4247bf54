"""The pages to look at. Every handler reads, renders and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway import views
from gateway.actions import Right
from gateway.live import Link
from gateway.views import NeedView, OrderView
from gateway.web import pictures
from gateway.web.accounts import Account
from gateway.web.context import CONTEXT, ComponentInfo, MachineInfo, WebContext
from gateway.web.render import page
from gateway.web.security import ACCOUNT
from gateway.web.tags import TagRow, rows_of
from maintenance.picture import Picture
from maintenance.store import lives as lives_of
from maintenance.store import load_needs, reports
from marketplace.audit.explain import Story, tell
from marketplace.evidence import Weighing, weighed
from marketplace.ordering.states import ENDED, OrderState

if TYPE_CHECKING:
    from marketplace.audit.verify import Verification

UNDER_WAY = tuple(state for state in OrderState if state not in ENDED and state not in views.WAITING)
"""Orders that go on by themselves."""

MILESTONES = frozenset({"order", "decision", "approval"})
"""Acts that people want to see of an order; the others are in the log."""


LIVES_MAX = 20
"""Parts before, on a component's page: the newest, as many as people read."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits for a person: why a person is asked, and why it is wanted at all."""

    order: OrderView
    asked: str
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A component with its need, if samples have made one, and its chart."""

    info: ComponentInfo
    need: NeedView | None
    chart: Markup


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a component: how it looks, and what its chart shows."""

    need: NeedView
    picture: Picture


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
        waiting = [await _waiting(context, spend, order) for order in await views.waiting(spend, context.owner)]
        shown = {each.order.number for each in waiting}
        moving = await views.orders(spend, context.owner, states=UNDER_WAY)
        moving = [order for order in moving if order.number not in shown]
        apart = await views.set_apart(spend, context.owner)
        alarms = await views.open_alarms(spend, context.owner)
    links = [link for link in context.live.links() if not link.connected or link.faults]
    return page(
        request,
        "inbox.html",
        waiting=waiting,
        moving=moving,
        alarms=alarms,
        links=links,
        apart=apart,
        certificates=context.certificates(),
    )


async def _waiting(context: WebContext, spend: AsyncConnection, order: OrderView) -> Waiting:
    """Return an order with the sentences that matter first; the others are on its own page."""
    story = await tell(spend, order.number, zone=context.time_zone, called=context.called)
    asked = story.authority[-1] if story.authority and order.problem is None else ""
    return Waiting(order, asked, [*story.wear[:2], *story.choice[:1]])


async def _panels(context: WebContext, story: Story) -> list[pictures.Panel]:
    """Return the beliefs that an order was placed on, as pictures."""
    if not story.recorded:
        return []
    try:
        async with context.telemetry.read() as telemetry:
            stored = await load_needs(telemetry)
    except SQLAlchemyError:  # who decides on money shall not wait for a telemetry store; the picture says what it lacks
        stored = {}
    return await pictures.panels_of_record(story.recorded, stored, context.called, context.time_zone)


async def machines(request: web.Request) -> web.Response:
    """Show every machine, the most urgent component of each with its chart."""
    context = request.app[CONTEXT]
    needs = await _known(context)
    cards = [
        _card(context, machine, needs, charts_for=_most_urgent(machine, needs))
        for machine in sorted(context.machines.values(), key=lambda machine: _urgency(machine, needs))
    ]
    async with context.spend.read() as spend:
        kinds = await views.kind_views(spend, context.owner, context.settings)
    return page(request, "machines.html", cards=cards, kinds=kinds)


async def machine(request: web.Request) -> web.Response:
    """Show one machine with a chart for each component."""
    context = request.app[CONTEXT]
    found = context.machines.get(request.match_info["machine"])
    if found is None:
        raise web.HTTPNotFound
    card = _card(context, found, await _known(context), charts_for={each.key for each in found.components})
    return page(request, "machine.html", card=card)


async def component(request: web.Request) -> web.Response:
    """Show one component: condition, forecast, evidence, and what was bought for it."""
    context = request.app[CONTEXT]
    key = f"{request.match_info['machine']}/{request.match_info['component']}"
    found = context.component(key)
    if found is None:
        raise web.HTTPNotFound
    known = await _known(context)
    card = _card(context, found[0], known, charts_for=set())
    row = next(each for each in card.components if each.info.key == key)
    panel: pictures.Panel | None = None
    weighings: Sequence[Weighing] = ()
    if key in known:
        need = known[key].need
        panel = await pictures.panel_of_need(need, known[key].picture, context.time_zone)
        weighings = weighed(need.evidence, need.health, need.belief.life)
    async with context.spend.read() as spend:
        bought = [
            order
            for order in await views.orders(spend, context.owner)
            if any(line.component == key for line in order.lines)
        ]
        lives = [life for life in await lives_of(spend, context.owner, key) if life.removed_at is not None]
        said = (await reports(spend, context.owner)).get(key, ())
    return page(
        request,
        "component.html",
        card=card,
        row=row,
        panel=panel,
        weighings=weighings,
        orders=bought,
        lives=lives[: -LIVES_MAX - 1 : -1],
        reports=said,
        may_report=request[ACCOUNT].can(Right.OPERATE),
    )


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
        milestones = [event for event in events if event.kind.partition(".")[0] in MILESTONES]
        story = await tell(spend, number, zone=context.time_zone, called=context.called)
    return page(
        request,
        template,
        status=status,
        order=found,
        offers=offers,
        events=milestones,
        entries=len(events),
        reasons=[*story.wear, *story.choice, *story.authority],  # the page shows beside it what else the story tells
        panels=await _panels(context, story),
        within=_within(found, request[ACCOUNT]),
        **values,
    )


def _within(order: OrderView, account: Account) -> bool:
    """Return whether an order is within a person's own limit, as far as a page can tell; the gate decides."""
    limit = account.approval_limit
    return limit is not None and limit.currency == order.currency and order.total <= limit


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


async def _known(context: WebContext) -> dict[str, Known]:
    async with context.telemetry.read() as telemetry:
        stored = await load_needs(telemetry)
    async with context.spend.read() as spend:
        needs = [need for need, _picture in stored.values()]
        found = await views.need_views(
            spend, context.owner, needs, context.plans(), context.clock(), context.circumstances(), context.advised()
        )
    return {view.component: Known(view, stored[view.component][1]) for view in found}


def _most_urgent(machine: MachineInfo, needs: dict[str, Known]) -> set[str]:
    """Return the component that lasts the shortest, or the first one while nothing is known."""
    known = [each.key for each in machine.components if each.key in needs]
    known = known or [each.key for each in machine.components]
    return {min(known, key=lambda key: _lasts(needs.get(key)))} if known else set()


def _lasts(known: Known | None) -> float:
    return float("inf") if known is None or known.need.remaining_days is None else known.need.remaining_days


def _urgency(machine: MachineInfo, needs: dict[str, Known]) -> tuple[float, str]:
    return min((_lasts(needs.get(each.key)) for each in machine.components), default=float("inf")), machine.key


def _card(context: WebContext, machine: MachineInfo, needs: dict[str, Known], *, charts_for: set[str]) -> MachineCard:
    link = next((each for each in context.live.links() if each.name == machine.connection), None)
    rows = []
    for info in machine.components:
        known = needs.get(info.key)
        shown = Markup()
        if known is not None and info.key in charts_for:
            shown = pictures.of_need(known.need, known.picture, context.time_zone)
        rows.append(ComponentRow(info, None if known is None else known.need, shown))
    return MachineCard(machine, link, rows_of(context, machine, link), rows)
