"""What people do on the page: each handler reads a form, asks `gateway.actions`, and says what came of it.

Nothing here decides or buys. Done, the browser is sent on to a page that shows it (so that reloading repeats
nothing); refused, the form is shown again with what was typed and why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from gettext import gettext as _
from urllib.parse import quote

from aiohttp import web

from gateway import views
from gateway.actions import Outcome, Right
from gateway.i18n import amount, number
from gateway.views import OrderView
from gateway.web import forms
from gateway.web.accounts import Account
from gateway.web.context import CONTEXT, WebContext
from gateway.web.forms import Choice, Form, Unreadable
from gateway.web.pages import show_audit, show_decision
from gateway.web.render import flash, page
from gateway.web.security import ACCOUNT, require
from marketplace.ordering.closing import SETTLABLE
from marketplace.ordering.states import OrderState

METHOD = "web"
ARRIVING = (OrderState.CONFIRMED, OrderState.SHIPPED)
ANSWERABLE = (OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.NEEDS_PERSON, OrderState.CONFIRMED)

Act = Callable[[WebContext, Account, dict[str, str]], Awaitable[Outcome]]


async def approve(request: web.Request) -> web.StreamResponse:
    """Sign the order of the hash that the person saw."""
    return await _decide(request, request.app[CONTEXT].actions.approve)


async def deny(request: web.Request) -> web.StreamResponse:
    """Reject the order of the hash that the person saw."""
    return await _decide(request, request.app[CONTEXT].actions.deny)


async def _decide(
    request: web.Request, act: Callable[[str, str, str, str, str], Awaitable[Outcome]]
) -> web.StreamResponse:
    account, posted = require(request, Right.APPROVE), await request.post()
    number, note = request.match_info["number"], str(posted.get("note", ""))[: forms.NOTE_MAX]
    outcome = await act(number, str(posted.get("order_hash", ""))[:64], account.id, note, METHOD)
    if not outcome.ok:
        return await show_decision(request, error=outcome.message, note=note, status=409)
    flash(request, outcome.message)
    raise web.HTTPSeeOther("/")


async def cancel(request: web.Request) -> web.StreamResponse:
    """Withdraw an order, or ask the supplier to cancel it."""
    account, number = require(request, Right.APPROVE), request.match_info["number"]
    outcome = await request.app[CONTEXT].actions.cancel(number, account.id, METHOD)
    flash(request, outcome.message, ok=outcome.ok)
    raise web.HTTPSeeOther(f"/orders/{number}")


async def release(request: web.Request) -> web.StreamResponse:
    """Let a purchase that was set apart be taken up again."""
    account, subject = require(request, Right.OPERATE), request.match_info["subject"]
    outcome = await request.app[CONTEXT].actions.release(subject, account.id, METHOD)
    flash(request, outcome.message, ok=outcome.ok)
    raise web.HTTPSeeOther("/")


async def verify_audit(request: web.Request) -> web.StreamResponse:
    """Compute the whole log again and show the result; it changes nothing, but costs enough to be asked for."""
    from marketplace.audit.verify import verify  # a gateway whose page nobody asks for it does without its memory

    context = request.app[CONTEXT]
    async with context.spend.read() as spend:
        result = await verify(spend)
    return await show_audit(request, result)


async def enter(request: web.Request) -> web.Response:
    """Show what can be entered."""
    return page(request, "enter.html", may=request[ACCOUNT].can(Right.OPERATE))


async def reading(request: web.Request) -> web.StreamResponse:
    """Enter a reading."""
    form = forms.reading_form(_components(request), request.query.get("component", ""))

    async def act(context: WebContext, account: Account, typed: dict[str, str]) -> Outcome:
        return await context.actions.reading(
            typed["component"], typed["value"], account.id, METHOD, clock=typed["clock"]
        )

    return await _form(request, form, act)


async def symptom(request: web.Request) -> web.StreamResponse:
    """Report a symptom of a component: one of the list, else in words."""
    return await _say(request, request.app[CONTEXT].actions.symptom)


async def symptom_over(request: web.Request) -> web.StreamResponse:
    """Take back what is reported of a component."""
    return await _say(request, request.app[CONTEXT].actions.symptom_over)


async def _say(request: web.Request, act: Callable[[str, str, str, str], Awaitable[Outcome]]) -> web.StreamResponse:
    account, posted = require(request, Right.OPERATE), await request.post()
    machine, component = request.match_info["machine"], request.match_info["component"]
    said = str(posted.get("words", "")).strip() or str(posted.get("symptom", ""))
    outcome = await act(f"{machine}/{component}", said[: forms.TEXT_MAX], account.id, METHOD)
    flash(request, outcome.message, ok=outcome.ok)
    raise web.HTTPSeeOther(f"/machines/{quote(machine)}/{quote(component)}")


async def fitted(request: web.Request) -> web.StreamResponse:
    """Enter a fitting."""
    form = forms.fitted_form(_components(request), request.query.get("component", ""))

    async def act(context: WebContext, account: Account, typed: dict[str, str]) -> Outcome:
        used = typed["used"] or None
        return await context.actions.fitted(
            typed["component"], typed["serial"], used, typed["note"], account.id, METHOD, found=typed["found"]
        )

    return await _form(request, form, act)


async def stock(request: web.Request) -> web.StreamResponse:
    """Enter a count."""
    items = [Choice(key, name) for key, name in sorted(request.app[CONTEXT].names.items.items())]
    form = forms.stock_form(items, request.query.get("item", ""))

    async def act(context: WebContext, account: Account, typed: dict[str, str]) -> Outcome:
        quantity = forms.quantity_of(typed["quantity"])
        return await context.actions.stock(typed["item"], f"{quantity:f}", account.id, METHOD)

    return await _form(request, form, act)


async def received(request: web.Request) -> web.StreamResponse:
    """Choose the order that arrived."""
    context = request.app[CONTEXT]
    async with context.spend.read() as spend:
        arriving = await views.orders(spend, context.owner, states=ARRIVING)
    chosen = request.query.get("number", "")
    if chosen in {order.number for order in arriving}:
        raise web.HTTPSeeOther(f"/orders/{chosen}/received")
    return page(request, "form.html", form=forms.received_form(arriving), method="get", may=True)


async def counted(request: web.Request) -> web.StreamResponse:
    """Enter what arrived of one order."""
    order = await _order(request)

    async def act(context: WebContext, account: Account, typed: dict[str, str]) -> Outcome:
        quantities = forms.quantities_of(typed, order)
        return await context.actions.received(order.number, quantities, account.id, METHOD)

    return await _form(request, forms.counted_form(order), act, done=f"/orders/{order.number}")


async def answer(request: web.Request) -> web.StreamResponse:
    """Enter what the supplier said about one order, or how it was settled once its goods are here."""
    context, order = request.app[CONTEXT], await _order(request)
    supplier = context.names.suppliers.get(order.supplier, order.supplier)

    async def act(context: WebContext, account: Account, typed: dict[str, str]) -> Outcome:
        said = forms.answer_of(typed, order.currency, context.time_zone)
        return await context.actions.answered(order.number, said, account.id, METHOD)

    lines = (f"{number(line.quantity)} × {line.mpn or line.item} {line.description}" for line in order.lines)
    texts = (order.number, *lines, amount(order.total))
    done = f"/orders/{order.number}"
    if order.state in SETTLABLE:
        return await _form(request, forms.settle_form(order, supplier, texts), act, done=done, right=Right.APPROVE)
    return await _form(request, forms.answer_form(order, supplier, texts), act, done=done)


async def _order(request: web.Request) -> OrderView:
    context = request.app[CONTEXT]
    async with context.spend.read() as spend:
        found = await views.order(spend, context.owner, request.match_info["number"])
    if found is None:
        raise web.HTTPNotFound
    return found


def _components(request: web.Request) -> list[Choice]:
    return [
        Choice(component.key, f"{machine.name} - {component.name}")
        for machine in request.app[CONTEXT].machines.values()
        for component in machine.components
    ]


async def _form(
    request: web.Request, form: Form, act: Act, *, done: str = "/enter", right: Right = Right.OPERATE
) -> web.StreamResponse:
    """Show a form, or act on what was posted."""
    if request.method != "POST":
        return page(request, "form.html", form=form, method="post", may=request[ACCOUNT].can(right))
    account, posted = require(request, right), await request.post()
    try:
        outcome = await act(request.app[CONTEXT], account, forms.typed(form, posted))
    except Unreadable as error:
        message = _("{cause} Nothing was entered.").format(cause=error)
        outcome = Outcome(False, "UNREADABLE", message)
    if not outcome.ok:
        again = form.filled(forms.raw(form, posted), outcome.message)
        return page(request, "form.html", form=again, method="post", may=True, status=422)
    flash(request, outcome.message)
    raise web.HTTPSeeOther(done)
