"""The commands' end of the control socket: one request, one answer, nothing imported that takes time.

It tells apart that no gateway is running (`NotRunning`) from an answer that came but is no (the answer says so). It is
never known whether an act happened when the connection breaks in between: `Interrupted` says so, and the gateway's
state tells the rest.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

ADDRESS_MAX: Final = 107
"""Bytes of a unix socket's address (sockaddr_un, less its closing zero)."""
ANSWER_MAX: Final = 4 * 1024 * 1024
TIMEOUT_S: Final = 30.0
"""Longer than any act takes: the slowest waits for one durable commit behind others."""

POLL_S: Final = 0.01


class NotRunning(Exception):
    """No gateway answers in this data directory; `str()` says how to start one."""


class Interrupted(Exception):
    """The gateway went away while it answered; look at its state before doing it again."""


class Refused(Exception):
    """The gateway's answer is no; `str()` is its sentence, `code` stays the same for ever."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@contextmanager
def address_of(directory: Path) -> Iterator[str]:
    """Give the socket's address for as long as it is entered.

    A path that is too long for an address is reached through an open directory, so the socket stays where the data is.
    """
    address = str(directory / "control.sock")
    if len(os.fsencode(address)) <= ADDRESS_MAX:
        yield address
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/control.sock"
    finally:
        os.close(descriptor)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, directory: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._directory = directory

    def connect(self) -> None:
        """Connect to the socket, or raise `NotRunning`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        try:
            with address_of(self._directory) as address:
                self.sock.connect(address)
        except PermissionError as error:
            raise Refused("NOBODY", _not_yours(self._directory)) from error
        except OSError as error:
            raise NotRunning(_not_running(self._directory)) from error


def _not_running(directory: Path) -> str:
    return _("the gateway of {directory} is not running: start it with 'toolcrib run FILE'").format(directory=directory)


def _not_yours(directory: Path) -> str:
    return _("the gateway of {directory} belongs to another user; run the command as that user").format(
        directory=directory
    )


def _ask(directory: Path, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
    connection = _UnixConnection(directory)
    try:
        connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        raw = response.read(ANSWER_MAX)
        answer = json.loads(raw)
    except (OSError, http.client.HTTPException, ValueError) as error:
        sentence = _("the gateway went away before it answered; look at the state before doing it again")
        raise Interrupted(sentence) from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise Interrupted(_("the gateway's answer cannot be understood"))
    return response.status, answer


def status(directory: Path) -> dict[str, Any]:
    """Return what the gateway says of itself. Raises `NotRunning`, `Interrupted`, `Refused`."""
    return _ask(directory, "GET", "/status", None)[1]


def wait_ready(directory: Path, timeout: float, alive: Callable[[], bool] = lambda: True) -> dict[str, Any]:
    """Return the gateway's status once it is ready. Raises TimeoutError after so many seconds, or when it has ended."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and alive():
        with suppress(NotRunning, Interrupted):
            said = status(directory)
            if said.get("ready"):
                return said
        time.sleep(POLL_S)
    raise TimeoutError


def act(directory: Path, name: str, body: Mapping[str, Any], person: str | None = None) -> dict[str, Any]:
    """Do an act as the person whom our user stands for; return its outcome: ok, code, message.

    `person` says which, where the user stands for several. Raises `NotRunning`, `Interrupted`, `Refused`.
    """
    return _told(_ask(directory, "POST", f"/act/{name}{_as(person)}", json.dumps(dict(body)).encode()))


def sign_in(directory: Path, person: str | None = None) -> dict[str, Any]:
    """Return a fresh sign-in link for the person whom our user stands for. Raises as `act` does."""
    return _told(_ask(directory, "POST", f"/sign-in{_as(person)}", b"{}"))


def sign_audit(directory: Path) -> None:
    """Let the gateway sign the audit log as it stands. Raises as `act` does."""
    _told(_ask(directory, "POST", "/sign-audit", b"{}"))


def _as(person: str | None) -> str:
    return "" if person is None else f"?person={quote(person, safe='')}"


def _told(answered: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    _status, answer = answered
    if not answer.get("ok"):
        raise Refused(str(answer.get("code", "")), str(answer.get("message", "")))
    return answer
