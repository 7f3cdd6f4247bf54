"""A few stories at every `make test`; thousands are `python -m tests.campaigns.stateful`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.campaigns.simulation import ledger_view
from tests.campaigns.simulation.disk import healthy
from tests.campaigns.stateful.machine import MoneyCore, WatchedStore

FEW = settings(settings.default, max_examples=10, stateful_step_count=20)

TestMoneyCore = MoneyCore.TestCase
TestMoneyCore.settings = FEW


class _Overspending(WatchedStore):
    """Books more than there is room for, whenever the gateway itself has just reserved something."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as tx:
            yield tx
            cursor = healthy(self.connection)
            for (number,) in cursor.execute("SELECT number FROM purchase_order WHERE state = 'approved'").fetchall():
                ledger_view.overspend(cursor, number)


class _Careless(MoneyCore):
    store = _Overspending


def test_a_core_that_overspends_is_found():
    with pytest.raises(AssertionError, match="OVER_LIMIT"):
        run_state_machine_as_test(_Careless, settings=settings(FEW, phases=[Phase.generate]))
