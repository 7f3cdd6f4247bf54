"""What timing is told of a component, from plain values: nothing is held that is not all there, and no hour is open
that no window opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maintenance.needs import Belief, JobKind, JobLine, Need, Provenance
from marketplace.netting import Coming
from marketplace.settings import BuyingSettings, TimingSettings
from marketplace.situation import priced, situated
from marketplace.sources import Sent, TrackRecord
from marketplace.timing import TimingTerms
from marketplace.windows import PlantWindows, Weekly

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""A Monday."""
BUYING = BuyingSettings.model_validate({"lead_time": "8 d", "price": "300 EUR", "standstill": "40 EUR/h"})
TERMS = TimingSettings().terms(BUYING)
SEAL = JobLine("seal", "seal", Decimal(1), "C62", JobKind.PART)
OIL = JobLine("oil", "oil", Decimal(2), "LTR", JobKind.CONSUMABLE)
VISIT = JobLine("visit", "visit", Decimal(1), "HUR", JobKind.SERVICE)


@dataclass(frozen=True)
class Line:
    key: str
    item: str
    quantity: Decimal
    missing: Decimal
    promised: Decimal
    in_hand: Decimal = Decimal(0)
    on_its_way: tuple[Coming, ...] = ()


def need() -> Need:
    belief = Belief.of(
        np.array([0.0, 500.0, 900.0]), [1.0, 0.5, 0.0], unit="h", use_per_hour=1.0, as_of=NOW, provenance=Provenance.A
    )
    return Need("press", "press/seal", "1", 1, "Renew", (SEAL, OIL, VISIT), belief, 0.6, (), NOW, timedelta(hours=2))


def told(*lines: Line, windows: PlantWindows | None = None, record: TrackRecord | None = None) -> TimingTerms:
    said = {"press/seal": TERMS}
    rest = [Line("visit", "visit", Decimal(1), Decimal(1), Decimal(0))]
    covered = {"press/seal": [*lines, *rest]}
    return situated([need()], said, record or TrackRecord(), covered, windows or PlantWindows(), NOW)["press/seal"]


def line(of: JobLine, missing: str, promised: str = "0", *coming: Coming) -> Line:
    return Line(of.key, of.item, of.quantity, Decimal(missing), Decimal(promised), on_its_way=coming)


amounts = st.sampled_from(["0", "1", "2"])


@given(amounts, amounts)
def test_a_job_is_held_where_none_of_its_goods_is_missing(seal: str, oil: str):
    held = told(line(SEAL, seal), line(OIL, oil)).held
    assert (held is not None) == (seal == oil == "0")
    assert held is None or (held.here and not held.bought)


def test_what_comes_last_counts_and_what_is_promised_is_bought():
    coming = Coming("A-1", Decimal(1), NOW + timedelta(days=3))
    record = TrackRecord(open={"A-1": Sent("huber", NOW - timedelta(days=1))})
    held = told(line(SEAL, "0", "1", coming), line(OIL, "0", "2"), record=record).held
    assert held is not None
    assert (held.supply.supplier, held.here, held.bought) == ("huber", False, True)
    assert 0 < held.supply.delay < 30 * 24


def test_windows_open_the_hours_in_which_the_whole_job_has_room():
    sundays = PlantWindows(((Weekly.parse("sunday 06:00-14:00"), ()),), ZoneInfo("UTC"))
    openings = told(line(SEAL, "1"), line(OIL, "2"), windows=sundays).openings
    assert openings is not None
    assert openings.spans == ((6 * 24 - 2.0, 6 * 24 + 4.0),)
    assert told(line(SEAL, "1"), line(OIL, "2")).openings is None


def test_what_nobody_can_price_stays_as_the_config_says():
    bare = replace(TERMS, costs=None, supplies=(), failure_probability=0.1)
    assert priced([need()], {"press/seal": bare}) == priced([need()], {}) == []
    assert situated([], {"press/seal": bare}, TrackRecord(), {}, PlantWindows(), NOW) == {"press/seal": bare}
