"""The demo's plant as a config and a policy: what an engineer of such a hall would have written.

The machines are those of `connectors.simulator.machines.shopfloor`, the suppliers those of the simulated market, and
one supplier who is asked by hand. Only addresses, ports and the pinned certificate come from the running simulators.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from marketplace.suppliers.simulator.catalogue import BUSINESSES, ITEMS
from marketplace.suppliers.simulator.market import MarketReady, supplier_entries

SUPPLIERS = tuple(business.key for business in BUSINESSES)
PERSON = "demo"
TECHNICIAN = "tom"
TIME_ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the simulators are, as they said when they were ready.

    factory: the addresses that `toolcrib simulate factory` prints; suppliers: the config entries of the market.
    os_user: who runs the demo; both of its persons are this user.
    """

    factory: Mapping[str, Any]
    suppliers: Mapping[str, Any]
    os_user: str
    port: int


def _buying(lead_time: str, price: str, standstill: str) -> dict[str, str]:
    return {"lead_time": lead_time, "price": price, "standstill": standstill}


def _job(title: str, **lines: tuple[str, int, str]) -> dict[str, Any]:
    return {
        "title": title,
        "lines": {
            key: {"item": item, "quantity": quantity, "kind": kind} for key, (item, quantity, kind) in lines.items()
        },
    }


_MILL = {
    "spindle-bearing": {
        "name": "Spindle bearing",
        "rated_life": "8000 h",
        "wear": {
            "by": "level",
            "tag": "spindle-vibration",
            "as_new": "1.2 mm/s",
            "limit": "7.1 mm/s",
            "hours_per_day": 16,
            "smoothing": "2 d",
        },
        "job": _job("Replace the spindle bearings", bearing=("bearing-7014", 2, "part")),
        "buying": _buying("7 d", "380 EUR", "900 EUR/h"),
    },
    "cutting-tool": {
        "name": "Cutting tool",
        "rated_life": "6000 cycles",
        "wear": {
            "by": "usage",
            "tag": "tool-cycles",
            "resets_at_fitting": True,
            "hours_per_day": 16,
            "shape": 6,
        },
        "job": _job("Change the end mills", mills=("endmill-12", 4, "part")),
        "buying": _buying("6 d", "58 EUR", "900 EUR/h"),
    },
    "coolant": {
        "name": "Coolant",
        "rated_life": "400 h",
        "wear": {
            "by": "level",
            "tag": "coolant-level",
            "as_new": "100 %",
            "limit": "20 %",
            "hours_per_day": 16,
            "smoothing": "12 h",
        },
        "job": _job("Top up the coolant", coolant=("coolant-20l", 1, "consumable")),
        "buying": _buying("5 d", "95 EUR", "300 EUR/h"),
    },
    "calibration": {
        "name": "Calibration of the pressure gauge",
        "rated_life": "180 d",
        "wear": {"by": "usage", "due": True},
        "job": _job("Calibrate the pressure gauge", service=("gauge-calibration", 1, "service")),
        "buying": _buying("7 d", "210 EUR", "20 EUR/h"),
    },
}

_PRESS = {
    "seal": {
        "name": "Cylinder seal",
        "rated_life": "60000 cycles",
        "wear": {
            "by": "usage",
            "tag": "seal-cycles",
            "resets_at_fitting": True,
            "hours_per_day": 16,
            "shape": 6,
        },
        "job": _job("Replace the cylinder seal", kit=("seal-kit-80", 1, "part")),
        "buying": _buying("7 d", "290 EUR", "700 EUR/h"),
    },
    "filter": {
        "name": "Hydraulic filter",
        "rated_life": "600 h",
        "wear": {
            "by": "level",
            "tag": "filter-pressure",
            "as_new": "0.4 bar",
            "limit": "2.5 bar",
            "hours_per_day": 16,
            "smoothing": "12 h",
        },
        "job": _job("Change the hydraulic filter", element=("filter-10um", 1, "consumable")),
        "buying": _buying("5 d", "63 EUR", "700 EUR/h"),
    },
}

_COMPRESSOR = {
    "service": {
        "name": "Compressor service",
        "rated_life": "2000 h",
        "wear": {
            "by": "usage",
            "tag": "running-hours",
            "resets_at_fitting": True,
            "due": True,
            "hours_per_day": 20,
        },
        "job": _job("Service B of the compressor", service=("compressor-service", 1, "service")),
        "buying": _buying("5 d", "640 EUR", "150 EUR/h"),
    },
    "oil": {
        "name": "Compressor oil",
        "rated_life": "900 h",
        "wear": {
            "by": "level",
            "tag": "oil-level",
            "as_new": "100 %",
            "limit": "25 %",
            "hours_per_day": 20,
            "smoothing": "12 h",
        },
        "job": _job("Fill up the oil", oil=("oil-46-20l", 1, "consumable")),
        "buying": _buying("6 d", "118 EUR", "150 EUR/h"),
    },
}

_CONVEYOR = {
    "motor": {
        "name": "Drive motor",
        "rated_life": "6000 h",
        "wear": {
            "by": "level",
            "tag": "motor-temperature",
            "as_new": "46 °C",
            "limit": "88 °C",
            "hours_per_day": 20,
            "smoothing": "1 d",
        },
        "job": _job("Replace the drive motor", motor=("motor-1k5", 1, "part")),
        "buying": _buying("8 d", "870 EUR", "400 EUR/h"),
    },
    "belt": {
        "name": "Conveyor belt",
        "rated_life": "30000 cycles",
        "wear": {
            "by": "usage",
            "tag": "belt-cycles",
            "resets_at_fitting": True,
            "hours_per_day": 20,
            "shape": 6,
        },
        "job": _job("Replace the conveyor belt", belt=("belt-2400", 1, "part")),
        "buying": _buying("9 d", "1150 EUR", "400 EUR/h"),
    },
}

_MACHINES = {
    "mill": ("CNC mill 3", _MILL),
    "press": ("Hydraulic press 1", _PRESS),
    "compressor": ("Compressor", _COMPRESSOR),
    "conveyor": ("Conveyor 2", _CONVEYOR),
}


def market(addresses: Mapping[str, str], tokens: Mapping[str, str]) -> dict[str, Any]:
    """Return the suppliers section for a running market, of the suppliers whose address is told."""
    ready = MarketReady(addresses, {name: Path(file) for name, file in tokens.items()})
    windows = {"idempotency_key": "30 d", "lookup_window": "8 h"}  # in compressed time a day is six seconds
    return {name: entry | windows for name, entry in supplier_entries(ready).items()}


def machines(factory: Mapping[str, Any]) -> dict[str, Any]:
    """Return the machines section for a running factory."""
    return {key: _machine(key, factory) for key in factory["machines"]}


def config(around: Surroundings, machines: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config for these machines; its values carry their units as in any other."""
    return {
        "schema": 1,
        "site": {
            "plant": "northworks",
            "gateway": "N1",
            "name": "Northworks, hall 2 (simulated)",
            "time_zone": TIME_ZONE,
            "currency": "EUR",
            "country": "DE",
        },
        "organisation": {
            "name": "Northworks GmbH",
            "vat_id": "DE999999999",
            "ship_to": "Northworks GmbH, Gate 4, Werkstrasse 12, 70565 Stuttgart, DE",
            "contact": "Maintenance, +49 711 555 0134, maintenance@northworks.example",
            "cost_centre": "4711",
            "erp_reference": "PR-4711",
        },
        "people": _people(around.os_user),
        "storage": {"directory": ".", "keep_samples": "30 d"},
        "web": {"bind": "127.0.0.1", "port": around.port},
        "network": {"allow_private_targets": True},
        "connections": _connections(around.factory),
        "machines": dict(machines),
        "items": {
            item.key: {
                "manufacturer": item.manufacturer,
                "mpn": item.mpn,
                "description": item.description,
                "unit": item.unit,
            }
            for item in ITEMS.values()
        },
        "suppliers": {
            **around.suppliers,
            "huber": {
                "adapter": "by_hand",
                "name": "Huber Werkzeuge, by telephone",
                "account": "331",
                "phone": "+49 711 555 0177",
            },
        },
        "timing": {"approval": "2 d", "step": "6 h", "quote_deadline": "2 s"},
        # in compressed time eight hours are two seconds: nobody could look in time
        "alarms": {"acknowledge_within": {"default": "60 d"}},
        "policy": "policy.yaml",
    }


def _people(os_user: str) -> dict[str, Any]:
    return {
        PERSON: {
            "name": "Dana Engineer (demo)",
            "os_user": os_user,
            "may": ["approve", "apply_policy", "operate"],
            "approval_limit": "5000 EUR",
        },
        TECHNICIAN: {"name": "Tom Technician (demo)", "os_user": os_user, "may": ["operate"]},
    }


def _connections(factory: Mapping[str, Any]) -> dict[str, Any]:
    # An update every half second is two plant hours apart, and one late second is four: the tolerance says so.
    connections: dict[str, Any] = {
        "hall-2": {
            "connector": "opcua",
            "url": factory["opcua_url"],
            "server_certificate": factory["fingerprint"],
            "sampling": "500 ms",
            "clock_tolerance": "3 d",
        }
    }
    for machine, device in factory["device_ids"].items():
        connections[f"{machine}-plc"] = {
            "connector": "modbus",
            "host": factory["modbus_host"],
            "port": factory["modbus_port"],
            "device_id": device,
            "sampling": "500 ms",
        }
    return connections


def _machine(key: str, factory: Mapping[str, Any]) -> dict[str, Any]:
    name, components = _MACHINES[key]
    told = factory["machines"][key]
    return {
        "name": name,
        "connection": "hall-2" if told["connection"] == "opcua" else f"{key}-plc",
        "tags": told["tags"],
        "components": components,
    }


def policy() -> dict[str, Any]:
    """Return the policy that the demo's person applies: small, known and encrypted may go out by itself."""
    return {
        "schema": 1,
        "mandate": {
            "granted_by": PERSON,
            "machines": ["*"],
            "per_order": "500 EUR",
            "until": "2099-12-31T00:00:00Z",
        },
        "window": {"days": 30, "per_machine": "2000 EUR"},
        "limits": [
            {"scope": "plant", "per": "month", "amount": "12000 EUR"},
            {"scope": "supplier", "each": True, "per": "day", "count": 12},
        ],
        "time_zone": TIME_ZONE,
        "amounts": "net",
        "modes": {"default": "buy", "mill/calibration": "ask"},
        "known": {supplier: sorted(key for key in ITEMS if key != "turbofan-module") for supplier in SUPPLIERS},
    }


def write(path: Path, document: Mapping[str, Any], header: str) -> None:
    """Write a document as YAML beside its reader, whole or not at all."""
    text = io.StringIO()
    text.write(f"# {header}\n")
    yaml = YAML()
    yaml.width = 120
    yaml.representer.ignore_aliases = lambda _value: True  # a config has none
    yaml.dump(dict(document), text)
    fresh = path.with_suffix(".new")
    fresh.write_text(text.getvalue(), encoding="utf-8")
    fresh.replace(path)
