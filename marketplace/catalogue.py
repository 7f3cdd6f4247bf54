"""What can be bought: items of the plant, and which supplier calls them what.

A part is manufacturer + MPN; a supplier's SKU maps to it, and only an exact map counts: a part that merely looks
alike is never bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """A thing or a service that a plant buys; `unit` is a UN/ECE Recommendation 20 code, `category` is for limits."""

    key: str
    manufacturer: str
    mpn: str
    description: str
    unit: str
    category: str = ""


Catalogue = Mapping[str, Item]
"""Items by key."""
