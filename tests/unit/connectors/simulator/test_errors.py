"""What cannot be listened on is said before anything is started."""

from __future__ import annotations

import socket

import pytest

from connectors.simulator.errors import PortInUse, SimulatorError, claim


def test_a_free_port_can_be_claimed_again_and_again() -> None:
    claim("127.0.0.1", 0)
    claim("127.0.0.1", 0)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            claim("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(SimulatorError, match=r"cannot listen on 192\.0\.2\.1:0") as caught:
        claim("192.0.2.1", 0)
    assert not isinstance(caught.value, PortInUse)
