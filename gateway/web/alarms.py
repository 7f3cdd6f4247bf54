"""Condition alarms on the page: what is wrong, what to do by when, and three acts of people.

The list is in groups, the most urgent first, and works without JavaScript and on a telephone. To acknowledge names
exactly the alarms that were shown, so that nobody acknowledges what came since. Nothing here touches money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from gettext import gettext as _
from gettext import ngettext
from typing import Final

from aiohttp import web

from gateway import views
from gateway.actions import Outcome, Right
from gateway.i18n import span
from gateway.views import ConditionsView
from gateway.web import forms
from gateway.web.acts import METHOD
from gateway.web.context import CONTEXT, WebContext
from gateway.web.render import flash, page
from gateway.web.security import ACCOUNT, require
from maintenance.alarms.store import Entry, entries

GROUPS_MAX: Final = 200
"""Groups on the page; whoever has more is in a flood, and these are the most urgent."""
BENEATH_MAX: Final = 200
"""Alarms told of one group, and acknowledged by one press of a button."""
LATELY_MAX: Final = 20
SPANS: Final = (
    ("1 h", timedelta(hours=1)),
    ("8 h", timedelta(hours=8)),
    ("1 d", timedelta(days=1)),
    ("7 d", timedelta(days=7)),
    ("30 d", timedelta(days=30)),
)
"""For how long an alarm can be shelved from the page."""


@dataclass(frozen=True, slots=True)
class Lately:
    """One move out of the journal, with what it is about."""

    entry: Entry
    kind: str
    subject: str


async def show(request: web.Request) -> web.Response:
    """Show every condition alarm, and what has become of others lately."""
    context = request.app[CONTEXT]
    shown = seen(context)
    async with context.telemetry.read() as tx:
        lately = [_lately(each) for each in await entries(tx, LATELY_MAX)]
    return page(
        request,
        "alarms.html",
        shown=shown,
        groups=shown.groups[:GROUPS_MAX],
        beneath_max=BENEATH_MAX,
        lately=lately,
        spans=[(value, span(length)) for value, length in SPANS],
        may=request[ACCOUNT].can(Right.OPERATE),
    )


def seen(context: WebContext) -> ConditionsView:
    """Return the alarms as people read them."""
    return views.conditions_view(context.alarms(), context.clock(), context.called)


def _lately(entry: Entry) -> Lately:
    kind, _bar, subject = entry.alarm.partition("|")
    return Lately(entry, kind, subject)


async def acknowledge(request: web.Request) -> web.StreamResponse:
    """Acknowledge the alarms that the form names."""
    account, posted = require(request, Right.OPERATE), await request.post()
    actions = request.app[CONTEXT].actions
    named = [str(each)[:32] for each in posted.getall("alarm", [])][: BENEATH_MAX + 1]
    done = [await actions.acknowledge(each, "", account.id, METHOD) for each in named]
    _say(request, done)
    raise web.HTTPSeeOther("/alarms")


def _say(request: web.Request, done: Sequence[Outcome]) -> None:
    if len(done) == 1:
        flash(request, done[0].message, ok=done[0].ok)
        return
    count = sum(each.ok for each in done)
    sentence = ngettext("{n} alarm is acknowledged.", "{n} alarms are acknowledged.", count).format(n=count)
    refused = next((each.message for each in done if not each.ok), "")
    flash(request, f"{sentence} {refused}".strip() if done else _("No alarm was named."), ok=bool(done) and not refused)


async def shelve(request: web.Request) -> web.StreamResponse:
    """Put one alarm aside, for how long and why the form says."""
    account, posted = require(request, Right.OPERATE), await request.post()
    span_typed, reason = str(posted.get("span", ""))[:20], str(posted.get("reason", ""))[: forms.TEXT_MAX]
    actions, alarm = request.app[CONTEXT].actions, request.match_info["alarm"]
    outcome = await actions.shelve(alarm, span_typed, reason, account.id, METHOD)
    flash(request, outcome.message, ok=outcome.ok)
    raise web.HTTPSeeOther("/alarms")


async def unshelve(request: web.Request) -> web.StreamResponse:
    """Take one alarm from the shelf."""
    account, alarm = require(request, Right.OPERATE), request.match_info["alarm"]
    outcome = await request.app[CONTEXT].actions.unshelve(alarm, account.id, METHOD)
    flash(request, outcome.message, ok=outcome.ok)
    raise web.HTTPSeeOther("/alarms")
