"""What is bought over a recording: decided as a live gateway decides, life by life."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.samples import Batch, Provenance, Quality, Sample
from gateway.backtest.plant_orders import Event, What
from gateway.backtest.playing import Plant, Played, Playing
from gateway.backtest.wouldbe import WatchedLife
from gateway.config import Config
from gateway.recordings.tables import Read, batches, resolver
from gateway.reload import watched
from maintenance.assets import Life
from maintenance.monitor import Monitor
from marketplace.timing import advise
from marketplace.windows import PlantWindows, Weekly

from .conftest import START

UTC = ZoneInfo("UTC")
TAGS = ("press/hours", "press/belt")
Recording = Callable[[Sequence[float]], Path]


def told(file: Path) -> Iterator[Batch]:
    return batches([file], resolver(TAGS), UTC, Read())


def play(plant: Plant, file: Path, events: Sequence[Event] = (), **how: bool) -> Played:
    return Playing(plant, events, **how).play(told(file))


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_a_belt_is_bought_in_time_and_its_reset_ends_the_life(plant: Plant, recording: Recording):
    played = play(plant, recording([980, 200]), new=True)
    (ended,) = played.ended
    assert ended.at == after(984)
    bought = ended.watched.bought
    assert bought is not None
    assert after(500) < bought.at < after(984 - 120)
    assert ended.watched.there == bought.at + timedelta(days=5)
    assert (bought.lines, bought.price, bought.currency) == ((("bearing-7014", "2", "C62"),), 400.0, "EUR")
    assert (ended.lived.hours, ended.lived.failed, ended.told) == (984.0, False, None)
    assert [each.life for each in played.open.values()] != [ended.watched.life]
    assert played.whole


def test_what_is_not_bought_for_is_not_decided_upon(plant: Plant, recording: Recording):
    assert set(play(plant, recording([980])).open) == {"press/belt"}


def test_a_decision_is_what_the_monitor_and_timing_say_at_that_moment(plant: Plant, site: Config, recording: Recording):
    """The same samples through a monitor by hand, decision by decision, buy at the same moment for the same reason."""
    file = recording([980])
    played = play(plant, file, new=True)
    (bought,) = [each.bought for each in played.open.values()]
    terms = plant.terms("press/belt")
    assert bought is not None
    assert terms is not None
    by_hand = Monitor(watched(site), {key: Life(key, key, START, 0.0) for key in site.components})
    samples = [sample for batch in told(file) for sample in batch]
    first, now = None, START
    by_hand.fold(Batch.of("", [each for each in samples if each.source_time == START]))
    while first is None:
        now += plant.timing.step
        by_hand.fold(Batch.of("", [each for each in samples if now - plant.timing.step < each.source_time <= now]))
        by_hand.connection_alive(TAGS, now)
        advice = advise(by_hand.assess("press/belt", now).belief, terms, now)
        first = advice if advice.buy else None
    assert (now, first.code, first.parameters) == (bought.at, bought.code, bought.parameters)


def test_the_same_recording_gives_the_identical_purchases(plant: Plant, recording: Recording):
    file = recording([980, 700, 990])
    one, other = (play(plant, file, new=True) for _ in range(2))
    assert [each.watched.document() for each in one.ended] == [each.watched.document() for each in other.ended]


def test_how_a_recording_is_cut_into_pieces_changes_nothing(plant: Plant, recording: Recording):
    file = recording([980, 700])
    samples = [sample for batch in told(file) for sample in batch]
    pieces = [Batch.of("", samples[at : at + 7]) for at in range(0, len(samples), 7)]
    one, other = play(plant, file, new=True), Playing(plant, (), new=True).play(pieces)
    assert [each.watched.document() for each in one.ended] == [each.watched.document() for each in other.ended]


def test_what_the_plant_tells_of_a_component_goes_before_its_counter(plant: Plant, recording: Recording):
    events = [
        Event(after(984), "press/belt", What.FAILED),
        Event(after(990), "press/belt", What.FITTED),
    ]
    played = play(plant, recording([980, 200]), events, new=True)
    (ended,) = played.ended
    assert (ended.at, ended.lived.failed) == (after(984), True)
    assert [each.began for each in played.open.values()] == [after(990)]


def test_a_failure_just_after_the_last_sample_ends_what_it_tells_of(plant: Plant, recording: Recording):
    played = play(plant, recording([980]), [Event(after(984), "press/belt", What.FAILED)], new=True)
    assert [each.at for each in played.ended] == [after(984)]
    assert played.open == {}


def test_a_part_whose_beginning_nobody_knows_is_not_counted_as_whole(plant: Plant, recording: Recording):
    (first,) = play(plant, recording([500])).open.values()
    assert not first.whole
    events = [Event(START, "press/belt", What.FITTED)]
    (second,) = play(plant, recording([500]), events).open.values()
    assert second.whole


def test_a_belt_on_the_shelf_is_taken_before_one_is_ordered(plant: Plant, recording: Recording):
    events = [Event(after(-90), "press/belt", What.RECEIVED)]
    played = play(plant, recording([980, 990]), events, new=True)
    first, second = played.ended[0].watched, played.open["press/belt"]
    assert first.bought is not None
    assert second.bought is not None
    assert (first.bought.code, first.bought.price, first.there) == ("SET_ASIDE", 0.0, first.bought.at)
    assert (second.bought.code, second.bought.price) == ("WAITING_COSTS_MORE", 400.0)


def test_a_belt_that_fails_early_is_replaced_by_what_the_plant_had_ordered(plant: Plant, recording: Recording):
    order = [Event(after(-10), "press/belt", What.ORDERED), Event(after(124), "press/belt", What.RECEIVED)]
    events = [*order, Event(after(100), "press/belt", What.FAILED), Event(after(130), "press/belt", What.FITTED)]
    in_order = sorted(events, key=lambda each: each.at)
    (ended,) = play(plant, recording([132, 48]), in_order, new=True).ended
    costs = plant.terms("press/belt").costs
    assert (ended.watched.bought, ended.spare) == (None, 24.0)
    ours = ended.watched.ours(ended.lived, costs, plant.terms("press/belt"), ended.spare)
    assert ours.cost == costs.failure + 24 * costs.standstill


def test_a_belt_is_fitted_in_a_maintenance_window(plant: Plant, recording: Recording):
    sundays = replace(plant, windows=PlantWindows(((Weekly.parse("sunday 00:00-24:00"), ()),), UTC))
    anytime, in_windows = (play(each, recording([990]), new=True).open["press/belt"] for each in (plant, sundays))
    assert in_windows.bought is not None
    fit_by = datetime.fromisoformat(in_windows.bought.parameters["fit_by"])
    assert fit_by.weekday() == 6
    assert "fit_by" not in anytime.bought.parameters


def test_what_lives_taught_counts_for_those_that_begin_later_and_never_before(plant: Plant, recording: Recording):
    """Every life is decided upon as if the recording ended with it."""
    lives = [700, 720, 690, 710]
    run = Playing(plant, (), resets_fail=True, new=True)
    whole = run.play(told(recording(lives)))
    assert next((each.phase.value, each.lives) for each in run.school.standings().values()) == ("adaptable", 3)
    for count in range(1, len(lives)):
        part = play(plant, recording(lives[:count]), resets_fail=True, new=True)
        assert [each.watched.document() for each in whole.ended[: count - 1]] == [
            each.watched.document() for each in part.ended
        ]


def test_a_silence_of_years_is_not_decided_through(plant: Plant):
    def sample(at: datetime) -> Sample:
        return Sample("press/belt", 1.0, Quality.GOOD, at, at, Provenance.B)

    far = [Batch.of("", [sample(START)]), Batch.of("", [sample(START + timedelta(days=20_000))])]
    assert Playing(plant, ()).play(far).decisions < 10


def test_what_was_found_is_there_when_it_is_cut_off(plant: Plant, recording: Recording):
    def cut() -> Iterator[Batch]:
        yield from told(recording([980, 300]))
        raise KeyboardInterrupt

    run = Playing(plant, (), new=True)
    with pytest.raises(KeyboardInterrupt):
        run.play(cut())
    assert not run.played.whole
    assert len(run.played.ended) == 1


def test_a_watched_life_comes_back_from_its_document(plant: Plant, recording: Recording):
    (ended,) = play(plant, recording([980, 200]), new=True).ended
    assert WatchedLife.of(ended.watched.document()) == ended.watched


moments = st.integers(-100, 400).map(after)
told_events = st.lists(st.builds(Event, moments, st.just("press/belt"), st.sampled_from(What)), max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=told_events)
def test_whatever_the_plant_tells_lives_follow_each_other(plant: Plant, pieces: Sequence[Batch], events: list[Event]):
    in_order = sorted(events, key=lambda each: each.at)
    played = Playing(plant, in_order).play(pieces)
    lives = sorted((each.watched.began, each.at) for each in played.ended)
    assert all(began < at for began, at in lives)
    assert all(at <= following for (_began, at), (following, _at) in pairwise(lives))
    assert all(at <= each.began for each in played.open.values() for _began, at in lives)


@pytest.fixture
def pieces(recording: Recording) -> Sequence[Batch]:
    return list(told(recording([300])))
