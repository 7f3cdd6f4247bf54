"""What a shadow would have bought, as a browser without JavaScript meets it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.backtest.report import Case
from gateway.backtest.wouldbe import Delivery, WatchedLife, WouldBuy
from gateway.shadow import Seen
from maintenance.assets import Found, Life
from maintenance.store import close_life, open_life
from marketplace.timing import WAITING_COSTS_MORE
from tests.showcase.data import NOW, OWNER, PARTS
from tests.showcase.plant import Plant, terms_of

from .conftest import Visitor, _visiting

BEARING = "mill/spindle-bearing"
CASES = {key: Case(terms, key, rated=True) for key, part in PARTS.items() if (terms := terms_of(part)) is not None}
BEGAN = NOW - timedelta(days=90)
FIGURES = {"waiting_costs": "12.50", "currency": "EUR", "supplier": "", "step_hours": "1", "decide_by": ""}


def watched(life: str, days: float, *, code: str = WAITING_COSTS_MORE, price: float = 380.0) -> WatchedLife:
    """A bearing for which one would have been bought so many days after it was fitted, there and fitted ten later."""
    at = BEGAN + timedelta(days=days)
    bought = WouldBuy(at, at, (("<b>bearing", "1", "C62"),), code, FIGURES, True, price, "EUR")
    fitted = at + timedelta(days=10)
    return WatchedLife(BEARING, life, BEGAN, True, bought, None, [Delivery(240.0, 1.0, fitted)])


async def lived(made: Plant, life: str, days: float, found: Found | None) -> None:
    async with made.spend.write() as tx:
        await close_life(tx, OWNER, BEARING, BEGAN, None, {})
        await open_life(tx, OWNER, Life(life, BEARING, BEGAN))
        await close_life(tx, OWNER, BEARING, BEGAN + timedelta(days=days), found, {})


@pytest.fixture
def kept(made: Plant) -> list[WatchedLife]:
    """What the shadow has kept; a test adds to it."""
    lives: list[WatchedLife] = []
    made.context = replace(made.context, shadow=lambda: Seen(tuple(lives), CASES))
    return lives


@pytest.fixture
async def jonas(made: Plant, kept: list[WatchedLife]) -> AsyncIterator[Visitor]:
    """Somebody signed in at a gateway that is a shadow."""
    async for visitor in _visiting(made):
        await visitor.sign_in(made, "jonas")
        yield visitor


async def test_a_gateway_that_buys_has_no_such_page(anna: Visitor):
    assert (await anna.get("/shadow")).status == 404
    assert 'href="/shadow"' not in (await anna.get("/")).text


async def test_a_shadow_links_to_it_and_says_that_nothing_would_have_been_bought_yet(jonas: Visitor):
    assert 'href="/shadow"' in (await jonas.get("/orders")).text
    page = await jonas.get("/shadow")
    assert page.status == 200
    assert "It would have bought nothing yet." in page.text
    assert re.search(r'href="/shadow" aria-current="page"', page.text)


async def test_it_says_what_when_for_how_much_and_what_people_did(made: Plant, kept: list[WatchedLife], jonas: Visitor):
    kept += [watched("first", 40.0), watched("second", 60.0), watched("third", 30.0, code="SET_ASIDE", price=0.0)]
    await lived(made, "first", 55.0, Found.FAILED)
    page = await jonas.get("/shadow")
    for said in (
        "3 times",
        "760.00\N{NO-BREAK SPACE}EUR",
        "1&nbsp;× &lt;b&gt;bearing, 2026-",
        "380.00&nbsp;EUR",
        "nothing: it lies on the shelf",
        "after asking a person",
        "changed it after it had failed",
        "the part would have been there before with 100 %",
        "go on using the part",
        "Would have saved against what people did",
        "Against what really happened, over 1 life of 1 component",
        "(too few lives for an interval)",
        "CNC mill 3, Spindle bearing",
    ):
        assert said.replace("\N{NO-BREAK SPACE}", "&nbsp;") in page.text.replace("\N{NO-BREAK SPACE}", "&nbsp;"), said
    assert page.text.count("<article") == 3
    assert page.text.count("<main") == page.text.count("<h1") == 1
    assert not re.search(r"\{\{|\{%|%\(\w+\)s|Undefined", page.text)


async def test_a_part_that_failed_before_its_own_was_there_is_counted(
    made: Plant, kept: list[WatchedLife], jonas: Visitor
):
    kept.append(watched("first", 40.0))
    await lived(made, "first", 45.0, Found.FAILED)
    page = await jonas.get("/shadow")
    assert "the part would have been there before with 0 %" in page.text
    assert re.search(r"failed before theirs was there</dt><dd class=\"big\">1<", page.text)
    assert "not fitted before the end" in page.text
