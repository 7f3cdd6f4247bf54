"""The plant that is killed: three machines, one for each kind of supplier, all of whose parts are nearly worn out.

No machine has telemetry, as many in small plants: people say what is fitted and how long it had run, and every slot
wants its part at once. A third of the slots asks a person before it buys.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gateway.clock import PlantClock
from gateway.demo import plant
from marketplace.suppliers.simulator.catalogue import Article, Business
from marketplace.suppliers.simulator.recall import Recall

SPEED: Final = 43_200.0
"""Half a plant day in a second: goods come within seconds."""
VALID_FOR: Final = timedelta(days=6)
"""Long enough for everybody who signs at all, and over within a season for what nobody signs."""
SLOW_S: Final = 0.3
"""How long slow suppliers take, wall time; less than the longest time between a start and a kill."""
TIMEOUT_S: Final = 0.8
LEAD_TIME: Final = timedelta(hours=12)
SLOTS_PER_MACHINE: Final = 5
PRICE, DEARER = Decimal("90.00"), Decimal("99.00")
"""Who is dearer is asked in vain, until the cheapest is silent or has said no."""
NAMES: Final = ("keyed", "listed", "mute")
"""The kinds of suppliers, which are also the machines that are served by them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A supplier of a kind: what it sells best, what it recalls, and what its adapter may declare of it."""

    item: str
    recall: Recall
    confirms_after: timedelta
    declared: Mapping[str, str | None]


KINDS: Final[Mapping[str, Kind]] = {
    "keyed": Kind(
        "filter-10um",
        Recall(keys=timedelta(days=30)),
        timedelta(hours=3),
        {"idempotency_key": "30 d", "lookup_window": None},
    ),
    "listed": Kind(
        "seal-kit-80",
        Recall(keys=None, lookup_lag=timedelta(hours=6)),
        timedelta(hours=3),
        {"lookup_window": "60 h"},  # its index lags six hours; the rest is for a slow order that is still on its way
    ),
    "mute": Kind("coolant-20l", Recall(keys=None, looks_up=False), timedelta(0), {"lookup_window": None}),
}


def business(name: str) -> Business:
    """Return the business behind a kind: every item, made on order and there half a day later; its own cheapest."""
    articles = {
        kind.item: Article(kind.item, ((1, PRICE if own == name else DEARER),), LEAD_TIME, exact=True)
        for own, kind in KINDS.items()
    }
    return Business(
        key=name,
        name=name.capitalize(),
        articles=articles,
        freight=Decimal("9.50"),
        free_from=Decimal(500),
        small_order=Decimal(0),
        small_order_fee=Decimal(0),
        spread=0.0,
        tardiness=0.0,
        confirms_after=KINDS[name].confirms_after,
        valid_for=VALID_FOR,
    )


def clock() -> PlantClock:
    """Return the clock of a season that begins now."""
    return PlantClock(datetime(2026, 3, 2, tzinfo=UTC), time.time(), SPEED)


def slots() -> list[str]:
    """Return every component, as `machine/component`."""
    return [f"{machine}/slot-{number}" for machine in NAMES for number in range(SLOTS_PER_MACHINE)]


def write_config(path: Path, addresses: Mapping[str, str], token: Path) -> None:
    """Write the site's config for suppliers that serve at these addresses."""
    suppliers = {
        name: {
            "adapter": "http",
            "name": name.capitalize(),
            "account": "K-20991",
            "url": address,
            "token": {"file": str(token)},
            "timeout": f"{TIMEOUT_S} s",
            **KINDS[name].declared,
        }
        for name, address in addresses.items()
    }
    factory = {"machines": {}, "opcua_url": "", "fingerprint": "", "device_ids": {}}
    around = plant.Surroundings(factory, suppliers, getpass.getuser(), 0)
    machines = {name: {"name": name.capitalize(), "components": _components(name)} for name in NAMES}
    document = plant.config(around, machines) | {"connections": {}, "suppliers": suppliers}
    if "alarms" in document:  # half a plant day is a second: nobody is late for a season
        document["alarms"] = {"acknowledge_within": {"default": "36500 d"}}
    plant.write(path, document, "A plant that loses power all the time.")


def _components(machine: str) -> dict[str, Any]:
    component = {
        "name": "Slot",
        "rated_life": "1000 h",
        "wear": {"by": "usage", "shape": 6},
        "job": {"title": "Change it", "lines": {"it": {"item": KINDS[machine].item, "quantity": 1, "kind": "part"}}},
        "buying": {"lead_time": "5 d", "price": "90 EUR", "standstill": "100 EUR/h"},
    }
    return {f"slot-{number}": dict(component) for number in range(SLOTS_PER_MACHINE)}


def policy() -> dict[str, Any]:
    """Return the policy that is applied: everything is known, and money is not what stops a season."""
    usual = plant.policy()
    asked = {slot: "ask" for number, slot in enumerate(slots()) if number % 3 == 2}
    ours: dict[str, Any] = {
        "modes": {"default": "buy", **asked},
        "window": {"days": 30, "per_machine": "4000000 EUR"},
        "known": {name: [kind.item for kind in KINDS.values()] for name in KINDS},
    }
    if "limits" in usual:
        ours["limits"] = [{"scope": "plant", "per": "month", "amount": "9000000 EUR"}]
    return usual | ours
