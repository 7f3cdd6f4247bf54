"""What every request passes before a page sees it. Refused here, nothing was read or changed.

    host      the Host header is one that the site named: a page elsewhere that points its own name at us gets nothing
    session   nobody but a named person who signed in sees anything; what is public is listed below
    form      whatever changes something is a POST of our own page: same origin, and the session's form token
    headers   the browser may load nothing from elsewhere, run no inline script, and put us in no frame

GET never changes anything but a session's last use.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from gettext import gettext as _
from typing import Final

import structlog
from aiohttp import hdrs, web
from sqlalchemy.exc import DBAPIError

from gateway.actions import Right
from gateway.web import accounts
from gateway.web.accounts import Account, Session
from gateway.web.context import CONTEXT, Network, WebContext
from marketplace.audit.actor import Actor, ActorKind

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FORM_BYTES_MAX: Final = 64 * 1024
"""The largest form has a note of 4,000 characters; nobody uploads anything here."""
PUBLIC: Final = frozenset({"sign_in", "sign_in_link", "use_link", "static", "healthz", "livez", "readyz", "metrics"})
"""Routes without a session, by name; each defends itself."""
BEFORE_SESSION: Final = frozenset({"use_link"})
"""Forms before there is a session: the link's own secret stands in for the form token."""

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not `no-referrer`: with that a browser sends `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

SESSION = web.RequestKey("session", Session)
ACCOUNT = web.RequestKey("account", Account)


def cookie_name(context: WebContext) -> str:
    """Return the cookie's name: over TLS a browser then refuses it from any other host or path."""
    return "__Host-toolcrib" if context.secure else "toolcrib"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every response, streams and errors too."""
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if request.app[CONTEXT].secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"


def host_of(header: str) -> str:
    """Return the name in a Host header, without its port and in lower case."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer only to the names that the site gave us."""
    if host_of(request.headers.get(hdrs.HOST, "")) not in request.app[CONTEXT].hosts:
        raise web.HTTPMisdirectedRequest(text=_("This address is not one of the site's; add it to web.hosts."))
    if not may_call(request.remote, request.app[CONTEXT].peers):
        raise web.HTTPForbidden(
            text=_("Only the site's trusted proxies may ask here in the clear (web.trusted_proxies).")
        )
    return await handler(request)


def may_call(remote: str | None, peers: Sequence[Network]) -> bool:
    """Return whether a computer may ask: this one always, others only if they are named; no names let in all."""
    if not peers:
        return True
    try:
        address = ipaddress.ip_address((remote or "").removeprefix("::ffff:"))
    except ValueError:
        return False
    return address.is_loopback or any(address in network for network in peers)


@web.middleware
async def check_session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who has signed in; send others to the sign-in page."""
    if request.match_info.http_exception is not None:
        return await handler(request)
    opened = await _open_session(request)
    if opened is not None:
        request[SESSION] = opened
        request[ACCOUNT] = request.app[CONTEXT].people[opened.person]
    elif request.match_info.route.name not in PUBLIC:
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and not request.path.startswith("/events"):
            raise web.HTTPSeeOther("/sign-in")
        raise web.HTTPUnauthorized(text=_("You are not signed in, or your session has ended. Nothing was changed."))
    return await handler(request)


async def _open_session(request: web.Request) -> Session | None:
    context = request.app[CONTEXT]
    secret = request.cookies.get(cookie_name(context), "")
    if not secret:
        return None
    now = context.wall_clock()
    async with context.spend.read() as tx:
        opened = await accounts.session_of(tx, context.owner, secret, now)
    if opened is None or opened.person not in context.people:
        return None
    if now - opened.seen_at >= accounts.TOUCH_EVERY:
        await _touch(context, opened, now)
    return opened


async def _touch(context: WebContext, opened: Session, now: datetime) -> None:
    try:
        async with context.spend.write() as tx:
            await accounts.touch(tx, opened, now)
    except DBAPIError:  # a full disk stops buying, not looking: the session then just ends sooner
        log.warning("the last use of a session could not be noted", person=opened.person)


@web.middleware
async def check_form(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a POST through only from our own page, in this session."""
    if request.method != hdrs.METH_POST or request.match_info.http_exception is not None:
        return await handler(request)
    if not from_own_page(request):
        raise web.HTTPForbidden(text=_("This form did not come from the gateway's own page. Nothing was changed."))
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text=_("Only forms of the gateway's own page are taken."))
    form = await request.post()
    if request.match_info.route.name not in BEFORE_SESSION:
        token = form.get("form_token", "")
        if not isinstance(token, str) or not request[SESSION].accepts(token):
            raise web.HTTPForbidden(
                text=_("This form has expired. Nothing was changed; load the page again and repeat.")
            )
    return await handler(request)


def from_own_page(request: web.Request) -> bool:
    """Return whether the browser says that our own page sent this: by Origin, else by Sec-Fetch-Site."""
    context = request.app[CONTEXT]
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    own = f"{'https' if context.secure else 'http'}://{request.headers.get(hdrs.HOST, '')}"
    return origin == own or (context.public_origin != "" and origin == context.public_origin)


def require(request: web.Request, right: Right) -> Account:
    """Return who asks, if the config grants them this right. Raises 403."""
    account = request[ACCOUNT]
    if not account.can(right):
        raise web.HTTPForbidden(
            text=_("{name} may not do this: the config does not grant “{right}”. Nothing was changed.").format(
                name=account.name, right=right.value
            )
        )
    return account


def is_local(request: web.Request) -> bool:
    """Return whether this machine itself asks, and not a proxy on it for somebody else."""
    forwarded = {"X-Forwarded-For", "Forwarded"} & set(request.headers)
    return not forwarded and (request.remote or "").removeprefix("::ffff:") in ("127.0.0.1", "::1")


def bears(request: web.Request, token: str) -> bool:
    """Return whether the request bears a token; an empty token is borne by nobody."""
    given = request.headers.get(hdrs.AUTHORIZATION, "")
    return token != "" and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def signed_in(person: str) -> Actor:
    """Return a person as an actor of the page."""
    return Actor(ActorKind.PERSON, person, "web")
