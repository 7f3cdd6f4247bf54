"""What the showcase shows: components as a table, with their needs and pictures drawn from it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.samples import Provenance
from gateway.web.accounts import Account
from maintenance.needs import Belief, Evidence, JobKind, JobLine, Need
from maintenance.picture import BandPoint, Picture
from marketplace.audit.actor import Actor, ActorKind
from marketplace.authority.approval import Approver
from marketplace.catalogue import Item
from marketplace.money import Money
from marketplace.settings import BuyingSettings, TimingSettings
from marketplace.store import Owner
from marketplace.timing import TimingTerms

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OWNER = Owner("northworks", "G1")
ZONE = ZoneInfo("Europe/Berlin")
ANNA = Account("anna", "Anna Weber", frozenset({"approve", "operate", "apply_policy"}), Money(500_000, "EUR"))
JONAS = Account("jonas", "Jonas Brandt", frozenset({"operate"}))
SIGNS = Approver("anna", may_approve=True, limit=Money(500_000, "EUR"), may_apply_policy=True)
PERSON = Actor(ActorKind.PERSON, "anna", "web")

ITEMS = {
    item.key: item
    for item in (
        Item("bearing-7014", "Nordlager", "NL-7014-P4", "Angular contact bearing 7014", "C62"),
        Item("coolant-5l", "Oleum", "OL-EM-05", "Emulsion concentrate, 5 l", "C62"),
        Item("filter-d140", "Hydrofil", "HF-D140-10", "Pressure filter element D140", "C62"),
        Item("seal-kit-80", "Dichtwerk", "DW-80-KIT", "Seal kit, cylinder 80 mm", "C62"),
        Item("oil-filter-c3", "Airtec", "AT-C3-OF", "Oil filter C3", "C62"),
        Item("gear-motor-1k5", "Antriebstechnik Süd", "GM-1500-71", "Gear motor 1.5 kW", "C62"),
    )
}
POLICY = {
    "schema": 1,
    "mandate": {"granted_by": "anna", "machines": ["*"], "per_order": "500 EUR", "until": "2027-12-31T00:00:00Z"},
    "window": {"days": 30, "per_machine": "2000 EUR"},
    "amounts": "net",
    "modes": {"default": "buy"},
    "known": {name: list(ITEMS) for name in ("kontor", "express", "maker")},
}


TABLE = """
component|name|job|item|n|unit|new|now|limit|past|left|+-|class|EUR|days
mill/spindle-bearing|Spindle bearing|Replace the bearing|bearing-7014|2|mm/s|1.4|6.3|7.1|45|6.6|1.4|A|120|9
mill/coolant|Coolant|Refill coolant|coolant-5l|4|%|98|61|25|21|24|4|A|42|4
press/filter|Pressure filter|Replace the filter element|filter-d140|1|bar|0.4|1.1|3.5|40|96|22|A|86|6
press/seals|Cylinder seals|Reseal the cylinder|seal-kit-80|1|cycles|0|212000|600000|80|148|30|A|240|12
compressor/oil-filter|Oil filter|Replace the oil filter|oil-filter-c3|1|h|0|1782|2000|74|7.2|1.3|B|64|5
conveyor/motor|Gear motor|Replace the gear motor|gear-motor-1k5|1|A|3.1|4.5|5.0|90|12|4|A|890|8
"""
"""How each component has worn (new, now, limit; over the past days), how long it lasts (left, give or take), what it
costs and how long it takes to come."""
TAGS = """
mill | spindle-vibration | mm/s | 6.31
mill | spindle-temperature | °C | 48.3
mill | coolant-level | % | 61.2
mill | tool-cycles | cycles | 18234
press | filter-pressure | bar | 1.12
press | oil-temperature | °C | 52.9
press | seal-cycles | cycles | 212044
compressor | running-hours | h | 41782
compressor | oil-level | % | 71.5
conveyor | motor-current | A | 4.52
conveyor | motor-temperature | °C | 66.1
conveyor | belt-cycles | cycles | 902411
"""
CONNECTIONS = {"mill": "hall-2", "press": "hall-2", "compressor": "compressor-plc", "conveyor": "conveyor-plc"}
NAMES = {
    "mill": "CNC mill 3",
    "press": "Hydraulic press",
    "compressor": "Screw compressor",
    "conveyor": "Conveyor 12",
}
SUPPLIERS = {"kontor": "Kontor Lagertechnik", "express": "Blitz Industriebedarf", "maker": "Machine maker's service"}


@dataclass(frozen=True)
class Part:
    """One row of the table. Times in days, prices in euros."""

    component: str
    name: str
    job: str
    item: str
    quantity: Decimal
    unit: str
    begin: float
    value: float
    limit: float
    past: float
    median: float
    spread: float
    provenance: Provenance
    price: int
    lead: int

    @property
    def machine(self) -> str:
        """The machine's key."""
        return self.component.partition("/")[0]

    @property
    def counts(self) -> bool:
        """Whether it wears by use rather than by a measured level."""
        return self.unit in ("h", "cycles")

    @property
    def health(self) -> float:
        """How far from the limit, of the way from the beginning."""
        return max(0.0, min(1.0, (self.limit - self.value) / (self.limit - self.begin)))


def rows(table: str) -> list[list[str]]:
    """Return the cells of a table."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def _part(cells: list[str]) -> Part:
    component, name, job, item, quantity, unit, begin, value, limit, past, left, spread, kind, price, days = cells
    worn = (float(begin), float(value), float(limit), float(past), float(left), float(spread))
    return Part(component, name, job, item, Decimal(quantity), unit, *worn, Provenance(kind), int(price), int(days))


PARTS = {part.component: part for part in map(_part, rows(TABLE)[1:])}
READINGS = {f"{machine}/{tag}": (unit, float(value)) for machine, tag, unit, value in rows(TAGS)}


def terms_of(part: Part) -> TimingTerms:
    """Return when the part is bought."""
    return TimingSettings.model_validate({"failure_probability": "5 %"}).terms(economics_of(part))


def economics_of(part: Part) -> BuyingSettings:
    """Return what the plant says of the part's costs."""
    numbers = {"lead_time": f"{part.lead} d", "price": f"{part.price} EUR", "standstill": "90 EUR/h"}
    return BuyingSettings.model_validate(numbers)


def need_of(part: Part, at: datetime) -> Need:
    """Return the part's need: a normal end of life, seen at a time."""
    hours = [24.0 * day for day in range(int(part.median + 5 * part.spread) + 2)]
    reach = part.spread * math.sqrt(2)
    survival = [0.5 * (1 - math.erf((hour / 24 - part.median) / reach)) for hour in hours]
    line = JobLine("part", part.item, part.quantity, "C62", JobKind.PART)
    return Need(
        machine=part.machine,
        component=part.component,
        life="l1",
        revision=1,
        job=part.job,
        lines=(line,),
        belief=Belief.of(
            hours,
            survival,
            unit="h",
            use_per_hour=1.0,
            as_of=at,
            provenance=part.provenance,
            life=24.0 * (part.past + part.median),
        ),
        health=part.health,
        evidence=(evidence_of(part),),
        as_of=at,
    )


def evidence_of(part: Part) -> Evidence:
    """Return what the need rests on."""
    figures = {"unit": part.unit, "limit": f"{part.limit:g}", "rated": f"{part.limit:g}"}
    if part.counts:
        return Evidence("USAGE", {**figures, "used": f"{part.value:g}"})
    slope = (part.limit - part.value) / part.median
    signal = next(tag for tag, (unit, _value) in READINGS.items() if tag.startswith(part.machine) and unit == part.unit)
    return Evidence(
        "LEVEL_TREND", {**figures, "tag": signal, "value": f"{part.value:g}", "slope_per_day": f"{slope:.2g}"}
    )


def picture_of(part: Part, at: datetime) -> Picture:
    """Return the part's history, with a seeded scatter, and its forecast."""
    rng, steps, reach = random.Random(part.component), 160, part.limit - part.begin
    history = []
    for step in range(steps + 1):
        share = step / steps
        course = share if part.counts else share**2.2
        scatter = 0.0 if part.counts or step == steps else rng.gauss(0, 0.03) * reach
        value = part.begin + (part.value - part.begin) * course + scatter
        history.append((at - timedelta(days=part.past * (1 - share)), value))
    slope = (part.limit - part.value) / part.median
    band = []
    for step in range(25):
        days = part.median * 2 * step / 24
        spread = 1.28 * abs(slope) * part.spread * math.sqrt(days / part.median)
        middle = part.value + slope * days
        band.append(BandPoint(at + timedelta(days=days), middle - spread, middle, middle + spread))
    return Picture(part.component, part.unit, part.limit, tuple(history), tuple(band))
