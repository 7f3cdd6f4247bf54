"""The running gateway's local door: commands act through it, and only as a named person.

A unix socket in the data directory, open to its owner alone (0600). Whoever connects is known by the operating system
(SO_PEERCRED), and their user name must belong to a person of the config: otherwise nothing is done. What may be done
is `gateway.actions.Actions`, one address for each act; bodies are JSON, bounded and strict. Reading the status needs
no name. It knows no rule about money: who may do what is decided behind the port. The other end of the socket is
`gateway.control_client`.
"""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.actions import Actions, HandAnswer, HandReply, Outcome
from gateway.control_client import address_of
from gateway.storage import FAILURES
from maintenance.assets import Found
from maintenance.symptoms import SAID_MAX
from marketplace.authority.scopes import ScopeKind
from marketplace.money import Money

log = structlog.get_logger()

METHOD: Final = "socket"
"""By which method a person was known, as the audit log says it."""
BODY_MAX: Final = 2 * 1024 * 1024
"""Bytes: a price list by CSV is the largest thing that is sent."""
SHUTDOWN_S: Final = 0.5
"""An act that waits for a supplier is cut off then, and taken up by the next start."""
TEXT_MAX: Final = 2_000
"""Characters of a remark: a page of it."""


class ControlUnavailable(Exception):
    """The socket cannot be opened; `str()` says why and what to do."""


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


_Number = Field(pattern=r"^[A-Z0-9-]{1,20}$")
_Key = Field(min_length=1, max_length=130)
_Short = Field(default="", max_length=100)
_Remark = Field(default="", max_length=TEXT_MAX)
_Value = Field(min_length=1, max_length=64)


class Judgement(_Body):
    """A person's verdict on exactly one order, by its hash."""

    number: str = _Number
    order_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    note: str = _Remark


class Cancel(_Body):
    """An order that shall not come."""

    number: str = _Number


class Release(_Body):
    """A purchase that was set apart: an order's number, or a requisition's id."""

    subject: str = Field(pattern=r"^([A-Z0-9-]{1,20}|[0-9a-f]{32})$")


class Answer(_Body):
    """What a supplier said; `total` such as `123.45 EUR`."""

    number: str = _Number
    reply: HandReply
    supplier_reference: str = _Short
    total: str | None = Field(default=None, max_length=40)
    promised_at: AwareDatetime | None = None
    reason: str = _Remark


class Received(_Body):
    """What arrived, by line; None: everything that was ordered."""

    number: str = _Number
    quantities: dict[int, Decimal] | None = None


class Reading(_Body):
    """What a person read off a component, such as `1234 h`; `clock` names which, where a unit does not tell."""

    component: str = _Key
    value: str = _Value
    clock: str = Field(default="", max_length=64)


class Fitted(_Body):
    """A part that was fitted; `used` is what it had run before, `found` how the part before was."""

    component: str = _Key
    serial: str = _Short
    used: str | None = Field(default=None, max_length=64)
    note: str = _Remark
    found: Found | None = None


class Symptom(_Body):
    """What a person sees, hears or smells of a component."""

    component: str = _Key
    said: str = Field(min_length=1, max_length=SAID_MAX)


class Stock(_Body):
    """What is on the shelf, as counted."""

    item: str = Field(min_length=1, max_length=64)
    quantity: str = _Value


class Reach(_Body):
    """What is stopped or goes on: the plant without a key, else one machine, supplier or component."""

    scope: ScopeKind
    key: str = Field(default="", max_length=130)
    reason: str = _Remark


class Seen(_Body):
    """An alarm that somebody has seen."""

    alarm: str = Field(pattern=r"^[0-9a-f]{32}$")
    note: str = _Remark


class Shelved(_Body):
    """A condition alarm that is put aside for a span such as `8 h`, and why."""

    alarm: str = Field(pattern=r"^[0-9a-f]{32}$")
    span: str = _Value
    reason: str = _Remark


class Unshelved(_Body):
    """A condition alarm that is taken from the shelf."""

    alarm: str = Field(pattern=r"^[0-9a-f]{32}$")


class PolicyText(_Body):
    """The text of a policy file."""

    text: str = Field(max_length=1024 * 1024)


class RestoreRead(_Body):
    """A restore whose losses somebody has read; new_epoch: they are lost to the log's witnesses, too."""

    new_epoch: bool = False


class Judged(_Body):
    """A server's certificate that a person has compared, and what they say of it."""

    connection: str = Field(min_length=1, max_length=64)
    fingerprint: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    verdict: Literal["pinned", "rejected"]


class Nothing(_Body):
    """An act that needs no particulars."""


class Prices(_Body):
    """The text of a supplier's price list."""

    supplier: str = Field(min_length=1, max_length=64)
    text: str = Field(max_length=1024 * 1024)


async def _answered(actions: Actions, body: Answer, person: str) -> Outcome:
    total = None if body.total is None else Money.parse(body.total)
    promised: datetime | None = body.promised_at
    answer = HandAnswer(body.reply, body.supplier_reference, total, promised, body.reason)
    return await actions.answered(body.number, answer, person, METHOD)


@dataclass(frozen=True, slots=True)
class _Act:
    body: type[_Body]
    do: Callable[[Actions, Any, str], Awaitable[Outcome]]


ACTS: Final[Mapping[str, _Act]] = {
    "approve": _Act(Judgement, lambda a, b, who: a.approve(b.number, b.order_hash, who, b.note, METHOD)),
    "deny": _Act(Judgement, lambda a, b, who: a.deny(b.number, b.order_hash, who, b.note, METHOD)),
    "cancel": _Act(Cancel, lambda a, b, who: a.cancel(b.number, who, METHOD)),
    "release": _Act(Release, lambda a, b, who: a.release(b.subject, who, METHOD)),
    "answer": _Act(Answer, _answered),
    "received": _Act(Received, lambda a, b, who: a.received(b.number, b.quantities, who, METHOD)),
    "reading": _Act(Reading, lambda a, b, who: a.reading(b.component, b.value, who, METHOD, clock=b.clock)),
    "fitted": _Act(
        Fitted,
        lambda a, b, who: a.fitted(b.component, b.serial, b.used, b.note, who, METHOD, found=b.found or ""),
    ),
    "symptom": _Act(Symptom, lambda a, b, who: a.symptom(b.component, b.said, who, METHOD)),
    "symptom-over": _Act(Symptom, lambda a, b, who: a.symptom_over(b.component, b.said, who, METHOD)),
    "stock": _Act(Stock, lambda a, b, who: a.stock(b.item, b.quantity, who, METHOD)),
    "stop": _Act(Reach, lambda a, b, who: a.stop(b.scope, b.key, b.reason, who, METHOD)),
    "resume": _Act(Reach, lambda a, b, who: a.resume(b.scope, b.key, b.reason, who, METHOD)),
    "acknowledge": _Act(Seen, lambda a, b, who: a.acknowledge(b.alarm, b.note, who, METHOD)),
    "shelve": _Act(Shelved, lambda a, b, who: a.shelve(b.alarm, b.span, b.reason, who, METHOD)),
    "unshelve": _Act(Unshelved, lambda a, b, who: a.unshelve(b.alarm, who, METHOD)),
    "policy": _Act(PolicyText, lambda a, b, who: a.policy_apply(b.text, who, METHOD)),
    "clock": _Act(_Body, lambda a, b, who: a.clock_accept(who, METHOD)),
    "rotate-audit-key": _Act(Nothing, lambda a, b, who: a.audit_rotate(who, METHOD)),
    "trust": _Act(Judged, lambda a, b, who: a.trust(b.connection, b.fingerprint, b.verdict, who, METHOD)),
    "reload": _Act(Nothing, lambda a, b, who: a.reload(who, METHOD)),
    "prices": _Act(Prices, lambda a, b, who: a.prices(b.supplier, b.text, who, METHOD)),
    "confirm-restore": _Act(RestoreRead, lambda a, b, who: a.confirm_restore(who, METHOD, new_epoch=b.new_epoch)),
}
"""Every act by its address. Whoever adds one to `Actions` adds it here."""


@dataclass(frozen=True, slots=True)
class Door:
    """What stands behind the socket.

    persons_of: the ids of the persons whom an operating-system user stands for; the first acts unless one is named.
    links: makes a sign-in link for a person and returns its whole address; shown once, never logged.
    status: what the gateway says of itself, ready for JSON.
    sign_audit: signs the audit log as it stands; it changes nothing that anybody decides, so it needs no name.
    """

    actions: Actions
    persons_of: Callable[[str], Sequence[str]]
    links: Callable[[str], Awaitable[str]]
    status: Callable[[], Mapping[str, Any]]
    sign_audit: Callable[[], Awaitable[str]] | None = None

    def application(self) -> web.Application:
        """Return the application; it holds no state of its own."""
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_get("/status", self._status)
        app.router.add_post("/sign-in", self._sign_in)
        app.router.add_post("/sign-audit", self._sign_audit)
        app.router.add_post("/act/{name}", self._act)
        return app

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response(dict(self.status()))

    async def _sign_in(self, request: web.Request) -> web.Response:
        user, person = self._who(request)
        if person is None:
            return _refused(user)
        return web.json_response({"ok": True, "person": person, "link": await self.links(person)})

    async def _sign_audit(self, _request: web.Request) -> web.Response:
        trouble = await self.sign_audit() if self.sign_audit else _("This gateway signs no log.")
        return _answer(200, Outcome(not trouble, "AUDIT_STOPPED" if trouble else "AUDIT_SIGNED", trouble))

    async def _act(self, request: web.Request) -> web.Response:
        act = ACTS.get(request.match_info["name"])
        if act is None:
            return _answer(404, Outcome(False, "UNKNOWN_ACT", _("The gateway knows no such act.")))
        user, person = self._who(request)
        if person is None:
            return _refused(user)
        try:
            body = act.body.model_validate_json(await request.read())
            outcome = await act.do(self.actions, body, person)
        except ValidationError as error:
            return _answer(400, Outcome(False, "BAD_REQUEST", _sentence(error)))
        except ValueError as error:  # a text that is no amount or no quantity
            return _answer(400, Outcome(False, "BAD_REQUEST", str(error)))
        except FAILURES:
            log.exception("an act failed: the database", act=request.match_info["name"], person=person)
            sentence = _(
                "The database did not take it, so it may not count. Look with 'toolcrib status', then try again."
            )
            return _answer(503, Outcome(False, "STORAGE_FAILED", sentence))
        log.info("act", act=request.match_info["name"], person=person, code=outcome.code, ok=outcome.ok)
        return _answer(200, outcome)

    def _who(self, request: web.Request) -> tuple[str, str | None]:
        user = user_of(request.get_extra_info("socket"))
        persons = self.persons_of(user) if user else ()
        named = request.query.get("person")
        if named is not None:
            return user, named if named in persons else None
        return user, persons[0] if persons else None


def _answer(status: int, outcome: Outcome) -> web.Response:
    return web.json_response(outcome.as_dict(), status=status)


def _refused(user: str) -> web.Response:
    log.warning("refused", user=user, reason="no person of the config")
    sentence = _(
        "The operating-system user {user} is not that person of the config, or nobody in it, so nothing was done: "
        "give the person this os_user under people."
    )
    return _answer(403, Outcome(False, "NOBODY", sentence.format(user=repr(user or "?"))))


def _sentence(error: ValidationError) -> str:
    parts = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)[:5])
    return "; ".join(parts)


def user_of(connection: Any) -> str:
    """Return the operating-system user at the other end, as the kernel says it; empty when it cannot say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connection is None:
        return ""
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user often has no name; the config may give the number
        return str(uid)


@asynccontextmanager
async def serve(door: Door, directory: Path) -> AsyncIterator[Path]:
    """Hold the socket of a data directory open. Raises `ControlUnavailable`."""
    listening, path = _listen(directory)
    runner = web.AppRunner(door.application(), access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield path
    finally:
        await runner.cleanup()
        listening.close()
        path.unlink(missing_ok=True)


def _listen(directory: Path) -> tuple[socket.socket, Path]:
    path = directory / "control.sock"
    with address_of(directory) as address:
        _clear(path, address)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # born 0600: at no moment can another user connect
        try:
            listening.bind(address)
        except OSError as error:
            listening.close()
            reason = error.strerror or str(error)
            raise ControlUnavailable(
                _("{path} cannot be opened ({reason}); choose another storage.directory").format(
                    path=path, reason=reason
                )
            ) from error
        finally:
            os.umask(before)
    listening.setblocking(False)
    return listening, path


def _clear(path: Path, address: str) -> None:
    """Remove the socket that a killed gateway left behind; one that answers belongs to a living gateway."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ControlUnavailable(_("{path} is in the way: it is no socket of ours").format(path=path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(address)
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ControlUnavailable(
        _("another gateway is running in {directory}; stop it first").format(directory=path.parent)
    )
