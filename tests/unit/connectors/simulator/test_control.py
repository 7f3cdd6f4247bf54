"""The control answers whoever holds the token of this start, on loopback, and nobody else."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from connectors.simulator.control import (
    FILE,
    Body,
    Control,
    ControlRefused,
    ControlServer,
    ControlUnreachable,
)
from connectors.simulator.errors import PortInUse


async def echo(body: Body) -> Body:
    if body.get("refuse"):
        raise ControlRefused("not today")
    return {"heard": body}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ControlServer]:
    control = ControlServer(tmp_path, {("POST", "/echo"): echo})
    await control.start()
    yield control
    await control.stop()


@pytest.mark.usefixtures("server")
async def test_the_holder_of_the_token_is_answered(tmp_path: Path) -> None:
    async with Control(tmp_path) as control:
        assert await control.call("POST", "/echo", {"machine": "mill"}) == {"heard": {"machine": "mill"}}


@pytest.mark.usefixtures("server")
async def test_a_refusal_comes_back_in_words(tmp_path: Path) -> None:
    async with Control(tmp_path) as control:
        with pytest.raises(ControlRefused, match="not today"):
            await control.call("POST", "/echo", {"refuse": True})


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guessed"}, {"Authorization": "Bearer ü"}])
async def test_without_the_token_nothing_is_done(tmp_path: Path, headers: dict[str, str]) -> None:
    url = json.loads((tmp_path / FILE).read_text())["url"]
    async with ClientSession() as session, session.post(f"{url}/echo", json={}, headers=headers) as reply:
        assert reply.status == 401


@pytest.mark.usefixtures("server")
async def test_only_the_owner_can_read_the_token_and_only_loopback_is_bound(tmp_path: Path) -> None:
    file = tmp_path / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["url"].startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[1]", 409), (b" " * 5000, 413)])
async def test_a_body_that_is_no_small_object_is_refused(tmp_path: Path, body: bytes, status: int) -> None:
    address = json.loads((tmp_path / FILE).read_text())
    headers = {"Authorization": f"Bearer {address['token']}", "Content-Type": "application/json"}
    post = ClientSession(address["url"], headers=headers)
    async with post as session, session.post("/echo", data=body) as reply:
        assert reply.status == status


async def test_a_stopped_control_leaves_no_token_behind(server: ControlServer, tmp_path: Path) -> None:
    await server.stop()
    assert not (tmp_path / FILE).exists()
    with pytest.raises(ControlUnreachable, match="no simulator is running"):
        async with Control(tmp_path):
            pass


async def test_a_control_that_died_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    (tmp_path / FILE).write_text(json.dumps({"url": f"http://127.0.0.1:{port}", "token": "t"}))
    async with Control(tmp_path) as control:
        with pytest.raises(ControlUnreachable, match="does not answer"):
            await control.call("GET", "/state")


async def test_a_damaged_address_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ControlUnreachable, match="cannot be read"):
        async with Control(tmp_path):
            pass


async def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use"):
            await ControlServer(tmp_path, {}, port=port).start()
