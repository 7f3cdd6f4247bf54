"""Timing is asked once a step, and whoever looks reads what it said for as long as that stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event

from gateway import views
from gateway.advising import Advising
from gateway.views.circumstances import Circumstances, refined
from marketplace import stock
from marketplace.timing import TimingTerms
from tests.showcase.data import NOW, OWNER, PARTS, PERSON, need_of
from tests.showcase.plant import Plant, plant

NEEDS = {key: need_of(part, NOW) for key, part in PARTS.items()}
AROUND = Circumstances(frozenset({"kontor", "express", "maker"}))
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("advised")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, template=lived) as built:
        yield built


def said_of(made: Plant) -> dict[str, TimingTerms]:
    return {key: found.terms for key, found in made.context.plans().items() if found.terms is not None}


async def looked_at(made: Plant, newest, needs=None, now=NOW + HALF_AN_HOUR):
    async with made.spend.read() as tx:
        found = await views.need_views(tx, OWNER, needs or NEEDS.values(), made.context.plans(), now, AROUND, newest)
    return {view.component: view.advice for view in found}


async def test_what_was_said_at_the_step_is_read_until_something_has_changed(made):
    newest = await Advising(made.spend, OWNER).step(list(NEEDS.values()), said_of(made), AROUND, NOW)
    assert newest.keys() == said_of(made).keys()
    seen = await looked_at(made, newest)
    assert all(seen[key] is newest[key] for key in newest)
    async with made.spend.write() as tx:
        await stock.count(tx, OWNER, "seal-kit-80", Decimal(1), "C62", PERSON, NOW)
    after = await looked_at(made, newest)
    assert {key for key in newest if after[key] is not newest[key]} == {"press/seals"}
    assert after["press/seals"].weighed.now == NOW + HALF_AN_HOUR
    assert after["press/seals"].weighed.terms.held is not None


async def test_another_need_than_that_of_the_step_is_asked_anew(made):
    newest = await Advising(made.spend, OWNER).step(list(NEEDS.values()), said_of(made), AROUND, NOW)
    later = need_of(PARTS["press/seals"], NOW + HALF_AN_HOUR)
    seen = await looked_at(made, newest, [later, *(each for key, each in NEEDS.items() if key != "press/seals")])
    assert {key for key in newest if seen[key] is not newest[key]} == {"press/seals"}
    assert (await looked_at(made, None)).keys() == seen.keys()


async def test_a_need_of_which_timing_can_say_nothing_costs_itself(made):
    seals, motor = NEEDS["press/seals"], NEEDS["conveyor/motor"]
    said = said_of(made)
    ceiling = replace(said["press/seals"], costs=None, supplies=(), failure_probability=0.1)
    nobody = replace(seals, belief=None)
    advising = Advising(made.spend, OWNER)
    newest = await advising.step(
        [nobody, motor], {"press/seals": ceiling, "conveyor/motor": said["conveyor/motor"]}, AROUND, NOW
    )
    assert list(newest) == ["conveyor/motor"]
    assert advising.newest is newest


async def test_where_the_store_cannot_be_read_timing_takes_what_the_config_says(made):
    class Gone:
        def read(self):
            raise OSError("no such disk")

    said = said_of(made)
    newest = await Advising(Gone(), OWNER).step(list(NEEDS.values()), said, AROUND, NOW)
    assert {key: advice.weighed.terms for key, advice in newest.items()} == said


async def test_what_timing_must_know_of_twenty_components_is_as_many_statements_as_of_one(made):
    motor = NEEDS["conveyor/motor"]
    many = [replace(motor, component=f"conveyor/motor-{number}") for number in range(20)]

    async def asked(needs):
        statements = []
        async with made.spend.read() as tx:
            event.listen(tx.sync_connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
            said = {need.component: said_of(made)["conveyor/motor"] for need in needs}
            assert (await refined(tx, OWNER, needs, said, AROUND, NOW)).keys() == said.keys()
            return len(statements)

    assert await asked(many) == await asked([motor])
