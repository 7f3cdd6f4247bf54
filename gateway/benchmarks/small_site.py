"""The config of a site that is measured: one part, one supplier, and the machines of whoever measures; JSON is YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def config_of(connection: Mapping[str, Any], machines: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a site whose machines are heard over one connection, `hall`, by OPC-UA."""
    return {
        "schema": 1,
        "site": {
            "plant": "benchmark",
            "gateway": "B1",
            "name": "Benchmark",
            "time_zone": "UTC",
            "currency": "EUR",
            "country": "DE",
        },
        "organisation": {"name": "Benchmark", "ship_to": "Benchmark", "contact": "Benchmark"},
        "people": {"anna": {"name": "Anna", "os_user": "anna", "may": ["approve"], "approval_limit": "500 EUR"}},
        "items": {"part": {"manufacturer": "Maker", "mpn": "P-1"}},
        "suppliers": {"shop": {"adapter": "by_hand", "name": "Shop"}},
        "web": {"port": 0},
        "connections": {"hall": {"connector": "opcua", **connection}},
        "machines": dict(machines),
    }


def component(name: str, wear: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component of such a machine."""
    return {
        "name": name,
        "wear": dict(wear),
        "job": {"title": f"Replace the {name}", "lines": {"part": {"item": "part", "quantity": 1}}},
        "buying": {"lead_time": "14 d", "price": "380 EUR", "standstill": "900 EUR/h"},
    }
