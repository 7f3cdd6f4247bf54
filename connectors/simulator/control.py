"""The simulator's own loopback control, and its client.

It binds to 127.0.0.1 only and wants a bearer token made afresh at every start. Address and token stand in
`control.json` of the state directory, readable by its owner alone: whoever may read it may act on the machines. That is
the technician and the driver of a recording, never a gateway.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from gettext import gettext as _
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from connectors.simulator.errors import SimulatorError, claim
from connectors.simulator.identity import write_private

Body = dict[str, Any]
Route = Callable[[Body], Awaitable[Body]]
FILE = "control.json"
_LOOPBACK = "127.0.0.1"
_LARGEST_BODY = 4096  # bytes; an act names a machine and a component
_PATIENCE_S = 30  # wall; bringing a server back takes asyncua a few seconds


class ControlRefused(SimulatorError):
    """The simulator understood and will not: an unknown machine, or a step out of turn."""


class ControlUnreachable(SimulatorError):
    """No simulator runs on this state directory, or it does not answer."""


class ControlServer:
    """Serves acts by `(method, path)`; an act raises ControlRefused to say no."""

    def __init__(self, state: Path, routes: Mapping[tuple[str, str], Route], *, port: int = 0) -> None:
        """Describe the control; it listens from `start`."""
        self._file = state / FILE
        self._routes = routes
        self._port = port
        self._token = secrets.token_urlsafe(32)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen and leave address and token in the state directory. Raises PortInUse, SimulatorError."""
        claim(_LOOPBACK, self._port)
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._only_with_token])
        for (method, path), route in self._routes.items():
            application.router.add_route(method, path, _handler(route))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, _LOOPBACK, self._port).start()
        except OSError as error:
            await runner.cleanup()
            message = _("cannot listen on {host}:{port}: {reason}")
            raise SimulatorError(message.format(host=_LOOPBACK, port=self._port, reason=error)) from error
        self._runner = runner
        self._port = runner.addresses[0][1]
        address = {"url": f"http://{_LOOPBACK}:{self._port}", "token": self._token}
        write_private(self._file, json.dumps(address).encode())

    async def stop(self) -> None:
        """Stop listening; the token is worth nothing from here on."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._file.unlink(missing_ok=True)
            await runner.cleanup()

    @web.middleware
    async def _only_with_token(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "").encode()
        if not secrets.compare_digest(shown, f"Bearer {self._token}".encode()):
            return web.json_response({"error": "no valid token"}, status=401)
        return await handler(request)


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                raise ControlRefused("the body is not a JSON object")
            return web.json_response(await route(body))
        except json.JSONDecodeError:
            return web.json_response({"error": "the body is not JSON"}, status=400)
        except SimulatorError as refusal:
            return web.json_response({"error": str(refusal)}, status=409)

    return handle


class Control:
    """A conversation with a running simulator's control, found by its state directory."""

    def __init__(self, state: Path) -> None:
        """Remember where the simulator keeps its state; it is looked up on entering."""
        self._state = state
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Find the simulator. Raises ControlUnreachable."""
        url, token = _address(self._state)
        headers = {"Authorization": f"Bearer {token}"}
        self._session = ClientSession(url, headers=headers, timeout=ClientTimeout(total=_PATIENCE_S), trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, path: str, body: Body | None = None) -> Body:
        """Act, and return what the simulator answered. Raises ControlRefused, ControlUnreachable."""
        assert self._session is not None, "use it as an async context manager"
        try:
            async with self._session.request(method, path, json=body, allow_redirects=False) as reply:
                answer = await reply.json()
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise ControlUnreachable(_("the simulator does not answer: {reason}").format(reason=error)) from error
        if reply.status != 200:
            raise ControlRefused(str(answer.get("error", reply.status)))
        return dict(answer)


def _address(state: Path) -> tuple[str, str]:
    try:
        found = json.loads((state / FILE).read_text())
        return str(found["url"]), str(found["token"])
    except FileNotFoundError as error:
        message = _("no simulator is running on {state}")
        raise ControlUnreachable(message.format(state=state)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = _("{file} cannot be read: {reason}")
        raise ControlUnreachable(message.format(file=state / FILE, reason=error)) from error
