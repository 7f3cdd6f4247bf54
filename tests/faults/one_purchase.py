"""A process that buys two bearings over HTTP and ends; its system calls are what `test_order_of_calls` reads."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path

from gateway.databases import open_databases
from marketplace.authority.policy import Mode
from marketplace.settings import SecretReference
from marketplace.store import Owner
from marketplace.suppliers.http import HttpSettings, HttpSupplier
from marketplace.suppliers.outbound import client_session
from tests.unit.marketplace.fakes import Clock, Plant


async def buy(directory: Path, url: str, token: Path, now: datetime) -> dict[str, str]:
    """Want two bearings, have somebody approve them, and return what became of it."""
    settings = HttpSettings(adapter="http", name="Kontor", account="K-1", url=url, token=SecretReference(file=token))
    clock = Clock(now)
    async with open_databases(directory) as databases, client_session(allow_private_targets=True) as session:
        supplier = HttpSupplier("kontor", settings, session=session, token=settings.token.read(directory), clock=clock)
        plant = Plant(databases.spend, Owner("northworks", "G1"), clock, {"kontor": supplier})
        await plant.apply_policy()
        await plant.want(mode=Mode.ASK)
        await plant.approve()
        row = await plant.order()
    return {"number": row.number, "state": row.state, "key": row.key, "order_hash": row.order_hash, "rule": row.rule}


if __name__ == "__main__":
    folder, address, secret, moment = sys.argv[1:]
    print(json.dumps(asyncio.run(buy(Path(folder), address, Path(secret), datetime.fromisoformat(moment)))))
