"""Wear that nobody measures, from the config to the need: learned by a command, told as a tag."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from connectors.samples import TICKS_PER_SECOND, Batch, Keys, Provenance, Sample, moment_of, ticks_of
from connectors.samples import Quality as Q
from gateway import config, starter
from gateway.backtest.plant_orders import Event, What
from gateway.backtest.playing import Plant as PlayedPlant
from gateway.backtest.playing import Playing
from gateway.backtest.wouldbe import WouldBuy
from gateway.commands.application import application
from gateway.intake import Intake, Sieve
from gateway.learning.wear import WearFileBroken, listened, read_measured, said_of
from gateway.live import Board
from gateway.plants import plant_of
from gateway.recordings import reading
from gateway.recordings.tables import Read, batches, resolver
from gateway.reload import difference, watched
from gateway.storage import NORMAL, Storage
from gateway.yaml_file import Mistakes
from maintenance import history
from maintenance.assets import Fitting, FittingState, Life
from maintenance.estimation import Estimation
from maintenance.monitor import Monitor
from maintenance.needs import Need
from maintenance.store import telemetry
from maintenance.wear_lives import Said
from marketplace.timing import advise
from tests.unit.maintenance.worn_tools import ROWS, tool

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
COMPONENT = "lathe/cutting-tool"
SITE = """
connections:
  hall: {connector: opcua, url: "opc.tcp://10.0.0.5:4840", insecure: true, sampling: 1 s}
machines:
  lathe:
    name: Lathe
    connection: hall
    tags:
      feed: {node: "nsu=urn:x;s=feed", unit: A}
      torque: {node: "nsu=urn:x;s=torque", unit: Nm}
      raw: {node: "nsu=urn:x;s=raw", unit: g, window: true}
      cutting: {node: "nsu=urn:x;s=cutting", unit: s}
      cuts: {node: "nsu=urn:x;s=cuts", unit: "1"}
    features:
      knock: {from: raw, kind: kurtosis, sampling_rate: 25600 Hz}
    estimates:
      wear: {signals: [feed, torque], clocks: [cutting, cuts], every: 1 s, model: models/wear.json}
    components:
      cutting-tool:
        name: Cutting tool
        rated_life: 80 s
        wear: {by: level, tag: wear, as_new: 0 µm, limit: 300 µm, clock: cutting, smoothing: 3 s, frame: 4 s}
        job: {title: Replace, lines: {tool: {item: bearing-7014, quantity: 1}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "toolcrib.yaml"
    starter.write(path, START)
    text = path.read_text()
    start, end = text.index("connections:"), text.index("items: ")
    path.write_text(text[:start] + SITE.lstrip() + "\n" + text[end:])
    (tmp_path / "models").mkdir()
    return path


def edited(path: Path, before: str, after: str) -> Path:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return path


def untold(path: Path) -> str:
    """The one sentence that check and status say of an estimate without a model."""
    loaded = config.load(path)
    (sentence,) = loaded.untold
    assert any(sentence in str(warning) and ":48:" in str(warning) for warning in loaded.warnings), loaded.warnings
    return sentence


def rows_of(part: int) -> Iterator[tuple[int, dict[str, float]]]:
    """What the lathe says while it works with one part after another, by ticks: each for an hour of plant time."""
    life, start = tool(part), ticks_of(START) + part * 3600 * TICKS_PER_SECOND
    base = {"cutting": 1000.0 + part * ROWS, "cuts": 50.0 + part * 10}
    yield start - TICKS_PER_SECOND, base
    for clocks, signals in zip(life.clocks.tolist(), life.signals.tolist(), strict=True):
        at = start + int(clocks[0] * 20) * TICKS_PER_SECOND
        counters = {"cutting": base["cutting"] + clocks[0], "cuts": base["cuts"] + clocks[1]}
        yield at, {"feed": signals[0], "torque": signals[1], **counters}


def measurements(directory: Path, parts: range) -> Path:
    lines = ["part,time,wear"]
    for part in parts:
        start, wear = START + timedelta(hours=part), tool(part).wear
        lines.append(f"t{part},{start.isoformat()},0")
        for row in (20, 40, ROWS):
            lines.append(f"t{part},{(start + timedelta(seconds=20 * row)).isoformat()},{wear[row - 1]}")
    file = directory / "measured.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def recorded(directory: Path, parts: range) -> Path:
    lines = ["time,feed,lathe/torque,cutting,cuts,other"]
    for part in parts:
        for at, said in rows_of(part):
            cells = [str(said.get(name, "")) for name in ("feed", "torque", "cutting", "cuts")]
            lines.append(",".join([moment_of(at).isoformat(), *cells, "on"]))
    file = directory / "lathe.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def learn(site: Path, *words: Any) -> tuple[int, str]:
    result = CliRunner().invoke(application(), ["learn", COMPONENT, "--config", str(site), *map(str, words)])
    return result.exit_code, result.output or str(result.exception)


@pytest.fixture
def learned(site: Path) -> Path:
    """A site whose model was learned; by the command once, as every time gives the same."""
    (site.parent / "models/wear.json").write_text(_model(site))
    return site


_models: list[str] = []


def _model(site: Path) -> str:
    if not _models:
        parts = range(6)
        files = ["--measured", measurements(site.parent, parts), "--telemetry", recorded(site.parent, parts)]
        code, said = learn(site, *files, "--json")
        assert code == 0, said
        facts = json.loads(said)
        assert (facts["parts"], facts["rows"], facts["unit"]) == (6, 6 * ROWS, "µm")
        assert 0 < facts["off_when_new"] <= facts["off_when_worn"] < 200
        _models.append((site.parent / "models/wear.json").read_text())
    return _models[0]


class Plant:
    """The lathe, its gateway as far as needs are concerned, and a person who fits a tool."""

    def __init__(self, site: Path) -> None:
        loaded = config.load(site)
        self.monitor = Monitor(watched(loaded), {COMPONENT: Life("old", COMPONENT, START, used_before=None)})
        self.now, self.keys = START, Keys()
        self.board = Board()
        estimation = Estimation(loaded.estimated)
        self.intake = Intake(self.monitor, self.board, Sieve({}), lambda: self.now, estimation=estimation)

    def work(self, part: int, first: int = 0, last: int = ROWS + 1, factor: float = 1.0) -> Need:
        for number, (at, said) in enumerate(rows_of(part)):
            self.now = moment_of(at)
            if number == 1 and first == 0:
                life = Life(f"l{part}", COMPONENT, self.now)
                self.monitor.fitted(Fitting("f", COMPONENT, self.now, FittingState.DONE, "p", "said"), life)
            if first <= number < last:
                self.hear(said, factor)
        return self.monitor.assess(COMPONENT, self.now)

    def hear(self, said: dict[str, float], factor: float) -> None:
        values = {name: value * (factor if name in ("feed", "torque") else 1.0) for name, value in said.items()}
        samples = [
            Sample(f"lathe/{name}", value, Q.GOOD, self.now, self.now, Provenance.A) for name, value in values.items()
        ]
        self.intake.take(Batch.of("hall", samples, keys=self.keys))


def codes(need: Need) -> list[str]:
    return [each.code for each in need.evidence]


def test_wear_is_learned_by_a_command_and_makes_a_need(learned: Path):
    assert config.load(learned).untold == []
    plant = Plant(learned)
    young = plant.work(40, last=25)
    assert young.belief.known
    assert codes(young)[1] == "LEVEL_ESTIMATED"
    old = plant.work(40, first=25)
    assert old.belief.known
    assert old.health < young.health - 0.2
    true_health = 1 - tool(40).wear[-1] / 300
    assert old.health == pytest.approx(true_health, abs=0.2)
    assert "lathe/wear" in plant.board.readings()


def test_a_backtest_decides_by_the_wear_that_would_have_been_estimated_live(learned: Path):
    """It buys at the first look at which a gateway that heard the same would have."""
    job = "        job: {title: Replace, lines: {tool: {item: bearing-7014, quantity: 1}}}\n"
    buying = "        buying: {lead_time: 0.02 h, price: 90 EUR, standstill: 20 EUR/h, failure: 20 EUR}\n"
    site, look = config.load(edited(learned, job, job + buying)), timedelta(minutes=1)
    plant, file = plant_of(site, look), recorded(learned.parent, range(40, 41))
    fitted = moment_of(next(rows_of(40))[0]) + timedelta(seconds=1)

    def bought(of: PlayedPlant) -> WouldBuy | None:
        run = Playing(of, [Event(fitted, COMPONENT, What.FITTED)])
        return run.play(batches([file], resolver(site.tags), ZoneInfo("UTC"), Read())).open[COMPONENT].bought

    found = bought(plant)
    assert found is not None
    assert not found.asks
    assert bought(replace(plant, estimates={})) is None
    terms = plant.terms(COMPONENT)
    assert terms is not None
    for now in (found.at - look, found.at):
        live = Plant(learned)
        live.work(40, last=sum(moment_of(at) <= now for at, _said in rows_of(40)))
        need = live.monitor.assess(COMPONENT, now)
        wanted = need.told_enough and advise(need.belief, terms, now).buy
        assert (wanted, need.belief.known) == (now == found.at, now == found.at)


def test_a_regime_never_seen_asks_a_person_and_moves_no_health(learned: Path):
    plant = Plant(learned)
    usual = plant.work(40, last=30)
    strange = plant.work(40, first=30, last=36, factor=2.2)
    assert usual.belief.known
    assert not strange.belief.known
    assert "LEVEL_DOUBTED" in codes(strange)
    assert strange.health == pytest.approx(usual.health, abs=0.01)
    assert plant.work(40, first=36, last=45).belief.known


def test_a_part_from_before_anybody_listened_is_never_known_by_its_signals(learned: Path):
    plant = Plant(learned)
    plant.work(40, first=1, last=1)
    for number, (at, said) in enumerate(rows_of(40)):
        plant.now = moment_of(at)
        if number:
            plant.hear(said, 1.0)
    need = plant.monitor.assess(COMPONENT, plant.now)
    assert not need.belief.known
    assert "NO_LEVEL_YET" in codes(need)


def test_a_model_that_is_missing_or_damaged_takes_its_own_tag_alone(learned: Path):
    model = learned.parent / "models/wear.json"
    whole, before = model.read_text(), config.load(learned)
    model.write_text(whole.replace('"floor": ', '"floor": 1', 1))
    assert "its digest does not fit" in untold(learned)
    model.write_text("{" * 5000)
    assert "it is no JSON" in untold(learned)
    model.write_bytes(b"\xff" * 10)
    assert "it is no text" in untold(learned)
    model.unlink()
    assert f"'toolcrib learn {COMPONENT}' writes it" in untold(learned)
    plant = Plant(learned)
    need = plant.work(40)
    assert not need.belief.known
    assert "lathe/wear" not in plant.board.readings()
    assert plant.board.readings()["lathe/feed"].value > 0
    assert difference(before, config.load(learned)).changed["estimated"] == 1
    model.write_text(whole)
    assert difference(before, config.load(learned)).is_empty
    edited(learned, "[feed, torque]", "[torque, feed]")
    assert "it was learned for other signals" in untold(learned)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "signals: [feed, torque]",
            "signals: [feet, torque]",
            ["48:24: machines.lathe.estimates.wear.signals[0]: the machine has no tag feet"],
        ),
        (
            "signals: [feed, torque]",
            "signals: [raw, torque]",
            ["estimates.wear.signals[0]: the machine has no tag raw of a single number"],
        ),
        (
            "signals: [feed, torque]",
            "signals: [feed, feed]",
            ["signals[0]: the tag feed is named twice", "signals[1]: the tag feed is named twice"],
        ),
        ("every: 1 s", "every: 1 A", ["estimates.wear.every: the clock cutting is in s, this is in A"]),
        ("every: 1 s", "every: 0 s", ["estimates.wear.every: must be above nothing"]),
        ("every: 1 s, ", "", ["estimates.wear.every: is missing"]),
        (
            "      wear: {signals",
            "      feed: {signals",
            [
                "estimates.feed: feed is a tag already",
                "estimates.feed: one component",
                "wear.tag: the machine has no tag wear",
            ],
        ),
        (
            "tag: wear,",
            "tag: feed,",
            [
                "48:7: machines.lathe.estimates.wear: one component of the machine wears by an estimate",
                "wear.as_new: the tag feed is in A",
                "wear.limit: the tag feed is in A",
            ],
        ),
        (
            "model: models",
            "unit: mm, model: models",
            ["wear.as_new: the tag wear is in mm", "wear.limit: the tag wear is in mm"],
        ),
        ("tag: wear,", "tag: wear, deviation: torque,", ["wear.deviation: the tag wear is in µm, this is in Nm"]),
    ],
)
def test_every_mistake_of_an_estimate_is_said_where_it_stands(site: Path, before: str, after: str, said: list[str]):
    with pytest.raises(Mistakes) as caught:
        config.load(edited(site, before, after))
    found = [str(mistake) for mistake in caught.value.mistakes]
    assert len(found) == len(said), found
    for start in said:
        assert any(start in line for line in found), found


def test_an_estimate_and_its_deviation_are_tags_of_the_machine(site: Path):
    loaded = config.load(site)
    assert {"wear": "µm", "wear.deviation": "µm", "knock": "1"}.items() <= loaded.units_of("lathe").items()
    assert {"lathe/wear", "lathe/wear.deviation"} <= set(loaded.heard_over("hall"))
    assert loaded.components[COMPONENT].wear.deviation == "wear.deviation"


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ("part,time\n", ":1: the first row names the columns"),
        ("part,time,wear\na,2026-03-02T08:00,0,1\n", ":2: has more cells than there are columns"),
        ("part,time,wear\na,yesterday,0\n", ":2: 'yesterday' is no time"),
        ("part,time,wear\na,2026-03-02T08:00,much\n", ":2: 'much' is no number"),
        ("part,time,wear\na,2026-03-02T08:00,nan\n", ":2: a part has a name"),
        ("part,time,wear\na,2026-03-02T08:00,5\na,2026-03-02T09:00,4\n", ":3: the rows of a part"),
        (
            "part,time,wear\na,2026-03-02T08:00,0\na,2026-03-02T09:00,4\nb,2026-03-02T08:30,0\n",
            "one slot holds one part",
        ),
    ],
)
def test_a_mistake_in_measurements_is_named_by_file_and_line(tmp_path: Path, measured: str, said: str):
    file = tmp_path / "measured.csv"
    file.write_text(measured)
    with pytest.raises(WearFileBroken) as caught:
        read_measured(file, ZoneInfo("Europe/Berlin"))
    assert str(caught.value).startswith("measured.csv:")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ("a,2020-03-02T08:00,0\na,2020-03-02T08:10,9\n", "the part a has 0 rows between"),
        ("", "at least 3 lives"),
    ],
)
def test_what_cannot_be_learned_from_writes_nothing(site: Path, measured: str, said: str):
    file = site.parent / "measured.csv"
    file.write_text("part,time,wear\n" + measured)
    code, told = learn(site, "--measured", file, "--telemetry", recorded(site.parent, range(1)))
    assert code != 0
    assert said in told
    assert not (site.parent / "models/wear.json").exists()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Storage]:
    storage = Storage(tmp_path / "telemetry.db", NORMAL)
    async with storage.write() as tx:
        await tx.run_sync(telemetry.create_all)
    yield storage
    await storage.close()


async def test_what_the_gateway_stored_teaches_the_same_as_a_file(site: Path, database: Storage):
    loaded = config.load(site)
    use = loaded.estimated["lathe/wear"]
    parts = read_measured(measurements(site.parent, range(1)), loaded.zone)
    samples = [
        Sample(f"lathe/{name}", value, Q.GOOD, moment_of(at), moment_of(at), Provenance.A)
        for at, said in rows_of(0)
        for name, value in said.items()
    ]
    batch, numbered = Batch.of("hall", samples), history.Numbered()
    async with database.write() as tx:
        numbered.learn(batch.keys, await history.tag_ids(tx, batch.keys))
        await history.save_flush(tx, history.flush_of([batch], numbered), "reader", ("journal", 1))

    def said(path: Path) -> dict[str, list[Said]]:
        read, tags = Read(), {tag.key for tag in (*use.signals, *use.clocks)}
        return said_of(reading.batches([path], tags, loaded.zone, read, *listened(parts)), use, parts, read)

    stored = await asyncio.to_thread(said, site.parent)
    assert len(stored["t0"]) > 4 * ROWS
    assert stored == await asyncio.to_thread(said, recorded(site.parent, range(1)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2026-03-02T11:59:00,1.5", "lathe.csv:246: 2 cells instead of 6"),
        ("2026-03-02T11:59:00,much,1,2,3,on", "lathe.csv:246: 'much' is no number"),
        ("soon,1,1,2,3,on", "lathe.csv:246: 'soon' is no time"),
    ],
)
def test_a_mistake_in_what_was_said_is_named_and_nothing_is_learned(site: Path, line: str, said: str):
    file = recorded(site.parent, range(4))
    file.write_text(file.read_text() + line + "\n")
    code, told = learn(site, "--measured", measurements(site.parent, range(4)), "--telemetry", file)
    assert code != 0
    assert said in told
    assert not (site.parent / "models/wear.json").exists()
