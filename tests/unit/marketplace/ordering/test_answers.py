from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.documents import DespatchAdvice, GoodsReceipt, Invoice, OrderResponse, Reply, ResponseLine
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.answers import (
    AnswerBroken,
    LineSum,
    add_received,
    add_shipped,
    fingerprint,
    judge_response,
    kind_of,
    over_delivered,
    read,
    state_by_lines,
    total_of,
    write,
)
from marketplace.ordering.states import OrderState

S = OrderState


@pytest.fixture
def order(make_order):
    return make_order()


@pytest.fixture
def response(order):
    lines = tuple(ResponseLine(line.number, line.sku, line.quantity, line.unit_price) for line in order.lines)
    return OrderResponse(order.number, "S-1", Reply.CONFIRMED, lines, order.total, None)


def test_an_echo_of_the_order_agrees(order, response):
    assert judge_response(order, response).agrees


def test_the_same_price_for_another_base_quantity_agrees(order, response):
    (line,) = response.lines
    per_hundred = replace(line, unit_price=UnitPrice(Decimal(6150), "EUR", Decimal(100)))
    assert judge_response(order, replace(response, lines=(per_hundred,))).agrees


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sku": "L-7015"}, "SKU_DIFFERS"),
        ({"quantity": Quantity(Decimal(4), "C62")}, "QUANTITY_DIFFERS"),
        ({"quantity": Quantity(Decimal(1), "C62")}, "QUANTITY_DIFFERS"),
        ({"quantity": Quantity(Decimal(2), "BX")}, "UNIT_DIFFERS"),
        ({"unit_price": UnitPrice(Decimal("61.51"), "EUR")}, "PRICE_DIFFERS"),
        ({"unit_price": UnitPrice(Decimal("61.49"), "EUR")}, "PRICE_DIFFERS"),
        ({"unit_price": UnitPrice(Decimal("61.50"), "USD")}, "CURRENCY_DIFFERS"),
        ({"unit_price": UnitPrice(Decimal("61.50"), "EUR", Decimal(10))}, "PRICE_DIFFERS"),
        ({"number": 2}, "LINES_DIFFER"),
    ],
)
@pytest.mark.parametrize("reply", [Reply.CONFIRMED, Reply.RECEIVED])
def test_a_line_that_says_something_else_is_named(order, response, change, code, reply):
    changed = replace(response, reply=reply, lines=(replace(response.lines[0], **change),))
    assert judge_response(order, changed).code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reference": "TC-G1-000002-X"}, "REFERENCE_DIFFERS"),
        ({"lines": ()}, "LINES_DIFFER"),
        ({"total": Money(13_201, "EUR")}, "TOTAL_DIFFERS"),
        ({"total": Money(13_200, "USD")}, "CURRENCY_DIFFERS"),
    ],
)
def test_a_confirmation_may_leave_out_nothing(order, response, change, code):
    assert judge_response(order, replace(response, **change)).code == code


def test_a_line_told_twice_is_no_confirmation(order, response):
    assert judge_response(order, replace(response, lines=response.lines * 2)).code == "LINES_DIFFER"


def test_a_mere_receipt_may_leave_the_lines_out(order, response):
    assert judge_response(order, replace(response, reply=Reply.RECEIVED, lines=())).agrees


quantities = st.decimals(0, 10, places=2).map(lambda amount: amount.quantize(Decimal("0.01")))
positive = quantities.filter(lambda amount: amount > 0)
lines_of_two = st.tuples(positive, positive).map(
    lambda wanted: tuple(LineSum(number, quantity) for number, quantity in enumerate(wanted, 1))
)
steps = st.lists(
    st.tuples(
        st.sampled_from([add_shipped, add_received]), st.dictionaries(st.sampled_from([1, 2]), positive, min_size=1)
    ),
    max_size=6,
)
ALONG = (S.CONFIRMED, S.SHIPPED, S.RECEIVED)


@given(lines_of_two, steps)
def test_goods_never_move_an_order_back(lines, moves):
    state = S.CONFIRMED
    for act, moved in moves:
        lines = act(lines, moved)
        after = state_by_lines(state, lines)
        assert state is S.RECEIVED or ALONG.index(after) >= ALONG.index(state)
        state = after


@given(lines_of_two, steps, st.randoms())
def test_the_order_in_which_goods_were_told_does_not_matter(lines, moves, rng):
    shuffled = list(moves)
    rng.shuffle(shuffled)
    one = other = lines
    for act, moved in moves:
        one = act(one, moved)
    for act, moved in shuffled:
        other = act(other, moved)
    assert one == other
    assert state_by_lines(S.CONFIRMED, one) is state_by_lines(S.CONFIRMED, other)


@given(lines_of_two, steps)
def test_received_means_that_nothing_is_outstanding(lines, moves):
    for act, moved in moves:
        lines = act(lines, moved)
    complete = all(line.received >= line.quantity for line in lines)
    assert (state_by_lines(S.SHIPPED, lines) is S.RECEIVED) == complete


@pytest.mark.parametrize(
    "state", [state for state in OrderState if state not in (OrderState.CONFIRMED, OrderState.SHIPPED)]
)
def test_only_what_is_on_its_way_moves_by_its_lines(state):
    assert state_by_lines(state, (LineSum(1, Decimal(1), received=Decimal(1)),)) is state


def test_too_much_is_named():
    lines = (LineSum(1, Decimal(2), received=Decimal(3)), LineSum(2, Decimal(2), received=Decimal(2)))
    assert over_delivered(lines) == (1,)


@pytest.mark.parametrize("moved", [{}, {3: Decimal(1)}, {1: Decimal(0)}, {1: Decimal(-1)}, {1: Decimal("NaN")}])
def test_odd_goods_are_no_answer(moved):
    with pytest.raises(AnswerBroken):
        add_received((LineSum(1, Decimal(2)),), moved)


def test_what_is_kept_is_read_back(order, response, now):
    promised = replace(response, promised_at=now + timedelta(days=3), reason="by lorry")
    for answer in (
        response,
        promised,
        DespatchAdvice(order.number, "D-1", {1: Decimal("1.5")}, now, None),
        Invoice(order.number, "I-1", order.total, now),
        GoodsReceipt(order.number, "R-1", {1: Decimal(2)}, now, "anna", ""),
    ):
        assert read(kind_of(answer), write(answer)) == answer


@pytest.mark.parametrize("document", [{}, {"reference": 1}, {"reference": "x", "reply": "perhaps"}])
@pytest.mark.parametrize("kind", ["response", "despatch", "invoice", "receipt", "poem"])
def test_what_cannot_be_read_is_broken(kind, document):
    with pytest.raises(AnswerBroken):
        read(kind, document)


def test_the_same_answer_has_one_fingerprint(response, now):
    again = replace(response, lines=tuple(response.lines))
    assert fingerprint("s", "response", write(response)) == fingerprint("s", "response", write(again))
    later = replace(response, promised_at=now)
    assert fingerprint("s", "response", write(response)) != fingerprint("s", "response", write(later))
    assert fingerprint("s", "response", write(response)) != fingerprint("t", "response", write(response))


def test_an_answer_larger_than_anything_honest_is_refused(order, response, now):
    with pytest.raises(AnswerBroken):
        write(replace(response, supplier_reference="x" * 101))
    with pytest.raises(AnswerBroken):
        write(replace(response, lines=response.lines * 201))
    with pytest.raises(AnswerBroken):
        write(DespatchAdvice(order.number, "D", {1: Decimal("Infinity")}, now, None))
    assert len(write(replace(response, reason="y" * 10_000))["reason"]) == 500


def test_the_total_of_a_part_is_freight_and_what_comes_of_each_line(order):
    two = replace(
        order, lines=(*order.lines, replace(order.lines[0], number=2, unit_price=UnitPrice(Decimal(10), "EUR")))
    )
    assert total_of(two, {1: Decimal(2), 2: Decimal(2)}) == two.total == Money(900 + 12_300 + 2_000, "EUR")
    assert total_of(two, {1: Decimal(0), 2: Decimal(1)}) == Money(900 + 1_000, "EUR")
    assert total_of(two, {1: Decimal(1), 2: Decimal(0)}) == Money(900 + 6_150, "EUR")
