"""The stop switch on the page: stops that stand are shown everywhere, setting and lifting each ask once more.

Looking at `/stop` or at a confirmation changes nothing; both acts are forms that name their scope, so that they work
without JavaScript, from a telephone and by keyboard. Who may do what is decided behind `gateway.actions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from gateway import views
from gateway.views import HaltView, OrderView
from gateway.web import forms
from gateway.web.acts import METHOD
from gateway.web.context import CONTEXT, WebContext
from gateway.web.render import STOPS, flash, page
from gateway.web.security import ACCOUNT, Handler
from marketplace.authority.scopes import Scope, ScopeKind
from marketplace.ordering.states import UNSENT

SCOPE_MAX: Final = 130
"""Characters of a key: `machine/component`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be stopped, what it is called, and whether it is stopped."""

    scope: Scope
    name: str
    stopped: bool
    parts: Sequence[Choice] = ()


@web.middleware
async def see_stops(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let every page of a signed-in person show what is stopped."""
    if ACCOUNT in request and request.method in (hdrs.METH_GET, hdrs.METH_POST):
        context = request.app[CONTEXT]
        async with context.spend.read() as spend:
            request[STOPS] = await views.standing(spend, context.owner)
    return await handler(request)


async def choose(request: web.Request) -> web.Response:
    """Show what is stopped, and what can be."""
    context, stopped = request.app[CONTEXT], _stopped(request[STOPS])
    machines = [_machine(context, key, stopped) for key in context.machines]
    suppliers = [_choice(context, ScopeKind.SUPPLIER, key, stopped) for key in sorted(context.names.suppliers)]
    return page(request, "stop.html", machines=machines, suppliers=suppliers, plant=Scope(ScopeKind.PLANT) in stopped)


def _stopped(stops: list[HaltView]) -> frozenset[Scope]:
    return frozenset(Scope(ScopeKind(each.scope), each.key) for each in stops)


def _machine(context: WebContext, key: str, stopped: frozenset[Scope]) -> Choice:
    parts = [
        Choice(scope, each.name, scope in stopped)
        for each in context.machines[key].components
        for scope in (Scope(ScopeKind.COMPONENT, each.key),)
    ]
    scope = Scope(ScopeKind.MACHINE, key)
    return Choice(scope, context.machines[key].name, scope in stopped, parts)


def _choice(context: WebContext, kind: ScopeKind, key: str, stopped: frozenset[Scope]) -> Choice:
    scope = Scope(kind, key)
    return Choice(scope, context.called(key), scope in stopped)


async def confirm(request: web.Request) -> web.Response:
    """Show what a stop would do, with the form that does it."""
    kind, key = _asked(request.query.get("scope", ""), request.query.get("key", ""))
    return await _confirm(request, kind, key)


async def _confirm(
    request: web.Request, kind: str, key: str, *, error: str = "", reason: str = "", status: int = 200
) -> web.Response:
    context = request.app[CONTEXT]
    scope = _scope(kind, key)
    async with context.spend.read() as spend:
        unsent = await views.orders(spend, context.owner, states=UNSENT)
    off = [order for order in unsent if _covers(scope, order)]
    return page(request, "stop_confirm.html", status=status, scope=scope, off=off, error=error, reason=reason)


def _covers(scope: Scope, order: OrderView) -> bool:
    components = [line.component for line in order.lines]
    return scope.covers(machine=order.machine, components=components, supplier=order.supplier)


async def stop(request: web.Request) -> web.StreamResponse:
    """Stop buying within the scope that was shown."""
    kind, key, reason = await _posted(request)
    outcome = await request.app[CONTEXT].actions.stop(kind, key, reason, request[ACCOUNT].id, METHOD)
    if not outcome.ok:
        return await _confirm(request, kind, key, error=outcome.message, reason=reason, status=409)
    flash(request, outcome.message)
    raise web.HTTPSeeOther("/")


async def ask_lift(request: web.Request) -> web.Response:
    """Show the stop that would be lifted, with the form that lifts it."""
    kind, key = _asked(request.query.get("scope", ""), request.query.get("key", ""))
    return _lift(request, kind, key)


def _lift(request: web.Request, kind: str, key: str, *, error: str = "", status: int = 200) -> web.Response:
    halt = next((each for each in request[STOPS] if (each.scope, each.key) == (kind, key)), None)
    if halt is None:
        raise web.HTTPNotFound
    return page(request, "stop_lift.html", status=status, halt=halt, error=error)


async def lift(request: web.Request) -> web.StreamResponse:
    """Lift the stop that was shown."""
    kind, key, reason = await _posted(request)
    outcome = await request.app[CONTEXT].actions.resume(kind, key, reason, request[ACCOUNT].id, METHOD)
    if not outcome.ok:
        return _lift(request, kind, key, error=outcome.message, status=409)
    flash(request, outcome.message)
    raise web.HTTPSeeOther("/")


async def acknowledge(request: web.Request) -> web.StreamResponse:
    """Say that an alarm was seen."""
    alarm = request.match_info["alarm"]
    outcome = await request.app[CONTEXT].actions.acknowledge(alarm, "", request[ACCOUNT].id, METHOD)
    flash(request, outcome.message, ok=outcome.ok)
    raise web.HTTPSeeOther("/")


async def _posted(request: web.Request) -> tuple[str, str, str]:
    posted = await request.post()
    kind, key = _asked(str(posted.get("scope", "")), str(posted.get("key", "")))
    return kind, key, str(posted.get("reason", ""))[: forms.NOTE_MAX]


def _asked(kind: str, key: str) -> tuple[str, str]:
    """Return the scope that an address or a form names. Raises 404 when that is none."""
    scope = _scope(kind[:SCOPE_MAX], key[:SCOPE_MAX])
    return str(scope.kind), scope.key


def _scope(kind: str, key: str) -> Scope:
    try:
        return Scope(ScopeKind(kind), key)
    except ValueError:
        raise web.HTTPNotFound from None
