"""A person at a real browser: signs in, looks, approves; with script and without, on a telephone, in the dark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.samples import Batch, Provenance, Quality, Sample
from tests.showcase.__main__ import ARGUMENTS, CHROMIUM
from tests.showcase.plant import Plant, plant

playwright = pytest.importorskip("playwright.async_api", reason="the extra `browser` is not installed")
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"there is no browser at {CHROMIUM}")

WAIT_MS = 20_000
"""A machine under load starts a browser slowly; nothing here waits that long where it is idle."""


class Visit:
    """One browser window, and everything that it asked for or complained about."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    async def sign_in(self, made: Plant) -> None:
        await self.page.goto(self.address + await made.link())
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("heading", name="Inbox").wait_for()


@asynccontextmanager
async def visiting(made: Plant, **settings: Any) -> AsyncIterator[Visit]:
    async with made.served() as address, playwright.async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=60_000)
        context = await browser.new_context(**settings)
        visit = Visit(await context.new_page(), address)
        await visit.sign_in(made)
        yield visit
        await browser.close()


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browsed")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, template=lived) as built:
        yield built


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
async def test_a_person_reads_why_and_approves(made, script):
    number = made.numbers["dear"]
    async with visiting(made, java_script_enabled=script) as visit:
        page = visit.page
        card = page.get_by_role("article").filter(has_text=number)
        assert "above the limit of 500.00 EUR" in await card.inner_text()
        await card.get_by_role("link", name="Review and decide").click()
        await page.get_by_role("button", name="Approve 996.80").click()
        await page.get_by_role("status").filter(has_text=f"Order {number} is approved").wait_for()
        assert await page.get_by_role("article").filter(has_text=number).count() == 0
        assert visit.complaints == []
        assert {url.partition("/")[2].partition("/")[2].partition("/")[0] for url in visit.asked} == {
            visit.address.removeprefix("http://")
        }
    row = await made.purchasing.sending.row(number)
    assert (row.state, row.authority, row.decided_by) == ("confirmed", "person", "anna")
    assert made.shops[row.supplier].orders.count(number) == 1


async def test_a_person_rejects_with_a_reason(made):
    number = made.numbers["plain"]
    async with visiting(made) as visit:
        await visit.page.goto(f"{visit.address}/orders/{number}/decide")
        await visit.page.get_by_text("Reject instead").click()
        await visit.page.get_by_label("Why not?").fill("We have one on the shelf.")
        await visit.page.get_by_role("button", name="Reject this order").click()
        await visit.page.get_by_role("status").filter(has_text="is rejected").wait_for()
    assert (await made.purchasing.sending.row(number)).state == "denied"


async def test_values_move_by_themselves_and_an_order_that_moved_is_shown(made):
    async with visiting(made) as visit:
        page = visit.page
        await page.goto(visit.address + "/machines/mill")
        tile = page.locator('[data-tag="mill/spindle-vibration"]')
        await page.get_by_text("Live", exact=True).wait_for()
        now = made.clock()
        made.board.put(
            Batch.of("hall-2", [Sample("mill/spindle-vibration", 6.87, Quality.GOOD, now, now, Provenance.A)])
        )
        await tile.get_by_text("6.87").wait_for()
        await page.goto(visit.address + "/orders")
        await page.get_by_text("Live", exact=True).wait_for()
        number = made.numbers["plain"]
        row = await made.purchasing.sending.row(number)
        await made.actions.deny(number, row.order_hash, "anna", "", "socket")
        made.board.tell({"orders"})
        await page.locator(f'a[href="/orders/{number}"]').get_by_text("rejected by a person").wait_for()
        assert visit.complaints == []


async def test_when_the_gateway_is_gone_nothing_looks_fresh(made):
    async with playwright.async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=60_000)
        page = await browser.new_page()
        async with made.served() as address:
            visit = Visit(page, address)
            await visit.sign_in(made)
            await page.goto(address + "/machines/mill")
            await page.get_by_text("Live", exact=True).wait_for()
        await page.get_by_text("Not live").wait_for()
        assert await page.locator(".tile:not(.stale)").count() == 0
        await browser.close()


async def test_every_page_fits_a_telephone_and_is_dark_where_that_is_wished(made):
    numbers = made.numbers
    paths = ["/", "/machines", "/machines/mill", "/machines/mill/spindle-bearing",
             "/machines/mill/tags/spindle-vibration", "/orders", "/audit", "/enter",
             "/enter/fitted", f"/orders/{numbers['shipped']}", f"/orders/{numbers['dear']}/decide",
             f"/orders/{numbers['shipped']}/answer"]  # fmt: skip
    settings = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    async with visiting(made, **settings) as visit:
        for path in paths:
            await visit.page.goto(visit.address + path)
            width = await visit.page.evaluate("document.documentElement.scrollWidth")
            assert width <= 360, path
            ground = await visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == "rgb(16, 20, 24)", path
        assert visit.complaints == []


async def test_a_keyboard_alone_is_enough(made):
    async with visiting(made) as visit:
        page = visit.page
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        await page.keyboard.press("Enter")
        async with asyncio.timeout(30):
            while await page.evaluate("document.activeElement.textContent") != "Review and decide":
                await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Buy this?").wait_for()
