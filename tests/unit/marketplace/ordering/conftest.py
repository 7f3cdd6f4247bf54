"""A plant that may buy from one honest supplier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from gateway.storage import Storage
from marketplace.store import Owner
from tests.unit.marketplace.fakes import AcceptingSupplier, Clock, Plant

MakePlant = Callable[..., Awaitable[Plant]]


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def make_plant(spend: Storage, owner: Owner, clock: Clock) -> MakePlant:
    """Build a plant with suppliers of the given classes, under a policy that lets it buy."""

    async def make(*kinds: Any, policy: dict[str, Any] | None = None, **options: Any) -> Plant:
        suppliers = [
            kind(f"supplier-{index}", clock, **options) for index, kind in enumerate(kinds or (AcceptingSupplier,), 1)
        ]
        plant = Plant(spend, owner, clock, {supplier.name: supplier for supplier in suppliers})
        await plant.apply_policy(**(policy or {}))
        return plant

    return make
