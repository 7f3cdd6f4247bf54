"""How each line of a job is covered, over all needs: what is promised, what would be, and what has to be bought."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway.views.jobs import JobLineView, job_lines
from maintenance.needs import JobKind, JobLine, Need
from marketplace import stock, store
from marketplace.netting import Coming
from tests.showcase.data import NOW, OWNER, PARTS, PERSON, need_of
from tests.showcase.plant import Plant, plant


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, template=lived) as built:
        yield built


ALL = [need_of(part, NOW) for part in PARTS.values()]


async def lines(made: Plant, needs: list[Need] = ALL, **due: timedelta) -> dict[str, JobLineView]:
    """The only, or first, line of each component; `due` by its name after the slash."""
    days = {
        need.component: NOW + due[name]
        for need in needs
        if (name := need.component.partition("/")[2].replace("-", "_")) in due
    }
    async with made.spend.read() as tx:
        found = await job_lines(tx, OWNER, needs, days, NOW)
    return {component: each[0] for component, each in found.items()}


async def count(made: Plant, item: str, amount: int) -> None:
    async with made.spend.write() as tx:
        await stock.count(tx, OWNER, item, Decimal(amount), "C62", PERSON, NOW)


def figures(view: JobLineView) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    coming = sum((each.amount for each in view.on_its_way), start=Decimal(0))
    assert view.on_shelf + coming + view.in_hand + view.missing == view.quantity
    return view.on_shelf, coming, view.in_hand, view.missing


async def test_each_line_says_where_what_it_wants_is(made):
    found = await lines(made)
    bearing, coolant = found["mill/spindle-bearing"], found["mill/coolant"]
    assert figures(bearing) == (0, bearing.quantity, 0, 0)
    assert [each.order for each in bearing.on_its_way] == [made.numbers["shipped"]]
    assert figures(coolant) == (coolant.quantity, 0, 0, 0)
    motor, seals = found["conveyor/motor"], found["press/seals"]
    assert figures(motor) == (0, 0, motor.quantity, 0)  # waits for a person's approval
    assert figures(seals) == (0, 0, 0, seals.quantity)


async def test_what_came_of_an_order_is_here_and_the_rest_on_its_way(made):
    bearing = (await lines(made))["mill/spindle-bearing"]
    assert bearing.quantity == 2
    await made.purchasing.received(made.numbers["shipped"], {1: Decimal(1)}, PERSON)
    assert figures((await lines(made))["mill/spindle-bearing"]) == (1, 1, 0, 0)


async def test_an_order_that_failed_brings_nothing(made):
    async with made.spend.write() as tx:
        await tx.execute(
            update(store.purchase_order)
            .where(store.purchase_order.c.number == made.numbers["shipped"])
            .values(state="cancelled")
        )
    bearing = (await lines(made))["mill/spindle-bearing"]
    assert figures(bearing) == (0, 0, 0, bearing.quantity)


async def test_two_needs_do_not_both_count_the_piece_on_the_shelf(made):
    """The filter and the seals want the same item now; whoever needs it sooner is shown the piece."""
    one, other = (need_of(PARTS[key], NOW) for key in ("press/filter", "press/seals"))
    line = JobLine("part", "spare", Decimal(1), "C62", JobKind.PART)
    needs = [replace(one, lines=(line,)), replace(other, lines=(line,))]
    await count(made, "spare", 1)
    found = await lines(made, needs, filter=timedelta(days=9), seals=timedelta(days=4))
    assert (figures(found["press/filter"]), figures(found["press/seals"])) == ((0, 0, 0, 1), (1, 0, 0, 0))
    found = await lines(made, needs, filter=timedelta(days=3), seals=timedelta(days=4))
    assert (figures(found["press/filter"]), figures(found["press/seals"])) == ((1, 0, 0, 0), (0, 0, 0, 1))


async def test_what_is_left_over_of_an_order_is_on_its_way_for_whom_it_reaches_in_time(made):
    line = JobLine("part", PARTS["mill/spindle-bearing"].item, Decimal(1), "C62", JobKind.PART)
    need = replace(need_of(PARTS["press/filter"], NOW), lines=(line,))
    async with made.spend.write() as tx:
        await tx.execute(update(store.line_requisition).values(quantity=Decimal(1)))
    assert figures((await lines(made, [need], filter=timedelta(days=9)))["press/filter"]) == (0, 1, 0, 0)
    assert figures((await lines(made, [need], filter=timedelta(days=1)))["press/filter"]) == (0, 0, 0, 1)


async def test_a_service_lies_on_no_shelf(made):
    service = JobLine("visit", "calibration", Decimal(1), "C62", JobKind.SERVICE)
    need = replace(need_of(PARTS["press/filter"], NOW), lines=(service,))
    await count(made, "calibration", 5)
    view = (await lines(made, [need]))["press/filter"]
    assert (figures(view), view.due) == ((0, 0, 0, 1), None)


async def test_what_was_rendered_is_done_and_what_is_booked_says_for_when(made):
    need = need_of(PARTS["mill/spindle-bearing"], NOW)
    visit = replace(need, lines=(replace(need.lines[0], kind=JobKind.SERVICE),))
    view = (await lines(made, [visit]))["mill/spindle-bearing"]
    assert (figures(view)[1], view.due is not None) == (2, True)
    async with made.spend.write() as tx:
        wanted = store.requisition.c.component == "mill/spindle-bearing"
        await tx.execute(update(store.requisition).where(wanted).values(state="fulfilled"))
        await tx.execute(update(store.purchase_order).values(state="received"))
    assert figures((await lines(made, [visit]))["mill/spindle-bearing"]) == (2, 0, 0, 0)


async def test_what_another_life_was_promised_is_not_for_this_one(made):
    need = replace(need_of(PARTS["mill/spindle-bearing"], NOW), life="the-next")
    assert figures((await lines(made, [need]))["mill/spindle-bearing"]) == (0, 0, 0, 2)


def test_programs_get_the_same():
    view = JobLineView(
        "part", "b", "part", Decimal("2.0"), "C62", Decimal(1), (Coming("G1-0001-7", Decimal("0.5"), NOW),)
    )
    assert view.as_dict() == {
        "line": "part", "item": "b", "kind": "part", "quantity": "2", "unit": "C62", "on_shelf": "1",
        "on_its_way": [{"order": "G1-0001-7", "quantity": "0.5", "expected_at": "2026-03-02T08:00:00.000000Z"}],
        "in_hand": "0", "missing": "0", "due": None,
    }  # fmt: skip
