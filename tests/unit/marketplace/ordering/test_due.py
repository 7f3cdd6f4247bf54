from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.documents import Delivery
from marketplace.ordering.due import IN_HAND, POLLED, Reminder, Step, reminder, step
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
    assert step(order, TERMS, NOW + 730 * DAY + timedelta(minutes=minutes)) in (Step.REMIND, Step.POLL)
