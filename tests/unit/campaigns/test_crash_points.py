import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.issuing import issue
from marketplace.ordering.states import OrderState
from marketplace.settings import SecretReference
from marketplace.suppliers.http import HttpSettings, HttpSupplier
from marketplace.suppliers.outbound import client_session
from marketplace.suppliers.supplier import OutcomeUnknown
from tests.campaigns.crash.points import CutStorage, around, call_of, named

BYTES = b'{"the": "order"}'
WHO = Actor(ActorKind.GATEWAY, "G1", "test")


class Passed:
    """A strike that only writes down what it passes."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def passing(self, *names: str) -> None:
        self.names += names


@pytest.fixture
def passed() -> Passed:
    return Passed()


@pytest.fixture
def cut(spend, passed):
    return CutStorage(spend, passed)


async def tell(tx, owner, now, *kinds: str) -> None:
    for kind in kinds:
        await log.append(tx, owner, kind, "TC-G1-000001-A", WHO, {}, now)


async def test_a_transaction_is_named_by_everything_that_it_says(cut, passed, owner, now):
    async with cut.write() as tx:
        await tell(tx, owner, now, "order.approved", "budget.committed")
        assert passed.names == []
    kinds = ["budget.committed", "order.approved"]
    assert passed.names == [f"before-commit:{kind}" for kind in kinds] + [f"after-commit:{kind}" for kind in kinds]


async def test_a_transaction_is_not_named_by_what_earlier_ones_said(cut, passed, spend, owner, now):
    async with spend.write() as tx:
        await tell(tx, owner, now, "life.began")
    async with cut.write() as tx:
        await tell(tx, owner, now, "order.approved")
    passed.names.clear()
    async with cut.write():
        pass
    assert passed.names == ["before-commit:bookkeeping", "after-commit:bookkeeping"]


async def test_a_transaction_that_fails_passes_nothing(cut, passed, owner, now):
    with suppress(RuntimeError):
        async with cut.write() as tx:
            await tell(tx, owner, now, "order.approved")
            raise RuntimeError
    assert passed.names == []


def test_every_state_of_an_order_has_points_and_every_point_one_name():
    points = named()
    assert len(points) == len(set(points))
    assert {f"{side}-commit:order.{state}" for state in OrderState for side in ("before", "after")} <= set(points)


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("POST", "/orders", "place"),
        ("POST", "/quotes", "quote"),
        ("POST", "/orders/TC-G1-000001-A/cancel", "cancel"),
        ("GET", "/orders/TC-G1-000001-A", "find"),
        ("GET", "/orders/TC-G1-000001-A/documents", "documents"),
    ],
)
def test_a_request_is_known_by_its_path(method, path, call):
    assert call_of(method, path) == call


class Eavesdropper:
    """A supplier's end of the line in a thread of its own, so that it hears while the buyer's loop stands still."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.heard = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        connection, _address = self._listening.accept()
        with connection:
            said = b""
            while BYTES not in said and (more := connection.recv(65536)):
                said += more
            if BYTES in said:
                self.heard.set()

    def close(self) -> None:
        self._thread.join()
        self._listening.close()


class AtTheMoment:
    """A strike that looks, at each point that it passes, whether the order has been heard at the other end."""

    def __init__(self, line: Eavesdropper) -> None:
        self.heard: dict[str, bool] = {}
        self._line = line

    def passing(self, *names: str) -> None:
        for name in names:
            wait_s = 5.0 if name == "place:request-left" else 0.05
            self.heard[name] = self._line.heard.wait(wait_s)


async def test_before_the_first_byte_nobody_heard_the_order_and_once_the_request_left_it_cannot_be_taken_back():
    line = Eavesdropper()
    strike = AtTheMoment(line)
    token = SecretReference(file=Path("nowhere"))
    settings = HttpSettings(adapter="http", name="Mute", url=f"http://127.0.0.1:{line.port}", token=token)
    now = datetime(2026, 3, 2, tzinfo=UTC)
    permit = issue(
        id="permit-1",
        supplier="mute",
        reference="TC-G1-000001-A",
        key="key-1",
        order_hash="0" * 64,
        request_bytes=BYTES,
        ends_at=now + timedelta(minutes=1),
    )
    async with client_session(allow_private_targets=True) as session:
        made = HttpSupplier("mute", settings, session=session, token="secret", clock=lambda: now)
        with pytest.raises(OutcomeUnknown):
            await around(strike).supplier(made).place(permit)
    line.close()
    assert strike.heard == {"place:before-first-byte": False, "place:request-left": True}
