"""Templates to pages: escaped always, undefined names never silent, words through gettext, figures through i18n."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from gettext import gettext, ngettext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from gateway import i18n
from gateway.actions import Right
from gateway.halting import LIFTING
from gateway.views import HaltView
from gateway.web import charts, words
from gateway.web.context import CONTEXT, WebContext
from gateway.web.security import ACCOUNT, SESSION
from marketplace import sentences
from marketplace.audit.explain import KEYS
from marketplace.sentences import sentence

if TYPE_CHECKING:
    from jinja2 import Environment

HERE: Final = Path(__file__).parent
TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One of our own small files, read once: its bytes, type and the hash that stands in its address."""

    body: bytes
    content_type: str
    version: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Return every static file by name."""
    found = {}
    for path in sorted((HERE / "static").iterdir()):
        body = path.read_bytes()
        found[path.name] = StaticFile(body, TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:16])
    return found


def static_path(name: str) -> str:
    """Return the address of a static file; it changes with the file, so browsers may keep it for ever."""
    return f"/static/{name}?v={static_files()[name].version}"


@cache
def environment() -> Environment:
    """Return the one environment of all templates; jinja2 is loaded with the first page that somebody asks for."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # looked up at each call, so that the language which `activate` chose counts
    made.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it at run time
        lambda text: gettext(text), lambda one, many, n: ngettext(one, many, n), newstyle=True
    )
    for name in ("amount", "figure", "number", "percent", "quantity", "span", "unit_price"):
        made.filters[name] = getattr(i18n, name)
    for name in words.__all__:
        made.filters[name] = getattr(words, name)
    made.globals.update(static=static_path, meter=charts.meter, Right=Right, sentence=sentence)
    return made


@dataclass(frozen=True, slots=True)
class Flash:
    """What came of the last act, to be said once on the next page."""

    message: str
    ok: bool


class Flashes:
    """One pending message for each session, in memory: losing one loses nothing but words."""

    MOST = 256

    def __init__(self) -> None:
        self._pending: dict[str, Flash] = {}

    def put(self, session: str, message: Flash) -> None:
        """Keep a message; the oldest goes when there are too many."""
        while len(self._pending) >= self.MOST:
            del self._pending[next(iter(self._pending))]
        self._pending[session] = message

    def take(self, session: str) -> Flash | None:
        """Return the message and forget it."""
        return self._pending.pop(session, None)


STOPS = web.RequestKey("stops", list[HaltView])
"""What is stopped, as read for this request."""
FLASHES = web.AppKey("flashes", Flashes)


def flash(request: web.Request, message: str, *, ok: bool = True) -> None:
    """Say this on the next page of the session."""
    request.app[FLASHES].put(request[SESSION].form_token, Flash(message, ok))


def page(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Render a page for whoever asks."""
    context = request.app[CONTEXT]
    account, opened = request.get(ACCOUNT), request.get(SESSION)
    body = (
        environment()
        .get_template(template)
        .render(
            site=context.title,
            lang=context.language,
            path=request.path,
            account=account,
            form_token="" if opened is None else opened.form_token,
            now=context.clock(),
            speed=context.speed,
            stops=request.get(STOPS, ()),
            may_stop=account is not None and bool(account.may),
            may_lift=account is not None and any(account.can(right) for right in LIFTING),
            buying_stopped=context.buying(),
            shadows=context.shadow is not None,
            alarms_waiting=0 if account is None else _waiting(context),
            flash=None if opened is None else request.app[FLASHES].take(opened.form_token),
            **_times(context),
            **values,
        )
    )
    return web.Response(text=body, content_type="text/html", status=status)


def _waiting(context: WebContext) -> int:
    """Return how many groups of condition alarms wait for somebody."""
    return sum(bool(group.waiting) for group in context.alarms().groups)


def _times(context: WebContext) -> dict[str, Any]:
    """Return the functions that need the site's zone and time."""

    def when(moment: datetime | None) -> str:
        return "" if moment is None else i18n.when(moment, context.time_zone)

    def day(moment: datetime | None) -> str:
        return "" if moment is None else i18n.day(moment, context.time_zone)

    def distance(moment: datetime) -> str:
        return i18n.distance(moment, context.clock())

    def reach(scope: str, key: str) -> str:
        return sentences.reach(scope, context.called(key))

    def named(parameters: Mapping[str, str]) -> dict[str, str]:
        figures = i18n.figures(parameters, context.time_zone)
        return {name: context.called(value) if name in KEYS else value for name, value in figures.items()}

    def person(key: str) -> str:
        return context.people[key].name if key in context.people else key

    return {
        "when": when,
        "day": day,
        "distance": distance,
        "called": context.called,
        "person_name": person,
        "reach": reach,
        "named": named,
    }
