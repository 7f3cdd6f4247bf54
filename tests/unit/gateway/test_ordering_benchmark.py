"""Engines made by chance, written as NASA writes them, are bought for without anybody having seen one fail."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from connectors.simulator.recordings import CMapss, Recording, RecordingError
from gateway.benchmarks import ordering
from gateway.benchmarks.engines import FOLDS, HEALTHY, PEERS, RATED, believed, engines_of, folds, histories
from gateway.benchmarks.ordering import Task, bought, decided, lives, measure
from gateway.cli import main
from gateway.replacement import Course
from marketplace.timing import TimingTerms


def engines(directory: Path, count: int = 10) -> Path:
    """Write engines that fail once they are far enough from what they were."""
    rng, lines = random.Random(5), []
    for unit in range(1, count + 1):
        life = rng.randrange(120, 220)
        for cycle in range(1, life + 1):
            drift = max(0.0, (cycle - life + 90) / 90) ** 2 * 5.0
            sensors = [100.0 + 0.5 * (rng.gauss(0, 1) + drift * (-1) ** number) for number in range(21)]
            lines.append(" ".join([str(unit), str(cycle), "0", "0", "100", *(f"{value:.4f}" for value in sensors)]))
    (directory / "train_FD001.txt").write_text("\n".join(lines) + "\n")
    return directory


def read(directory: Path) -> tuple[Recording, ...]:
    file = CMapss("FD001").find(directory)
    assert file is not None
    return CMapss("FD001").read(file)


OPERATING_POINTS = ((0, 0, 100), (10, 0.25, 100), (20, 0.7, 100), (25, 0.62, 60), (35, 0.84, 100), (42, 0.84, 100))


def flown(engine: Recording, seed: int) -> Recording:
    """Return an engine as if each cycle had been at one of six operating points, each of which moves every sensor and
    lets it say as much of wear as before; settings tremble as those of NASA's files do."""
    rng, maps = random.Random(seed + engine.unit), random.Random(seed)
    told = {point: [(maps.uniform(-900, 900), maps.uniform(0.5, 1.6)) for _ in range(21)] for point in OPERATING_POINTS}
    rows = []
    for row in engine.rows:
        altitude, mach, throttle = point = rng.choice(OPERATING_POINTS)
        settings = (altitude + rng.uniform(-0.005, 0.005), mach + rng.uniform(0, 0.002), float(throttle))
        rows.append(
            (*settings, *(offset + scale * value for (offset, scale), value in zip(told[point], row[3:], strict=True)))
        )
    return Recording(engine.unit, engine.channels, tuple(rows))


def test_an_engine_alone_is_bought_for_as_well_when_it_flies_in_six_ways(tmp_path: Path):
    early = []
    for engine in read(engines(tmp_path))[:6]:
        arrivals = [bought(Task(each, ())).planned for each in (engine, flown(engine, 3))]
        assert None not in arrivals
        early.append(arrivals[0] - arrivals[1])
    assert abs(sum(early)) <= 10 * len(early)


def test_lives_say_the_same_when_they_are_flown_in_six_ways(tmp_path: Path):
    plain = read(engines(tmp_path))
    told, again = (histories(each, each) for each in (plain, [flown(engine, 3) for engine in plain]))
    for unit, life in told.items():
        assert np.std(again[unit].frames - life.frames) < 0.2 * np.std(life.frames)


def test_every_unit_is_in_one_fold():
    made = folds(range(1, 24), "7/0")
    assert len(made) == FOLDS
    assert sorted(unit for fold in made for unit in fold) == list(range(1, 24))
    assert made == folds(range(1, 24), "7/0") != folds(range(1, 24), "7/1")


@pytest.mark.long
@pytest.mark.long  # sixty engines
def test_engines_are_bought_for_in_time_at_little_more_than_foresight_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    told = tmp_path / "decisions.json"
    assert main(["benchmark", "ordering", "--data", str(engines(tmp_path)), "--json", "--decisions", str(told)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 1.0 < found["interval"][0] <= found["cost_ratio"] <= found["interval"][1] < 2.5
    assert set(found["rating_changes"]) == {"0.7", "1.3"}
    units = json.loads(told.read_text())["units"]
    assert [each["unit"] for each in units] == list(range(1, 11))
    assert all(each["order"] is None or each["replace"] == each["order"] + 20 for each in units)
    for how in ("no_history", "own_past_alone"):
        low, high = found[how]["interval"]
        assert 1.0 < low <= found[how]["ratio"] <= high < 2.5
        assert found[how]["failures"] <= 0.2
    assert found["units"] == 10


def test_what_an_engine_has_not_lived_yet_changes_no_order(tmp_path: Path):
    engine, *others = read(engines(tmp_path))
    peers = tuple(Recording(one.unit, one.channels, one.rows[:HEALTHY]) for one in others[:PEERS])
    course = bought(Task(engine, peers))
    assert course.arrival is not None
    ordered = course.arrival - 20
    cut = Recording(engine.unit, engine.channels, engine.rows[: ordered + 1])
    assert bought(Task(cut, peers)).arrival == course.arrival


def test_every_engine_is_decided_by_lives_that_it_is_not_among(tmp_path: Path):
    known = engines_of(engines(tmp_path, 20), "FD001")
    for lived in lives(known, "7/0", 5):
        deciding = {each.unit for each in lived.ended}
        for task in lived.engines:
            assert task.engine.unit not in deciding | {peer.unit for peer in task.peers}
            assert all(len(peer) == HEALTHY for peer in task.peers)
        assert len(lived.ended) == 5


def test_without_lives_that_have_ended_the_rule_decides_and_is_played_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    known, played = engines_of(engines(tmp_path), "FD001"), []

    def counted(task: Task, terms: TimingTerms) -> Course:
        played.append(task.engine.unit)
        return bought(task, terms)

    monkeypatch.setattr(ordering, "bought", counted)
    lived = lives(known, "7/0", 0)[0]
    assert not lived.ended
    with ThreadPoolExecutor(1) as pool:
        found = decided(pool, [lived, lived])
    courses = {task.engine.unit: bought(task) for task in lived.engines}
    assert found == [("rule", courses), ("rule", courses)]
    assert sorted(played) == sorted(courses)


def test_a_life_is_comparable_over_regimes_and_its_future_changes_none_of_its_past(tmp_path: Path):
    known = list(engines_of(engines(tmp_path), "FD001").values())
    whole = histories(known[:1], known[1:])[1]
    cut = Recording(1, known[0].channels, known[0].rows[:100])
    assert histories([cut], known[1:])[1].frames.tolist() == whole.frames[:100].tolist()
    assert abs(whole.frames[:HEALTHY].mean()) < 1.0


def test_what_is_believed_is_only_what_is_known_well(tmp_path: Path):
    known = engines_of(engines(tmp_path), "FD001")
    found = believed(known[1], (), 10)
    assert min(found) > HEALTHY
    assert all(belief.life == RATED for belief in found.values())


def test_peers_tell_what_is_noise(tmp_path: Path):
    engine, *others = read(engines(tmp_path))
    loud = tuple(
        Recording(one.unit, one.channels, tuple(tuple(50 * value for value in row) for row in one.rows[:HEALTHY]))
        for one in others[:PEERS]
    )
    assert bought(Task(engine, loud)).arrival != bought(Task(engine, ())).arrival


def test_where_there_are_no_engines_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(RecordingError, match="FD003"):
        measure(tmp_path, "FD003", 0)
    assert main(["benchmark", "ordering", "--data", str(tmp_path)]) == 1
    assert "FD001" in capsys.readouterr().err
