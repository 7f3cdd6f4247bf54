"""The web application: every route with its method, and the server that carries it.

GET shows, POST acts; a route that acts has no GET, so a link can never decide. The server writes no access log of its
own: addresses may hold a sign-in link, and what mattered is in the audit.
"""

from __future__ import annotations

import ssl
from gettext import gettext as _
from typing import Final

import structlog
from aiohttp import web

from gateway.storage import FAILURES
from gateway.web import acts, alarms, api, entry, pages, shadow, stops, tags
from gateway.web.context import CONTEXT, WebContext
from gateway.web.render import FLASHES, Flashes, page
from gateway.web.security import (
    FORM_BYTES_MAX,
    Handler,
    add_headers,
    check_form,
    check_host,
    check_session,
)

log = structlog.get_logger()

SHUTDOWN_S: Final = 1.0
"""Streams are ended at once; whoever is in the middle of a form gets this long. The whole gateway stops within five."""


def create_app(context: WebContext) -> web.Application:
    """Return the application for a gateway."""
    app = web.Application(
        middlewares=[show_errors, check_host, check_session, check_form, stops.see_stops],
        client_max_size=FORM_BYTES_MAX,
    )
    app[CONTEXT], app[api.STREAMS], app[FLASHES] = context, set(), Flashes()
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(api.end_streams)
    app.add_routes(
        [
            web.get("/", pages.inbox),
            web.get("/machines", pages.machines),
            web.get("/machines/{machine}", pages.machine),
            web.get("/machines/{machine}/{component}", pages.component),
            web.post("/machines/{machine}/{component}/symptom", acts.symptom),
            web.post("/machines/{machine}/{component}/symptom/over", acts.symptom_over),
            web.get("/machines/{machine}/tags/{tag}", tags.tag),
            web.get("/orders", pages.orders),
            web.get("/orders/{number}", pages.order),
            web.get("/orders/{number}/decide", pages.decide),
            web.post("/orders/{number}/approve", acts.approve),
            web.post("/orders/{number}/deny", acts.deny),
            web.post("/orders/{number}/cancel", acts.cancel),
            web.post("/release/{subject}", acts.release),
            web.get("/orders/{number}/received", acts.counted),
            web.post("/orders/{number}/received", acts.counted),
            web.get("/orders/{number}/answer", acts.answer),
            web.post("/orders/{number}/answer", acts.answer),
            web.get("/stop", stops.choose),
            web.post("/stop", stops.stop),
            web.get("/stop/confirm", stops.confirm),
            web.get("/stop/lift", stops.ask_lift),
            web.post("/stop/lift", stops.lift),
            web.post("/alarms/{alarm}/acknowledge", stops.acknowledge),
            web.get("/alarms", alarms.show),
            web.post("/alarms/acknowledge", alarms.acknowledge),
            web.post("/alarms/{alarm}/shelve", alarms.shelve),
            web.post("/alarms/{alarm}/unshelve", alarms.unshelve),
            web.get("/shadow", shadow.show),
            web.get("/audit", pages.audit),
            web.post("/audit/verify", acts.verify_audit),
            web.get("/enter", acts.enter),
            web.get("/enter/reading", acts.reading),
            web.post("/enter/reading", acts.reading),
            web.get("/enter/fitted", acts.fitted),
            web.post("/enter/fitted", acts.fitted),
            web.get("/enter/stock", acts.stock),
            web.post("/enter/stock", acts.stock),
            web.get("/enter/received", acts.received),
            web.get("/events", api.events),
            web.post("/sign-out", entry.leave),
            web.get("/sign-in", entry.show_sign_in, name="sign_in"),
            web.get("/sign-in/{secret}", entry.show_link, name="sign_in_link"),
            web.post("/sign-in/{secret}", entry.use_link, name="use_link"),
            web.get("/static/{name}", api.static, name="static"),
            web.get("/healthz", api.healthz, name="healthz"),
            web.get("/livez", api.healthz, name="livez"),
            web.get("/readyz", api.readyz, name="readyz"),
            web.get("/metrics", api.metrics, name="metrics"),
        ]
    )
    return app


async def serve(context: WebContext, bind: str, port: int, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    """Listen; the caller cleans the runner up. `runner.addresses` says where. Raises OSError when it cannot."""
    runner = web.AppRunner(create_app(context), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, port, ssl_context=tls).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


@web.middleware
async def show_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show a refusal or a failure as a page: what happened, what follows, what to do next."""
    try:
        return await handler(request)
    except (web.HTTPRedirection, ConnectionResetError):  # sent on, or gone: there is nobody to show a page to
        raise
    except web.HTTPException as error:
        title, message = _refusal(error)
        response = page(request, "error.html", status=error.status, title=title, message=message)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except FAILURES:
        log.exception("a page could not be made: the database", route=_route(request))
        title = _("The database did not answer")
        message = _("Nothing was changed by this request. Look at the gateway's log and at the disk, then try again.")
        return page(request, "error.html", status=503, title=title, message=message)
    except Exception:
        log.exception("a page could not be made", route=_route(request))
        title = _("This page could not be shown")
        message = _(
            "The fault is in the program and stands in its log. What the gateway does goes on without the page; "
            "look at the order or the inbox to see whether your last step counted."
        )
        return page(request, "error.html", status=500, title=title, message=message)


def _route(request: web.Request) -> str:
    """The pattern of the address, never the address: that may hold a sign-in link."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _refusal(error: web.HTTPException) -> tuple[str, str]:
    said = {
        404: (_("There is nothing here"), _("The order, machine or page does not exist. It may have been renamed.")),
        405: (_("This address only acts"), _("Nothing was changed. Acting takes a button of the gateway's own page.")),
        413: (_("Too much"), _("What was sent is larger than any form here. Nothing was changed.")),
        401: (_("Please sign in"), error.text or ""),
        403: (_("This was refused"), error.text or ""),
    }.get(error.status)
    return said or (_("This was refused"), error.text or error.reason)
