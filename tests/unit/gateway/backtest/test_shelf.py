"""What a plant's orders left on the shelf and on the way when playing began, and who takes it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backtest.plant_orders import Event, What, endings
from gateway.backtest.shelf import Shelf
from maintenance.needs import Belief, JobKind, JobLine, Need, Provenance
from marketplace.sources import Sent

from .conftest import START

LINE = JobLine("belt", "bearing-7014", Decimal(2), "C62", JobKind.PART)
SERVICE = JobLine("visit", "visit", Decimal(1), "HUR", JobKind.SERVICE)
PRESS, SAW = "press/belt", "saw/belt"
GOODS = {PRESS: [LINE], SAW: [LINE]}


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def shelf(*events: Event) -> Shelf:
    told = sorted(events, key=lambda each: each.at)
    return Shelf.at(START, told, endings(told), GOODS)


def event(hours: float, what: What, component: str = PRESS) -> Event:
    return Event(after(hours), component, what, supplier="Huber")


def need(component: str, left: float = 100.0) -> Need:
    use = np.array([0.0, left, 2 * left])
    belief = Belief.of(use, [1.0, 0.5, 0.0], unit="h", use_per_hour=1.0, as_of=START, provenance=Provenance.A)
    return Need(component.partition("/")[0], component, "1", 1, "Replace", (LINE, SERVICE), belief, 0.4, (), START)


def missing(shelf: Shelf, *needs: Need, at: datetime = START) -> list[list[Decimal]]:
    return [[line.missing for line in lines] for lines in shelf.covering(needs, at).values()]


def test_what_was_received_and_not_fitted_lies_here_for_whoever_needs_it_sooner():
    one = shelf(event(-90, What.ORDERED), event(-50, What.RECEIVED))
    assert missing(one, need(PRESS, left=500), need(SAW, left=100)) == [[2, 1], [0, 1]]
    assert one.take(SAW, [LINE], START) == 0.0
    assert missing(one, need(PRESS)) == [[2, 1]]
    assert one.take(PRESS, [LINE], START) is None


def test_what_was_fitted_is_here_no_more():
    rows = event(-90, What.ORDERED), event(-50, What.RECEIVED), event(-40, What.FITTED)
    assert shelf(*rows).free == {}
    assert shelf(event(-90, What.ORDERED), event(-40, What.FITTED), event(5, What.RECEIVED)).ordered == {}


def test_an_order_under_way_is_for_its_component_and_here_once_it_came():
    one = shelf(event(-20, What.ORDERED), event(30, What.RECEIVED))
    (line, service) = one.covering([need(PRESS)], after(10))[PRESS]
    assert (line.missing, line.promised, service.missing) == (0, 2, 1)
    assert one.record().open == {line.on_its_way[0].order: Sent("Huber", after(-20))}
    assert one.covering([need(PRESS)], after(30))[PRESS][0].on_its_way == ()
    assert missing(one, need(SAW)) == [[2, 1]]
    assert one.take(PRESS, [LINE], after(10)) == 20.0
    assert one.take(PRESS, [LINE], after(10)) is None


def test_of_an_order_that_never_came_nothing_is_hoped_and_later_ones_are_decided_anew():
    assert shelf(event(-20, What.ORDERED)) == Shelf()
    assert shelf(event(20, What.ORDERED), event(60, What.RECEIVED)) == Shelf()


rows = st.builds(event, st.integers(-100, 100), st.sampled_from(What), st.sampled_from((PRESS, SAW)))


@settings(max_examples=50)
@given(st.lists(rows, max_size=12), st.lists(st.sampled_from((PRESS, SAW)), max_size=12))
def test_no_part_is_taken_that_nobody_received_or_ordered(told: list[Event], takers: Sequence[str]):
    one = shelf(*told)
    came = [each for each in told if each.at <= START and each.what in (What.ORDERED, What.RECEIVED)]
    taken = [each for each in takers if one.take(each, [LINE], START) is not None]
    assert len(taken) <= len(came)
    assert all(each.amount > 0 for each in one.free.values())
