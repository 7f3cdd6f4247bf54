from contextlib import suppress

import pytest

from marketplace.audit import log
from marketplace.audit.actor import Actor, ActorKind
from marketplace.ordering.states import OrderState
from tests.campaigns.crash.points import CutStorage, call_of, named

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
