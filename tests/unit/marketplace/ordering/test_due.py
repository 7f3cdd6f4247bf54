from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.documents import Delivery
from marketplace.ordering.due import IN_HAND, POLLED, Reminder, Step, asked_until, poll_wait, reminder, step
from marketplace.ordering.states import ENDED, OrderState
from marketplace.ordering.terms import PurchasingTerms

S = OrderState
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TERMS = PurchasingTerms("EUR", "DE", Delivery("N", "", "", "", "", "", ""))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Standing:
    state: OrderState
    quoted_until: datetime = NOW + 14 * DAY
    next_ask_at: datetime | None = None
    changed_at: datetime = NOW
    promised_at: datetime | None = None
    problem: str = ""


@pytest.mark.parametrize("state", OrderState)
def test_every_open_state_but_that_of_a_person_has_a_step(state):
    assert (state in IN_HAND) == (state not in ENDED and state is not S.NEEDS_PERSON)
    found = step(Standing(state, quoted_until=NOW), TERMS, NOW)
    assert (found is Step.LEAVE) == (state not in IN_HAND)


@pytest.mark.parametrize("state", sorted(IN_HAND - {S.AWAITING_APPROVAL}))
def test_what_waits_for_its_time_is_left_alone_until_then(state):
    order = Standing(state, next_ask_at=NOW + HOUR)
    assert step(order, TERMS, NOW) is Step.LEAVE
    assert step(order, TERMS, NOW + HOUR) is not Step.LEAVE


def test_an_approval_waits_as_long_as_its_quotation():
    order = Standing(S.AWAITING_APPROVAL)
    assert step(order, TERMS, NOW) is Step.LEAVE
    assert step(order, TERMS, order.quoted_until) is Step.EXPIRE


@pytest.mark.parametrize(
    ("state", "wait", "told"),
    [
        (S.SUBMITTED, TERMS.answer_within, Reminder("NO_ANSWER", NOW)),
        (S.CONFIRMED, TERMS.answer_within + TERMS.late_after, Reminder("DELIVERY_LATE", NOW + TERMS.answer_within)),
        (S.SHIPPED, TERMS.answer_within + TERMS.late_after, Reminder("DELIVERY_LATE", NOW + TERMS.answer_within)),
        (S.RECEIVED, TERMS.invoice_within, Reminder("INVOICE_MISSING", NOW)),
    ],
)
def test_a_wait_has_an_end_at_which_a_person_is_told_since_when(state, wait, told):
    order = Standing(state, next_ask_at=NOW + 1000 * DAY)
    assert reminder(order, TERMS, NOW + wait - HOUR) is None
    assert reminder(order, TERMS, NOW + wait) == told
    assert step(order, TERMS, NOW + wait) is Step.REMIND
    order.problem = "told"
    assert reminder(order, TERMS, NOW + wait) is None


def test_a_promise_counts_from_its_day():
    order = Standing(S.CONFIRMED, promised_at=NOW + 20 * DAY)
    assert reminder(order, TERMS, NOW + 21 * DAY) is None
    assert reminder(order, TERMS, NOW + 22 * DAY) == Reminder("DELIVERY_LATE", NOW + 20 * DAY)


def test_a_dispute_reminds_of_itself():
    assert reminder(Standing(S.DISPUTED), TERMS, NOW + 1000 * DAY) is None


@given(
    st.sampled_from(sorted(POLLED)),
    st.integers(0, 10**6),
    st.booleans(),
    st.integers(-100, 100),
    st.integers(-100, 100),
)
def test_no_order_is_left_in_silence_for_ever(state, minutes, promised, days, hours):
    """Two years on, whatever waits has been asked about or told to a person."""
    order = Standing(state, promised_at=NOW + days * DAY if promised else None, next_ask_at=NOW + hours * HOUR)
    told = step(order, TERMS, NOW + 730 * DAY + timedelta(minutes=minutes))
    assert told in (Step.REMIND, Step.POLL) or state is S.DISPUTED  # a dispute stands before a person all the time


@pytest.mark.parametrize(("state", "problem", "waits"), [(S.RECEIVED, "told", 2), (S.DISPUTED, "told", 1)])
def test_goods_that_are_here_are_asked_about_rarely_and_at_last_no_more(state, problem, waits):
    """From goods to the end of asking: about one question a day, and then none."""
    order, now, questions = Standing(state, problem=problem), NOW, 0
    while step(order, TERMS, now) is Step.POLL:
        wait = poll_wait(order, TERMS, now)
        assert TERMS.poll_every <= wait <= TERMS.poll_rarely
        questions, now = questions + 1, now + wait
    assert now >= asked_until(order, TERMS) == NOW + waits * TERMS.invoice_within
    assert questions == 7 + 60 * waits  # where a steady poll asks 96 times a day
    assert step(order, TERMS, now + 1000 * DAY) is Step.LEAVE


@pytest.mark.parametrize(("state", "waits"), [(S.RECEIVED, 2), (S.DISPUTED, 1)])
def test_the_end_of_asking_is_a_moment(state, waits):
    order, end = Standing(state, problem="told"), NOW + waits * TERMS.invoice_within
    assert step(order, TERMS, end - timedelta(microseconds=1)) is Step.POLL
    assert step(order, TERMS, end) is Step.LEAVE


def test_an_invoice_is_known_after_twice_its_time_at_the_latest():
    order = Standing(S.RECEIVED)
    assert poll_wait(order, TERMS, NOW + 3 * HOUR) == 3 * HOUR
    assert poll_wait(order, TERMS, NOW + 3 * DAY) == DAY
    assert poll_wait(order, TERMS, NOW - DAY) == TERMS.poll_every  # the clock went back


@pytest.mark.parametrize("state", sorted(POLLED - {S.RECEIVED, S.DISPUTED}))
def test_goods_that_are_to_come_are_asked_about_steadily(state):
    assert poll_wait(Standing(state), TERMS, NOW + 30 * DAY) == TERMS.poll_every
    assert asked_until(Standing(state), TERMS) is None


def test_a_plant_that_polls_more_rarely_than_that_never_polls_more_often():
    terms = replace(TERMS, poll_every=3 * DAY)
    assert poll_wait(Standing(S.RECEIVED), terms, NOW + 30 * DAY) == 3 * DAY
