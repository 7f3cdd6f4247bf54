import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance.needs import Evidence
from marketplace.evidence import Role, weighed
from marketplace.sentences import EVIDENCE

TIMING = {"FAILURE_BEFORE_ARRIVAL", "WAITING_COSTS_MORE", "NOT_YET"}


def clock(name: str, used: str) -> Evidence:
    return Evidence("USAGE_BY_CLOCK", {"clock": name, "used": used, "rated": "1000", "unit": "h"})


def test_what_moves_the_belief_comes_first_by_its_weight_then_doubts_then_the_rest():
    reading = Evidence("READING", {"value": "3"})
    doubt = Evidence("CLOCK_PAST_UNKNOWN", {"clock": "hours"})
    told = weighed([reading, doubt, clock("hours", "300"), clock("strokes", "900")], 0.1)
    assert [each.evidence for each in told] == [clock("strokes", "900"), clock("hours", "300"), doubt, reading]
    assert [each.share for each in told] == [0.9, 0.3, None, None]
    assert [each.words() for each in told] == [
        "90 % of the way to worn out",
        "30 % of the way to worn out",
        "a person is asked for this alone",
        "",
    ]


def test_a_deviation_weighs_as_health_says_and_each_signal_by_its_own_distance():
    whole = Evidence("DEVIATION", {"ratio": "6", "failure": "10"})
    tags = [
        Evidence("DEVIATION_TAG", {"tag": name, "z": z}) for name, z in (("a", "+2.0"), ("b", "-8.0"), ("c", "+30"))
    ]
    told = weighed([whole, *tags], 0.4)
    assert [(each.evidence.parameters.get("tag"), each.share) for each in told] == [
        ("c", 1.0), ("b", 0.8), (None, pytest.approx(0.6)), ("a", 0.2)]  # fmt: skip


def test_a_model_weighs_by_what_it_leaves_of_a_usual_life_and_lives_by_how_they_move_it():
    model = Evidence("MODEL", {"left": "250", "unit": "h", "lives": "9", "version": "a"})
    assert weighed([model], 0.5, 1000.0)[0].share == 0.75
    assert weighed([model], 0.5)[0].share is None
    usage = Evidence("USAGE", {"used": "100", "rated": "1000", "unit": "h"})
    lives = Evidence("LIFETIMES", {"usual": "1300", "unit": "h"})
    assert weighed([usage, lives], 0.9)[0].words() == "moves the usual life by 30 %"
    by_clock = Evidence("LIFETIMES_BY_CLOCK", {"usual": "500", "rated": "400", "unit": "starts", "clock": "starts"})
    assert weighed([by_clock], 0.9)[0].words() == "moves the usual life by 25 %"


def test_what_was_not_recorded_has_no_weight_and_keeps_its_place():
    told = weighed([Evidence("USAGE", {}), Evidence("USAGE_BY_CLOCK", {"used": "x", "rated": "0"})], None)
    assert [(each.evidence.code, each.share, each.in_brackets()) for each in told] == [
        ("USAGE", None, ""), ("USAGE_BY_CLOCK", None, "")]  # fmt: skip


figures = st.floats().map(str) | st.sampled_from(["", "?", "1e999", "+3.2"])
reasons = st.builds(
    Evidence,
    st.sampled_from(sorted(set(EVIDENCE) - TIMING)) | st.just("NEWER_CODE"),
    st.dictionaries(st.sampled_from(["used", "rated", "z", "failure", "left", "usual", "ratio"]), figures),
)


@settings(max_examples=40)
@given(st.lists(reasons, max_size=5), st.none() | st.floats(0, 1), st.none() | st.floats(1e-3, 1e9))
def test_whatever_is_told_each_reason_is_told_once_and_no_weight_leaves_its_bounds(told, health, life):
    found = weighed(told, health, life)
    assert sorted(map(id, told)) == sorted(id(each.evidence) for each in found)
    assert all(each.share is None or 0.0 <= each.share <= 1.0 for each in found)
    moving = [each.share or 0.0 for each in found if each.role is Role.MOVES]
    assert moving == sorted(moving, reverse=True)
    assert not any(math.isnan(share) for share in moving)
