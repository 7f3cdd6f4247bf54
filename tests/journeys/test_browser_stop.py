"""A person at a real browser stops buying: with script and without, on a telephone, by keyboard alone, in the dark."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marketplace.authority import alarms
from marketplace.authority.alarms import AlarmCode
from marketplace.authority.scopes import Scope, ScopeKind
from tests.journeys.test_browser_approval import visiting
from tests.showcase.__main__ import CHROMIUM
from tests.showcase.data import NOW, OWNER
from tests.showcase.plant import Plant, plant

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"there is no browser at {CHROMIUM}")

TELEPHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
TOUCHABLE = 40
"""CSS pixels; what a thumb hits without looking (WCAG 2.2 asks for 24)."""


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture
async def made(tmp_path: Path, lived: Path) -> AsyncIterator[Plant]:
    async with plant(tmp_path, template=lived) as built:
        yield built


async def state(made: Plant, number: str) -> str:
    return str((await made.purchasing.sending.row(made.numbers[number])).state)


@pytest.mark.parametrize(
    "script", [True, pytest.param(False, marks=pytest.mark.long)], ids=["with script", "without script"]
)
async def test_a_person_stops_the_plant_on_a_telephone_and_lifts_it_again(made, script):
    async with visiting(made, java_script_enabled=script, **TELEPHONE) as visit:
        page = visit.page
        switch = page.get_by_role("link", name="Stop buying")
        box = await switch.bounding_box()
        assert box["height"] >= TOUCHABLE
        assert box["x"] + box["width"] <= 360
        await switch.tap()
        await page.get_by_role("link", name="Stop the whole plant").tap()
        await page.get_by_label("Why?").fill("The hall is flooded.")
        assert await state(made, "dear") == "awaiting_approval"
        await page.get_by_role("button", name="Stop buying now").tap()
        await page.get_by_role("status").filter(has_text="Buying is stopped").wait_for()
        assert await state(made, "dear") == "cancelled"
        await page.goto(visit.address + "/machines")
        banner = page.get_by_role("region", name="Where buying is stopped")
        assert "Anna Weber · “The hall is flooded.”" in await banner.inner_text()
        await banner.get_by_role("link", name="Lift").tap()
        await page.get_by_role("button", name="Lift this stop").tap()
        await page.get_by_role("status").filter(has_text="The stop is lifted").wait_for()
        assert await page.get_by_role("region", name="Where buying is stopped").count() == 0
        assert visit.complaints == []


@pytest.mark.long
async def test_a_stop_that_somebody_else_sets_shows_itself(made):
    async with visiting(made) as visit:
        await visit.page.get_by_text("Live", exact=True).wait_for()
        await made.actions.stop("supplier", "kontor", "", "anna", "socket")
        made.board.tell({"orders", "needs"})
        await visit.page.get_by_text("Buying is stopped: the supplier Kontor Lagertechnik").wait_for()
        assert visit.complaints == []


async def test_a_person_has_seen_an_alarm(made):
    async with made.spend.write() as tx:
        scope, figures = Scope(ScopeKind.SUPPLIER, "express"), {"order": made.numbers["dear"]}
        await alarms.raise_alarm(tx, OWNER, AlarmCode.OTHER_TERMS, scope, "express", NOW, parameters=figures)
    async with visiting(made) as visit:
        await visit.page.get_by_role("button", name="I have seen it").click()
        await visit.page.get_by_role("status").filter(has_text="acknowledged").wait_for()
        assert await visit.page.get_by_role("button", name="I have seen it").count() == 0


async def test_a_keyboard_alone_stops_a_machine(made):
    async with visiting(made) as visit:
        page = visit.page
        await until_focus(page, "Stop buying")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Stop buying", exact=True).wait_for()
        await until_focus(page, "Conveyor 12")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Stop buying for the machine Conveyor 12?").wait_for()
        await until_focus(page, "Stop buying now")
        await page.keyboard.press("Enter")
        await page.get_by_role("region", name="Where buying is stopped").wait_for()
        assert await state(made, "dear") == "cancelled"


async def until_focus(page, text: str) -> None:
    async with asyncio.timeout(30):
        while not (await page.evaluate("document.activeElement.textContent.trim()")).startswith(text):
            await page.keyboard.press("Tab")


CONTRAST = """() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((c) => c / 255)
      .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const said = ".stopped strong, .stopped .small, .button.halt, .stop-link, .row-go, .alarm h2";
  return [...document.querySelectorAll(said)].map((node) => {
      const [light, dark] = [luminance(getComputedStyle(node).color), luminance(ground(node))].sort((a, b) => b - a);
      return [node.className || node.tagName, (light + 0.05) / (dark + 0.05)];
    });
}"""


OFTEN = [(320, "dark"), (1280, "light")]
SELDOM = [pytest.param(*each, marks=pytest.mark.long) for each in ((320, "light"), (360, "dark"), (1280, "dark"))]


@pytest.mark.parametrize(("width", "scheme"), [*OFTEN, *SELDOM])
async def test_every_page_of_the_switch_fits_and_can_be_read(made, scheme, width):
    await made.actions.stop("machine", "press", "Hydraulics are being rebuilt until Thursday.", "anna", "web")
    async with made.spend.write() as tx:
        scope, figures = Scope(ScopeKind.SUPPLIER, "express"), {"order": made.numbers["dear"]}
        await alarms.raise_alarm(tx, OWNER, AlarmCode.OTHER_TERMS, scope, "express", NOW, parameters=figures)
    paths = ["/", "/stop", "/stop/confirm?scope=plant", "/stop/lift?scope=machine&key=press", "/machines/mill"]
    async with visiting(made, viewport={"width": width, "height": 740}, color_scheme=scheme) as visit:
        for path in paths:
            await visit.page.goto(visit.address + path)
            assert await visit.page.evaluate("document.documentElement.scrollWidth") <= width, path
            for what, contrast in await visit.page.evaluate(CONTRAST):
                assert contrast >= 4.5, (path, what, contrast)
        assert visit.complaints == []
