from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.commands.timeline import WIDTH, timeline
from gateway.views.foresight import Foresight, foresee, under_way, usual
from maintenance.needs import Belief, Provenance
from marketplace.stakes import Supply
from marketplace.timing import Costs, TimingTerms, advise

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
TERMS = TimingTerms(4 * DAY, timedelta(hours=12), timedelta(hours=1), 0.05)


def belief_of(days=100.0, last=0.0, **changes) -> Belief:
    """It fails with equal chance on each day; `last`: who survives what is known ahead."""
    made = Belief.of([0.0, 24.0 * days], [1.0, last], unit="h", use_per_hour=1.0, as_of=NOW, provenance=Provenance.A)
    return replace(made, **changes)


def seen_by(belief: Belief, terms: TimingTerms = TERMS, now: datetime = NOW) -> Foresight:
    return foresee(belief, now, terms, advise(belief, terms, now).parameters)


def test_it_sees_when_it_fails_when_to_decide_and_when_a_part_is_here():
    seen = seen_by(belief_of())
    assert [(at - NOW) / DAY for at in seen.fails] == pytest.approx([10, 25, 50, 75, 90])
    assert (seen.decide_by - NOW) / DAY == pytest.approx(5 - 4 - 13 / 24, abs=1e-4)
    assert seen.arrives - seen.decide_by == timedelta(days=4, hours=12)
    assert seen.words(ZONE).replace("\N{NO-BREAK SPACE}", " ") == (
        "It fails with 10 % by 2026-03-12, as likely as not by 2026-04-21, with 90 % by 2026-05-31. "
        "Decide by 2026-03-02. A part decided on then is expected on 2026-03-07."
    )


def test_what_lies_within_days_is_told_to_the_minute():
    seen = seen_by(belief_of(3.0), replace(TERMS, lead_time=DAY))
    assert "as likely as not by 2026-03-03 21:00" in seen.words(ZONE)
    assert "Decide by 2026-02-28" in seen.words(ZONE)


def test_a_part_that_is_decided_on_late_comes_late():
    seen = seen_by(belief_of(30.0))
    assert seen.decide_by < NOW
    assert seen.arrives == NOW + timedelta(days=4, hours=12)


def test_a_part_comes_when_the_chosen_supply_brings_it():
    costs = Costs("EUR", 400.0, 900.0, 90.0, 0.01)
    supplies = (Supply("slow", 0.0, (480.0,)), Supply("fast", 0.0, (20.0, 30.0)))
    seen = seen_by(belief_of(), replace(TERMS, costs=costs, supplies=supplies))
    assert seen.arrives - max(seen.decide_by, NOW) == timedelta(hours=25)


def test_where_a_part_is_on_its_way_nothing_is_to_be_decided():
    seen = under_way(seen_by(belief_of()), [None, NOW + DAY, NOW + 3 * DAY])
    assert (seen.decide_by, seen.arrives, seen.coming) == (None, NOW + 3 * DAY, True)
    assert "The part that is on its way is expected on 2026-03-05." in seen.words(ZONE)
    assert under_way(seen, [None]) is seen
    told = foresee(belief_of(), NOW, TERMS, {"here_after_hours": "36", "decide_by": "2026-03-09T08:00:00+00:00"})
    assert (told.decide_by, told.arrives, told.coming) == (None, NOW + 1.5 * DAY, True)
    assert foresee(belief_of(), NOW, TERMS, {"here_after_hours": "0"}).arrives is None


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (0.95, "fails with a probability of less than 10 %"),
        (0.7, "even odds lie beyond what is known ahead"),
        (0.3, "90 % lie beyond what is known ahead"),
    ],
)
def test_what_is_not_known_is_said(last, said):
    seen = seen_by(belief_of(last=last, known=False))
    words = seen.words(ZONE).replace("\N{NO-BREAK SPACE}", " ")
    assert said in words
    assert words.endswith("Too little is known to buy on this without a person.")


def test_what_is_never_bought_and_what_outlasts_the_calendar_have_no_days():
    seen = foresee(belief_of(), NOW, None, {})
    assert (seen.decide_by, seen.arrives) == (None, None)
    far = seen_by(belief_of(1e12))
    assert (far.fails, far.decide_by, far.arrives) == ((None,) * 5, None, None)
    assert usual(belief_of(1e12, life=1e300), ZONE) == ""


def test_it_says_how_far_evidence_moved_the_belief_from_a_new_part():
    said = usual(belief_of(life=24.0 * 300, as_of=NOW), ZONE)
    assert said == (
        "Such a part usually lasts 10 months from new; by all of this, even odds are on 2026-04-21, 50 days from then."
    )
    assert usual(belief_of(), ZONE) == usual(belief_of(last=0.9, life=1.0), ZONE) == ""
    assert usual(belief_of(life=1e300), ZONE) == ""


def test_for_programs_every_moment_has_a_time_or_is_null():
    told = seen_by(belief_of(last=0.3)).as_dict()
    assert told["fails"]["0.9"] is None
    assert told["fails"]["0.5"].startswith("2026-05-1")
    assert set(told) == {"fails", "decide_by", "arrives"}


def test_a_timeline_is_a_picture_for_a_terminal():
    lines = timeline(seen_by(belief_of()), ZONE)
    marks, lane, rule, ends, *legend = lines
    assert marks.strip() == "DA"[0] + marks.strip()[1:-1] + "A"
    assert marks.index("D") < marks.index("A") < lane.index("░") < lane.index("▒") < lane.index("█")
    assert (lane.index("█"), len(lane)) == (round((WIDTH - 1) * 50 / 90), WIDTH)
    assert rule == "─" * WIDTH
    assert ends.split() == ["2026-03-02", "2026-05-31"]
    assert legend[1:] == ["D decide by 2026-03-02", "A part is here 2026-03-07"]


moments = st.none() | st.floats(-90, 9000).map(lambda days: NOW + timedelta(days=days))


@settings(max_examples=40)
@given(st.lists(moments, min_size=5, max_size=5), moments, moments)
def test_whatever_is_foreseen_its_timeline_fits_and_goes_with_time(fails, decide_by, arrives):
    fails = sorted(fails, key=lambda at: (at is None, at or NOW))
    lines = timeline(Foresight(NOW, tuple(fails), decide_by, arrives), ZONE)
    assert all(len(line) <= WIDTH for line in lines)
    ahead = [at for at in (*fails, decide_by, arrives) if at is not None and at > NOW]
    assert bool(lines) == bool(ahead)
