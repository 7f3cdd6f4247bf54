"""What the simulated suppliers sell: prices, packs, stock, lead times and habits of three plain businesses.

`ITEMS` are the things and services that the demo's plant buys, by the keys of its config. Prices are net, in EUR.
`kontor` is cheap and slow, `express` dear and fast, `maker` is the machine's maker and alone in its services.
`turbofan-module` is for recordings played back: always in stock, and always there twenty hours after the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from marketplace.catalogue import Item

ITEMS: Mapping[str, Item] = {
    item.key: item
    for item in (
        Item("bearing-7014", "Nordlager", "NL-7014-P4", "Angular contact bearing 7014, P4", "C62"),
        Item("endmill-12", "Schartec", "SC-EM12-4Z", "End mill 12 mm, 4 flutes, coated", "C62"),
        Item("coolant-20l", "Fluidis", "FL-CO-20", "Coolant concentrate, canister of 20 l", "C62"),
        Item("seal-kit-80", "Pressart", "PA-SK-80", "Seal kit for cylinder 80 mm", "C62"),
        Item("filter-10um", "Fluidis", "FL-FI-10", "Hydraulic filter element, 10 µm", "C62"),
        Item("oil-46-20l", "Fluidis", "FL-OIL-46", "Compressor oil VG 46, canister of 20 l", "C62"),
        Item("compressor-service", "Aerowerk", "AW-SV-B", "Compressor service B, on site", "C62"),
        Item("belt-2400", "Bandwerk", "BW-2400-PU", "Conveyor belt 2400 mm, PU", "C62"),
        Item("motor-1k5", "Elmot", "EM-1K5-B3", "Three-phase motor 1.5 kW, B3", "C62"),
        Item("gauge-calibration", "Messhaus", "MH-CAL-P", "Calibration of a pressure gauge, with certificate", "C62"),
        Item("turbofan-module", "Turbowerk", "TW-HPC-1", "Core module for recorded engines", "C62"),
    )
}


@dataclass(frozen=True, slots=True)
class Article:
    """What one supplier charges and needs for one item.

    breaks: (from this quantity, unit price), ascending from 1. pack: sold in whole packs of so many.
    stock: how many lie there after a restocking; 0 is made or done on order. lead_time: median from order to arrival.
    exact: it takes exactly that long, every time.
    """

    item: str
    breaks: tuple[tuple[int, Decimal], ...]
    lead_time: timedelta
    pack: int = 1
    stock: int = 0
    exact: bool = False

    def unit_price(self, quantity: Decimal) -> Decimal:
        """Return the price of one when so many are bought."""
        return next(price for start, price in reversed(self.breaks) if quantity >= start)


@dataclass(frozen=True, slots=True)
class Business:
    """One supplier's terms and temperament.

    freight below free_from; small_order_fee below small_order. spread: sigma of the log-normal lead time.
    tardiness: share of orders that take half as long again. confirms_after: plant time until an order is confirmed.
    restock: plant time after which sold goods are on the shelf again. valid_for: how long a quotation holds.
    """

    key: str
    name: str
    articles: Mapping[str, Article]
    freight: Decimal
    free_from: Decimal
    small_order: Decimal
    small_order_fee: Decimal
    spread: float
    tardiness: float
    confirms_after: timedelta
    restock: timedelta = timedelta(days=10)
    valid_for: timedelta = timedelta(days=90)


def _article(
    item: str,
    price: str,
    days: float,
    *,
    more: tuple[tuple[int, str], ...] = (),
    pack: int = 1,
    stock: int = 0,
    exact: bool = False,
) -> tuple[str, Article]:
    breaks = ((1, Decimal(price)), *((start, Decimal(cheaper)) for start, cheaper in more))
    return item, Article(item, breaks, timedelta(days=days), pack, stock, exact)


KONTOR = Business(
    key="kontor",
    name="Kontor Lagertechnik",
    articles=dict(
        (
            _article("bearing-7014", "372.00", 6, more=((4, "358.00"),), stock=12),
            _article("endmill-12", "57.80", 5, more=((10, "53.40"), (50, "49.90")), pack=2, stock=80),
            _article("coolant-20l", "94.50", 4, more=((4, "91.00"),), stock=20),
            _article("seal-kit-80", "288.00", 7, stock=6),
            _article("filter-10um", "62.40", 4, more=((6, "58.90"),), stock=40),
            _article("oil-46-20l", "116.00", 5, stock=15),
            _article("belt-2400", "1138.00", 9, stock=2),
            _article("motor-1k5", "856.00", 8, stock=3),
        )
    ),
    freight=Decimal("9.50"),
    free_from=Decimal(500),
    small_order=Decimal(75),
    small_order_fee=Decimal(15),
    spread=0.25,
    tardiness=0.15,
    confirms_after=timedelta(hours=3),
)

EXPRESS = Business(
    key="express",
    name="Express Technik",
    articles=dict(
        (
            _article("bearing-7014", "441.00", 1, stock=8),
            _article("endmill-12", "68.50", 1, more=((10, "65.00"),), stock=60),
            _article("coolant-20l", "112.00", 1, stock=10),
            _article("filter-10um", "77.20", 1, stock=25),
            _article("oil-46-20l", "139.00", 1, stock=10),
            _article("motor-1k5", "988.00", 2, stock=2),
            _article("belt-2400", "1345.00", 3, stock=1),
        )
    ),
    freight=Decimal("24.00"),
    free_from=Decimal(2000),
    small_order=Decimal(50),
    small_order_fee=Decimal(10),
    spread=0.12,
    tardiness=0.03,
    confirms_after=timedelta(0),
)

MAKER = Business(
    key="maker",
    name="Werksdienst",
    articles=dict(
        (
            _article("bearing-7014", "418.00", 3, stock=6),
            _article("seal-kit-80", "304.00", 3, stock=10),
            _article("compressor-service", "640.00", 4),
            _article("gauge-calibration", "210.00", 5),
            _article("belt-2400", "1212.00", 5, stock=2),
            _article("motor-1k5", "898.00", 4, stock=4),
            _article("turbofan-module", "100.00", 20 / 24, stock=1_000_000, exact=True),
        )
    ),
    freight=Decimal("14.00"),
    free_from=Decimal(600),
    small_order=Decimal(100),
    small_order_fee=Decimal(12),
    spread=0.18,
    tardiness=0.08,
    confirms_after=timedelta(hours=1),
)

BUSINESSES: tuple[Business, ...] = (KONTOR, EXPRESS, MAKER)
