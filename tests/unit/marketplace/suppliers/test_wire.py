import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.documents import DespatchAdvice, Invoice, OrderResponse, Reply, ResponseLine
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.suppliers import wire
from marketplace.suppliers.contract import NOW, REFERENCE, order_of, request_for
from marketplace.suppliers.simulator.catalogue import ITEMS
from marketplace.suppliers.wire import Unreadable

REQUEST = request_for(ITEMS["bearing-7014"], Quantity(Decimal(2), "C62"))
LINE = {"number": 1, "sku": "K-1", "quantity": "2", "unit": "C62", "unit_price": "372.00", "per": "1"}
QUOTATION = {
    "reference": "KQ-1",
    "currency": "EUR",
    "freight": "9.50",
    "fees": "0.00",
    "valid_until": "2026-05-31T08:00:00Z",
    "lines": [LINE | {"lead_time_days": "7.5", "available": "12"}],
}
RESPONSE = {
    "kind": "response",
    "reference": REFERENCE,
    "supplier_reference": "K-000001",
    "reply": "confirmed",
    "currency": "EUR",
    "total": "753.50",
    "promised_at": "2026-03-10T09:00:00+01:00",
    "reason": "",
    "lines": [LINE],
}
DESPATCH = {
    "kind": "despatch",
    "reference": REFERENCE,
    "despatch": "D-1",
    "shipped_at": "2026-03-05T08:00:00Z",
    "expected_at": None,
    "lines": [{"number": 1, "quantity": "2"}],
}
INVOICE = {
    "kind": "invoice",
    "reference": REFERENCE,
    "invoice": "I-1",
    "currency": "EUR",
    "total": "753.50",
    "issued_at": "2026-03-05T08:00:00Z",
}


def written(document: object) -> bytes:
    return json.dumps(document).encode()


def quotation(**changes: object) -> bytes:
    return written(QUOTATION | changes)


def of_line(**changes: object) -> bytes:
    return quotation(lines=[LINE | {"lead_time_days": "7.5", "available": "12"} | changes])


def test_a_quotation_is_read_exactly():
    offer = wire.parse_quotation("kontor", quotation())
    assert offer.supplier == "kontor"
    assert offer.freight == Money(950, "EUR")
    assert offer.lines[0].unit_price == UnitPrice(Decimal("372.00"), "EUR")
    assert (offer.lines[0].lead_time_days, offer.lines[0].available) == (Decimal("7.5"), Decimal(12))
    assert offer.valid_until.isoformat() == "2026-05-31T08:00:00+00:00"


def test_keys_that_we_do_not_read_are_passed_over():
    assert wire.parse_quotation("kontor", quotation(loyalty_points=[1, {"a": "b"}])) == wire.parse_quotation(
        "kontor", quotation()
    )


def without(key: str) -> bytes:
    return written({name: value for name, value in QUOTATION.items() if name != key})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>503</html>", id="a page"),
        pytest.param(b"\xff\xfe{}", id="no UTF-8"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"[" * 100_000, id="deep and open"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep"),
        pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, id="deep objects"),
        pytest.param(quotation()[:-1], id="cut short"),
        pytest.param(quotation() + b"{}", id="two documents"),
        pytest.param(quotation().replace(b'"KQ-1"', b'"KQ-1", "reference": "KQ-2"'), id="a key twice"),
        pytest.param(quotation() + b" " * wire.BYTES_MAX, id="longer than a megabyte"),
        pytest.param(quotation().replace(b'"9.50"', b"NaN"), id="NaN"),
        pytest.param(quotation().replace(b'"9.50"', b"Infinity"), id="infinity"),
        pytest.param(quotation().replace(b'"9.50"', b"9.5"), id="a float"),
        pytest.param(quotation().replace(b'"9.50"', b"9"), id="an integer"),
        pytest.param(quotation().replace(b'"number": 1', b'"number": ' + b"9" * 5000), id="a huge integer"),
        pytest.param(quotation(freight="NaN"), id="NaN as a text"),
        pytest.param(quotation(freight="1e9"), id="an exponent"),
        pytest.param(quotation(freight="-1"), id="below zero"),
        pytest.param(quotation(freight="9,50"), id="a comma"),
        pytest.param(quotation(freight="٩.٥٠"), id="digits of another script"),
        pytest.param(quotation(freight="9.505"), id="finer than a cent"),
        pytest.param(quotation(freight="1" * 13), id="too many digits"),
        pytest.param(quotation(currency="eur"), id="currency in small letters"),
        pytest.param(quotation(currency="XXX"), id="no currency that we know"),
        pytest.param(quotation(valid_until="2026-05-31T08:00:00"), id="a time without a zone"),
        pytest.param(quotation(valid_until="0001-01-01T00:00:00+14:00"), id="before the calendar"),
        pytest.param(quotation(valid_until="9999-12-31T23:59:59-14:00"), id="after the calendar"),
        pytest.param(quotation(valid_until=1780214400), id="seconds"),
        pytest.param(quotation(valid_until="soon"), id="no time"),
        pytest.param(quotation(lines=[]), id="no lines"),
        pytest.param(quotation(lines=QUOTATION["lines"] * 1000), id="a thousand lines"),
        pytest.param(quotation(lines="none"), id="lines as a text"),
        pytest.param(quotation(reference="x" * 101), id="a long reference"),
        pytest.param(quotation(reference="KQ\x1b[31m"), id="control characters"),
        pytest.param(quotation(reference=["KQ-1"]), id="a reference as a list"),
        pytest.param(of_line(quantity="0"), id="no quantity"),
        pytest.param(of_line(per="0"), id="per nothing"),
        pytest.param(of_line(unit="pieces"), id="no unit code"),
        pytest.param(of_line(number=0), id="line 0"),
        pytest.param(of_line(number="1"), id="a line number as a text"),
        pytest.param(of_line(number=True), id="a truth as a line number"),
        pytest.param(of_line(unit_price="1.1234567"), id="seven decimals"),
        pytest.param(of_line(sku=""), id="no sku"),
        pytest.param(of_line(lead_time_days=None), id="no lead time"),
        *(pytest.param(without(key), id=f"no {key}") for key in QUOTATION),
    ],
)
def test_odd_bytes_are_unreadable_and_nothing_worse(content):
    with pytest.raises(Unreadable):
        wire.parse_quotation("kontor", content)


def test_a_complaint_repeats_nothing_of_what_was_sent():
    with pytest.raises(Unreadable) as refused:
        wire.parse_quotation("kontor", quotation(freight="<script>alert(1)</script>"))
    assert "script" not in str(refused.value)
    assert "freight" in str(refused.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_unreadable(content):
    for parse in (wire.parse_quotation, wire.parse_response, wire.parse_documents, wire.parse_hits):
        with pytest.raises(Unreadable):
            parse("kontor", content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(sorted(RESPONSE)), json_values)
def test_any_value_in_any_place_is_read_or_unreadable(key, value):
    content = json.dumps(RESPONSE | {key: value}).encode()
    try:
        response = wire.parse_response(REFERENCE, content)
    except Unreadable:
        return
    assert response.reference == REFERENCE


def test_an_answer_about_another_order_is_unreadable():
    for document in (RESPONSE, RESPONSE | {"reference": "TC-G1-000002-B"}, RESPONSE | {"reference": ""}):
        if document is RESPONSE:
            assert wire.parse_response(REFERENCE, written(document)).reference == REFERENCE
        else:
            with pytest.raises(Unreadable):
                wire.parse_response(REFERENCE, written(document))


def test_times_are_read_in_their_zone():
    promised = wire.parse_response(REFERENCE, written(RESPONSE)).promised_at
    assert promised is not None
    assert promised.isoformat() == "2026-03-10T08:00:00+00:00"


@pytest.mark.parametrize("reply", ["CONFIRMED", "yes", "", None, 1])
def test_a_reply_is_one_of_three_words(reply):
    with pytest.raises(Unreadable):
        wire.parse_response(REFERENCE, written(RESPONSE | {"reply": reply}))


def test_documents_are_read_in_their_order_and_unknown_kinds_passed_over():
    documents = [RESPONSE, {"kind": "greeting", "text": "hello"}, DESPATCH, INVOICE]
    response, despatch, invoice = wire.parse_documents(REFERENCE, written({"documents": documents}))
    assert isinstance(response, OrderResponse)
    assert isinstance(despatch, DespatchAdvice)
    assert despatch.quantities == {1: Decimal(2)}
    assert isinstance(invoice, Invoice)
    assert invoice.total == Money(75350, "EUR")


@pytest.mark.parametrize(
    "document",
    [
        DESPATCH | {"lines": [{"number": 1, "quantity": "1"}, {"number": 1, "quantity": "1"}]},
        DESPATCH | {"reference": "TC-G1-000002-B"},
        DESPATCH | {"lines": []},
        INVOICE | {"total": "-1"},
        INVOICE | {"currency": "QQQ"},
    ],
)
def test_a_document_that_cannot_be_meant_is_unreadable(document):
    with pytest.raises(Unreadable):
        wire.parse_documents(REFERENCE, written({"documents": [document]}))


def test_an_order_says_everything_that_was_approved_and_nothing_of_ours():
    order = order_of(REQUEST, wire.parse_quotation("kontor", quotation()))
    sent = json.loads(wire.encode_order(order))
    assert sent["reference"] == REFERENCE
    assert (sent["total"], sent["freight"], sent["fees"]) == ("753.50", "9.50", "0.00")
    assert sent["order_hash"] == order.hash
    assert sent["lines"][0]["unit_price"] == "372.00"
    assert sent["lines"][0]["amount"] == "744.00"
    assert sent["delivery"]["ship_to"] == "Hall 2"
    assert "req-1" not in json.dumps(sent)
    assert "item" not in sent["lines"][0]


def test_any_change_of_an_order_changes_its_bytes():
    order = order_of(REQUEST, wire.parse_quotation("kontor", quotation()))
    line = order.lines[0]
    changed = [
        replace(order, number="TC-G1-000002-B"),
        replace(order, quotation="KQ-2"),
        replace(order, freight=Money(951, "EUR")),
        replace(order, deliver_by=NOW),
        replace(order, delivery=replace(order.delivery, ship_to="Hall 3")),
        replace(order, lines=(replace(line, unit_price=UnitPrice(Decimal("372.01"), "EUR")),)),
    ]
    assert len({wire.encode_order(other) for other in (order, *changed)}) == len(changed) + 1


def test_a_request_names_parts_and_not_our_wants():
    sent = json.loads(wire.encode_request(replace(REQUEST, needed_by=NOW), "K-20991"))
    assert sent["account"] == "K-20991"
    assert sent["lines"] == [
        {"number": 1, "manufacturer": "Nordlager", "mpn": "NL-7014-P4", "quantity": "2", "unit": "C62"}
    ]
    assert sent["needed_by"] == "2026-03-02T08:00:00.000000Z"


def test_a_response_reads_back_as_it_was_written():
    line = ResponseLine(1, "K-1", Quantity(Decimal("2.5"), "KGM"), UnitPrice(Decimal("0.123456"), "EUR", Decimal(100)))
    response = OrderResponse(
        REFERENCE, "K-1", Reply.CONFIRMED, (line,), Money(31, "EUR"), NOW + timedelta(days=1), "gladly"
    )
    assert wire.parse_response(REFERENCE, written(wire.response_document(response))) == response


def test_a_refusal_has_a_code_or_is_none():
    refusal = wire.parse_refusal(b'{"code": "NO_SUCH_ORDER", "reason": "we have none"}')
    assert refusal is not None
    assert refusal.code == "NO_SUCH_ORDER"
    for content in (b"", b"<h1>Not Found</h1>", b"{}", b'{"code": 404}', b'{"code": "no such order"}'):
        assert wire.parse_refusal(content) is None


def test_hits_are_named_by_maker_and_mpn():
    hit = {"sku": "K-1", "manufacturer": "Nordlager", "mpn": "NL-1", "description": "A bearing", "unit": "C62"}
    offers = wire.parse_hits("kontor", written({"items": [hit]}))
    assert (offers[0].sku, offers[0].item.manufacturer, offers[0].item.mpn) == ("K-1", "Nordlager", "NL-1")
    with pytest.raises(Unreadable):
        wire.parse_hits("kontor", written({"items": [hit] * 501}))
