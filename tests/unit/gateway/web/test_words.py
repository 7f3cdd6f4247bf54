import pytest

from connectors.samples import Quality
from gateway.web import words
from marketplace.authority.policy import Mode
from marketplace.ordering.states import OrderState, RequisitionState
from marketplace.sourcing.award import Cost


@pytest.mark.parametrize("state", [*OrderState, *RequisitionState])
def test_every_state_has_words_and_a_colour(state):
    assert words.state_words(state) != ""
    assert "_" not in words.state_words(state)
    assert words.state_kind(state) in ("wait", "run", "done", "stop", "idle")


def test_what_waits_for_a_person_looks_like_it():
    assert {state for state in OrderState if words.state_kind(state) == "wait"} == {
        OrderState.AWAITING_APPROVAL,
        OrderState.NEEDS_PERSON,
        OrderState.DISPUTED,
    }


def test_every_mode_quality_and_term_has_words():
    for mode in Mode:
        assert words.mode_words(mode) != mode.value or mode is Mode.ADVISE
    assert [words.quality_words(quality) for quality in Quality] == ["good", "uncertain", "bad"]
    for term in Cost:
        assert words.term_words(term) != term.value


def test_a_code_of_a_newer_program_is_shown_as_it_is():
    assert words.state_words("hovering") == "hovering"
    assert words.act_words("moon.landed") == "moon.landed"
    assert words.act_words("order.confirmed") == "Order: confirmed"


def test_the_usual_way_shows_where_an_order_is_and_is_empty_where_it_left_it():
    kinds = [step.kind for step in words.steps("confirmed")]
    assert kinds == ["past", "past", "past", "here", "ahead", "ahead"]
    assert words.steps("denied") == []


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (None, "longer than can be foreseen"),
        (0, "may fail any time"),
        (0.5, "about 12 h"),
        (12.4, "about 12 days"),
        (100, "about 3 months"),
        (800, "about 2.2 years"),
    ],
)
def test_a_remaining_life_is_said_as_people_say_it(days, said):
    assert words.remaining_words(days) == said


@pytest.mark.parametrize(("health", "said"), [(0.9, "good"), (0.4, "wearing"), (0.1, "nearly worn out")])
def test_health_is_said_in_words(health, said):
    assert words.health_words(health) == said
