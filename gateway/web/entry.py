"""Signing in and out. Looking at a link shows a button; only pressing it uses the link up, so previews cannot."""

from __future__ import annotations

from gettext import gettext as _

import structlog
from aiohttp import web

from gateway.web import accounts
from gateway.web.context import CONTEXT
from gateway.web.render import page
from gateway.web.security import ACCOUNT, SESSION, cookie_name, signed_in
from marketplace.audit.log import append

log = structlog.get_logger()


async def show_sign_in(request: web.Request) -> web.Response:
    """Say how to get a link."""
    if ACCOUNT in request:
        raise web.HTTPSeeOther("/")
    return page(request, "sign_in.html", person=None)


async def show_link(request: web.Request) -> web.Response:
    """Show whose link this is, with the button that uses it."""
    context = request.app[CONTEXT]
    async with context.spend.read() as tx:
        person = await accounts.person_of_link(tx, context.owner, request.match_info["secret"], context.wall_clock())
    if person is None or person not in context.people:
        return _spent(request)
    return page(request, "sign_in.html", person=context.people[person])


async def use_link(request: web.Request) -> web.StreamResponse:
    """Use the link up and open a session."""
    context, secret = request.app[CONTEXT], request.match_info["secret"]
    async with context.spend.write() as tx:
        opened = await accounts.sign_in(tx, context.owner, secret, context.wall_clock())
        if opened is None or opened.person not in context.people:
            return _spent(request)
        actor = signed_in(opened.person)
        await append(tx, context.owner, "session.opened", opened.person, actor, {}, context.clock())
    log.info("signed in", person=opened.person)
    response = web.HTTPSeeOther("/")
    response.set_cookie(
        cookie_name(context), opened.secret, httponly=True, samesite="Strict", secure=context.secure, path="/"
    )
    raise response


async def leave(request: web.Request) -> web.StreamResponse:
    """End the session."""
    context, opened = request.app[CONTEXT], request[SESSION]
    async with context.spend.write() as tx:
        await accounts.sign_out(tx, opened)
        actor = signed_in(opened.person)
        await append(tx, context.owner, "session.closed", opened.person, actor, {}, context.clock())
    response = web.HTTPSeeOther("/sign-in")
    response.del_cookie(cookie_name(context), httponly=True, samesite="Strict", secure=context.secure, path="/")
    raise response


def _spent(request: web.Request) -> web.Response:
    return page(
        request,
        "error.html",
        status=410,
        title=_("This link no longer works"),
        message=_(
            "A sign-in link works once and ends after ten minutes. Nobody was signed in. "
            "A new one is printed on the gateway by: toolcrib sign-in"
        ),
    )
