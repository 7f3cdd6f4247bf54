import hashlib
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.documents import (
    DespatchAdvice,
    GoodsReceipt,
    Invoice,
    OrderResponse,
    Reply,
    ResponseLine,
    canonical,
    timestamp,
)
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.ordering.answers import (
    FAR_AWAY,
    AnswerBroken,
    Judgement,
    LineSum,
    add_received,
    add_shipped,
    all_invoiced,
    fingerprint,
    is_far_away,
    judge_response,
    kind_of,
    over_delivered,
    part_of,
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


@pytest.mark.parametrize(
    ("change", "code", "ordered", "answered"),
    [
        ({"sku": "X" * 300}, "SKU_DIFFERS", "L-7014", "X" * 100),
        ({"quantity": Quantity(Decimal(3), "C62")}, "QUANTITY_DIFFERS", "2 C62", "3 C62"),
        ({"quantity": Quantity(Decimal(2), "BX")}, "UNIT_DIFFERS", "C62", "BX"),
        ({"unit_price": UnitPrice(Decimal("61.50"), "USD")}, "CURRENCY_DIFFERS", "EUR", "USD"),
        ({"unit_price": UnitPrice(Decimal("61.51"), "EUR")}, "PRICE_DIFFERS", "61.50 EUR", "61.51 EUR"),
    ],
)
def test_what_a_line_differs_in_is_told_beside_what_was_ordered(order, response, change, code, ordered, answered):
    changed = replace(response, lines=(replace(response.lines[0], **change),))
    expected = Judgement(code, {"line": "1", "ordered": ordered, "answered": answered})
    assert judge_response(order, changed) == expected


@pytest.mark.parametrize(
    ("change", "code", "ordered", "answered"),
    [
        ({"reference": "TC-G1-000002-X"}, "REFERENCE_DIFFERS", "G1-0001-A", "TC-G1-000002-X"),
        ({"total": Money(13_201, "EUR")}, "TOTAL_DIFFERS", "132.00 EUR", "132.01 EUR"),
        ({"total": Money(13_200, "USD")}, "CURRENCY_DIFFERS", "EUR", "USD"),
    ],
)
def test_what_an_answer_differs_in_is_told_beside_what_was_ordered(order, response, change, code, ordered, answered):
    told = judge_response(order, replace(response, **change))
    assert told == Judgement(code, {"ordered": ordered, "answered": answered})


def test_the_lines_of_an_answer_are_told_beside_those_of_the_order(order, response):
    (line,) = response.lines
    two = replace(order, lines=(*order.lines, replace(order.lines[0], number=2)))
    told = judge_response(two, replace(response, lines=(line, replace(line, number=3))))
    assert told == Judgement("LINES_DIFFER", {"ordered": "1, 2", "answered": "1, 3"})


@pytest.mark.parametrize("reply", Reply)
def test_an_answer_about_another_order_of_the_same_number_is_no_answer(order, response, reply):
    other = replace(response, reply=reply, order_hash="0" * 64)
    assert judge_response(order, other) == Judgement("ORDER_DIFFERS", {"ordered": order.hash, "answered": "0" * 64})
    assert judge_response(order, replace(response, reply=reply, order_hash=order.hash)).agrees


def test_prices_for_base_quantities_are_compared_exactly(make_order):
    order = make_order()
    per_ten = replace(order.lines[0], unit_price=UnitPrice(Decimal(615), "EUR", Decimal(10)))
    order = replace(order, lines=(per_ten,))
    (line,) = order.lines

    def judged(price):
        theirs = ResponseLine(line.number, line.sku, line.quantity, price)
        return judge_response(order, OrderResponse(order.number, "S-1", Reply.CONFIRMED, (theirs,), order.total, None))

    assert judged(UnitPrice(Decimal("61.5"), "EUR")).agrees
    assert judged(UnitPrice(Decimal(6150), "EUR", Decimal(100))).agrees
    said = judged(UnitPrice(Decimal(615), "EUR", Decimal(100)))
    assert said.code == "PRICE_DIFFERS"
    assert (said.parameters["ordered"], said.parameters["answered"]) == ("615 EUR per 10", "615 EUR per 100")


@pytest.fixture
def two(order):
    """Two bearings for 61.50 and four seals for 10 each: 172 with freight."""
    seals = replace(
        order.lines[0],
        number=2,
        sku="S",
        quantity=Quantity(Decimal(4), "C62"),
        unit_price=UnitPrice(Decimal(10), "EUR"),
    )
    return replace(order, lines=(*order.lines, seals))


def partly(order, first, second, total, **changes):
    """Return a confirmation of so much of each of two lines."""
    lines = tuple(
        ResponseLine(line.number, line.sku, Quantity(Decimal(amount), line.quantity.unit), line.unit_price)
        for line, amount in zip(order.lines, (first, second), strict=True)
    )
    return OrderResponse(order.number, "S-1", Reply.CONFIRMED, lines, Money.of(total, "EUR"), None, **changes)


def test_a_part_on_our_terms_is_told_by_line(two):
    said = partly(two, "2", "1.50", "147")
    assert part_of(two, said) == {1: Decimal(2), 2: Decimal("1.5")}
    told = Judgement("PARTLY_CONFIRMED", {"ordered": "1: 2, 2: 4", "answered": "1: 2, 2: 1.5"})
    assert judge_response(two, said) == told


@pytest.mark.parametrize(
    ("first", "second", "total"),
    [
        ("2", "4", "172"),  # all of it
        ("3", "1", "203.50"),  # less of the one, more of the other
        ("2", "1", "172"),  # less for the whole price
        ("2", "1", "141"),  # less, and cheaper still
    ],
)
def test_only_less_for_its_own_price_is_a_part(two, first, second, total):
    assert part_of(two, partly(two, first, second, total)) is None


@pytest.mark.parametrize("reply", [Reply.RECEIVED, Reply.REJECTED])
def test_only_a_confirmation_takes_on_a_part(two, reply):
    assert part_of(two, replace(partly(two, "2", "1", "142"), reply=reply)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"sku": "other"},
        {"quantity": Quantity(Decimal(1), "BX")},
        {"unit_price": UnitPrice(Decimal("61.51"), "EUR")},
    ],
)
@pytest.mark.parametrize("index", [0, 1])
def test_a_part_on_other_terms_is_no_part(two, change, index):
    said = partly(two, "1", "1", "80.50")
    assert part_of(two, said) is not None
    lines = list(said.lines)
    lines[index] = replace(lines[index], **change)
    assert part_of(two, replace(said, lines=tuple(lines))) is None


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


def test_goods_are_added_to_the_line_that_they_are_of_and_to_no_other():
    lines = (
        LineSum(1, Decimal(5), shipped=Decimal(1), received=Decimal(1)),
        LineSum(2, Decimal(5), shipped=Decimal(2), received=Decimal(2)),
    )
    assert [line.shipped for line in add_shipped(lines, {1: Decimal(3)})] == [4, 2]
    assert [line.received for line in add_received(lines, {1: Decimal(3)})] == [4, 2]
    assert [line.received for line in add_shipped(lines, {1: Decimal(3)})] == [1, 2]
    assert [line.shipped for line in add_received(lines, {1: Decimal(3)})] == [1, 2]


@pytest.mark.parametrize(
    ("shipped", "received", "state"),
    [
        ("1.99", "0", S.CONFIRMED),
        ("2", "0", S.SHIPPED),
        ("2", "1.99", S.SHIPPED),
        ("0", "2", S.RECEIVED),
        ("0", "3", S.RECEIVED),
    ],
)
def test_the_last_piece_moves_an_order(shipped, received, state):
    lines = (LineSum(1, Decimal(2), shipped=Decimal(shipped), received=Decimal(received)),)
    assert state_by_lines(S.CONFIRMED, lines) is state


@pytest.mark.parametrize(("invoiced", "all_of_it"), [("1.99", False), ("2", True), ("3", True)])
def test_an_order_is_invoiced_when_its_last_line_is(invoiced, all_of_it):
    one, other = LineSum(1, Decimal(2), invoiced=Decimal(2)), LineSum(2, Decimal(2), invoiced=Decimal(invoiced))
    assert all_invoiced((one, other)) is all_of_it
    assert all_invoiced((other, one)) is all_of_it


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
    promised = replace(response, promised_at=now + timedelta(days=3), reason="by lorry", order_hash=order.hash)
    per_ten = replace(response.lines[0], unit_price=UnitPrice(Decimal(615), "EUR", Decimal(10)))
    for answer in (
        response,
        promised,
        replace(response, lines=(per_ten,)),
        DespatchAdvice(order.number, "D-1", {1: Decimal("1.5")}, now, None),
        DespatchAdvice(order.number, "D-1", {1: Decimal("1.5"), 2: Decimal(1)}, now, now + timedelta(days=2)),
        Invoice(order.number, "I-1", order.total, now),
        GoodsReceipt(order.number, "R-1", {1: Decimal(2)}, now, "anna", "one box is wet"),
    ):
        assert read(kind_of(answer), write(answer)) == answer


def test_an_answer_is_kept_as_texts_and_integers(order, response, now):
    said = replace(response, promised_at=now, reason="by\x07lorry")
    line = {
        "number": 1, "sku": "L-7014", "quantity": "2", "unit": "C62", "unit_price": "61.50", "per": "1",
        "currency": "EUR",
    }  # fmt: skip
    kept = {
        "reference": order.number, "supplier_reference": "S-1", "reply": "confirmed", "promised_at": timestamp(now),
        "total": {"minor": 13_200, "currency": "EUR"}, "reason": "by lorry", "lines": [line],
    }  # fmt: skip
    assert write(said) == kept
    assert write(replace(said, order_hash=order.hash)) == kept | {"order_hash": order.hash}


def test_a_response_that_repeats_no_hash_is_read_with_none(response):
    assert read("response", write(response)).order_hash == ""


FAR = FAR_AWAY + timedelta(microseconds=1)


def dated(order, response, now):
    """Every date that an answer may name, each by what sets it."""
    despatch = DespatchAdvice(order.number, "D-1", {1: Decimal(1)}, now, None)
    return {
        "promised_at": lambda at: replace(response, promised_at=at),
        "shipped_at": lambda at: replace(despatch, shipped_at=at),
        "expected_at": lambda at: replace(despatch, expected_at=at),
        "issued_at": lambda at: Invoice(order.number, "I-1", order.total, at),
        "received_at": lambda at: GoodsReceipt(order.number, "R-1", {1: Decimal(1)}, at, "anna", ""),
    }


@pytest.mark.parametrize("date", ["promised_at", "shipped_at", "expected_at", "issued_at", "received_at"])
def test_a_date_beyond_any_lead_time_is_far_away_either_way(order, response, now, date):
    answer_of = dated(order, response, now)[date]
    assert not is_far_away(answer_of(now), now)
    for far, away in ((FAR_AWAY, False), (-FAR_AWAY, False), (FAR, True), (-FAR, True)):
        assert is_far_away(answer_of(now + far), now) is away


def test_a_date_that_is_not_named_is_not_far_away(response, now):
    assert response.promised_at is None
    assert not is_far_away(response, now)


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


def test_a_fingerprint_is_of_the_canonical_form_of_who_said_what(response):
    said = canonical({"supplier": "s", "kind": "response", "document": write(response)})
    assert fingerprint("s", "response", write(response)) == hashlib.sha256(said).hexdigest()


@pytest.mark.parametrize("odd", ["1E+12", "-1E+12", "NaN", "Infinity", "1E-10", "-1E-10"])
def test_a_number_that_nobody_means_is_refused(order, now, odd):
    with pytest.raises(AnswerBroken, match="ODD_QUANTITY"):
        write(DespatchAdvice(order.number, "D", {1: Decimal(odd)}, now, None))


@pytest.mark.parametrize("fair", ["999999999999", "1E-9", "0"])
def test_the_largest_and_the_least_honest_number_is_kept(order, now, fair):
    advice = DespatchAdvice(order.number, "D", {1: Decimal(fair)}, now, None)
    assert read("despatch", write(advice)) == advice


def test_as_much_as_is_honest_is_kept(order, response, now):
    assert write(replace(response, supplier_reference="x" * 100))["supplier_reference"] == "x" * 100
    assert len(write(replace(response, lines=response.lines * 200))["lines"]) == 200
    many = {number: Decimal(1) for number in range(200)}
    advice = DespatchAdvice(order.number, "D", many, now, None)
    assert read("despatch", write(advice)) == advice
    with pytest.raises(AnswerBroken):
        write(replace(advice, quantities=many | {200: Decimal(1)}))


def test_an_answer_larger_than_anything_honest_is_refused(order, response, now):
    with pytest.raises(AnswerBroken):
        write(replace(response, supplier_reference="x" * 101))
    with pytest.raises(AnswerBroken):
        write(replace(response, lines=response.lines * 201))
    with pytest.raises(AnswerBroken):
        write(DespatchAdvice(order.number, "D", {1: Decimal("Infinity")}, now, None))
    assert len(write(replace(response, reason="y" * 10_000))["reason"]) == 500


def test_the_total_of_a_part_is_freight_fees_and_what_comes_of_each_line(order):
    two = replace(
        order, lines=(*order.lines, replace(order.lines[0], number=2, unit_price=UnitPrice(Decimal(10), "EUR")))
    )
    assert total_of(replace(two, fees=Money(77, "EUR")), {1: Decimal(0), 2: Decimal(1)}) == Money(1_977, "EUR")
    assert total_of(two, {1: Decimal(2), 2: Decimal(2)}) == two.total == Money(900 + 12_300 + 2_000, "EUR")
    assert total_of(two, {1: Decimal(0), 2: Decimal(1)}) == Money(900 + 1_000, "EUR")
    assert total_of(two, {1: Decimal(1), 2: Decimal(0)}) == Money(900 + 6_150, "EUR")
