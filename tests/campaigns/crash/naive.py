"""The control: a buyer without intent and key, as they are written every day. It must buy twice.

It knows what it wants and writes down what it has got an answer for. What failed, timed out or was cut off by a crash
it simply sends again, since nothing tells it that it may have been taken.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marketplace.suppliers.simulator.catalogue import ITEMS
from tests.campaigns.crash import site

PREFIX = "NV-"
"""The references of its orders begin so; then comes what was wanted, and then something new for each order."""


@dataclass(frozen=True, slots=True)
class NaiveOrders:
    """What to buy and where: wants with their supplier. done: where it writes down what was answered."""

    wants: dict[str, str]
    addresses: dict[str, str]
    token: str
    done: str


def run(orders: NaiveOrders) -> None:
    """Buy everything that is not written down as bought, until it is."""
    path = Path(orders.done)
    path.touch()
    while missing := set(orders.wants) - set(path.read_text().split()):
        for want in sorted(missing):
            with suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                _buy(orders, f"{want}-{secrets.token_hex(2).upper()}", orders.wants[want])
                with path.open("a") as done:
                    done.write(want + "\n")
                    done.flush()
                    os.fsync(done.fileno())


def want_of(reference: str) -> str:
    """Return what an order of the naive buyer was for."""
    return reference.rpartition("-")[0]


def _buy(orders: NaiveOrders, reference: str, supplier: str) -> None:
    """Ask for a price and order at it. Raises whatever went wrong."""
    item, line = ITEMS[site.KINDS[supplier].item], {"number": 1, "quantity": "1", "unit": "C62"}
    what = line | {"manufacturer": item.manufacturer, "mpn": item.mpn}
    asked = {"reference": reference, "currency": "EUR", "country": "DE", "lines": [what]}
    quoted = _post(orders, supplier, "/quotes", asked)
    price = quoted["lines"][0]["unit_price"]
    total = f"{float(price) + float(quoted['freight']) + float(quoted['fees']):.2f}"
    ordered = what | {"sku": quoted["lines"][0]["sku"], "unit_price": price}
    order = {"reference": reference, "quotation": quoted["reference"], "currency": "EUR", "total": total}
    _post(orders, supplier, "/orders", order | {"lines": [ordered]})


def _post(orders: NaiveOrders, supplier: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    address = urlsplit(orders.addresses[supplier])
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=site.TIMEOUT_S)
    headers = {
        "Authorization": f"Bearer {orders.token}",
        "Content-Type": "application/json",
        "Idempotency-Key": secrets.token_hex(8),  # the API wants one; a new one each time is as good as none
    }
    try:
        connection.request("POST", path, json.dumps(body), headers)
        reply = connection.getresponse()
        answer: dict[str, Any] = json.loads(reply.read())
    finally:
        connection.close()
    if reply.status not in (200, 201):
        raise ValueError(reply.status)
    return answer
