"""A look at the alarms of 5,000 components costs little beside the step that it belongs to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from maintenance.alarms.book import Book
from maintenance.alarms.conditions import Decision, Plant, of_site
from maintenance.alarms.rules import Rules
from maintenance.belief import Belief, Provenance
from maintenance.needs import Evidence, Need

pytestmark = pytest.mark.serial

START = datetime(2026, 1, 1, tzinfo=UTC)
COMPONENTS = 5_000
MOST_S = 0.05


def needs() -> list[Need]:
    """Needs with evidence as a level gives it; each twentieth is worn, each fiftieth silent."""
    grid = [float(hour) for hour in range(0, 4_000, 80)]
    survival = [max(0.0, 1.0 - hour / 3_000) for hour in grid]
    belief = Belief.of(grid, survival, unit="h", use_per_hour=1.0, as_of=START, provenance=Provenance.A)
    figures = {"tag": "vibration", "value": "2", "unit": "mm/s", "slope_per_day": "0.1", "limit": "7"}
    usual, silent = (Evidence("LEVEL_TREND", figures),), Evidence("STALE", {"tag": "vibration"})
    return [
        Need(
            f"m{number // 5}", f"m{number // 5}/c{number % 5}", "l", 1, "j", (), belief,
            0.1 if number % 20 == 0 else 0.8, (*usual, silent) if number % 50 == 0 else usual, START,
        )
        for number in range(COMPONENTS)
    ]  # fmt: skip


def test_a_look_at_5000_components_costs_less_than_50_ms(record_property: pytest.FixtureRequest):
    every, rules = needs(), Rules()
    later = START + timedelta(days=30)
    decisions = {each.component: Decision(later, timedelta(days=14), True) for each in every}
    connections = {each.machine: "hall" for each in every}
    book, taken = Book(rules), []
    for step in range(5):
        now = START + timedelta(hours=step)
        began = time.process_time()
        book.observe(of_site(every, Plant(connections, (), decisions), rules, now), now)
        taken.append(time.process_time() - began)
        book.kept()
    record_property("seconds", min(taken))
    print(f"{min(taken) * 1e3:.1f} ms")
    assert sum(each.active for each in book.alarms.values()) == COMPONENTS // 20 + COMPONENTS // 50 // 5 * 5
    assert min(taken) < MOST_S
