import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from marketplace.catalogue import Item
from marketplace.documents import Quotation, QuotationLine, RequestedLine, RequestForQuotation
from marketplace.money import Money, Quantity, UnitPrice
from marketplace.sourcing.quoting import DETAIL_MAX, Answer, Outcome, ask, bounded, fault_of
from marketplace.suppliers.supplier import Capabilities, SupplierRejected, SupplierUnavailable

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ITEM = Item("bearing-7014", "Nordlager", "NL-7014-P4", "Bearing", "C62")
REQUEST = RequestForQuotation("R-1", (RequestedLine(1, "req", ITEM, Quantity(Decimal(2), "C62")),), "EUR", "DE", None)
LINE = QuotationLine(
    1, "K-7014", Quantity(Decimal(2), "C62"), UnitPrice(Decimal("61.50"), "EUR"), Decimal(5), Decimal(10)
)
OFFER = Quotation("kontor", "Q-1", (LINE,), Money(950, "EUR"), Money(0, "EUR"), NOW + timedelta(days=90))
SECOND = timedelta(seconds=1)


class Voice:
    """A supplier that says one thing when it is asked for a quotation."""

    def __init__(self, name: str, says: Callable[[], Quotation] | None = None, *, quotes: bool = True) -> None:
        self.name = name
        self.capabilities = Capabilities(quotes=quotes)
        self.asked = 0
        self._says = says or (lambda: replace(OFFER, supplier=name))

    async def quote(self, request: RequestForQuotation) -> Quotation:
        self.asked += 1
        return self._says()


class Silence(Voice):
    async def quote(self, request: RequestForQuotation) -> Quotation:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError


def raising(error: Exception) -> Callable[[], Quotation]:
    def say() -> Quotation:
        raise error

    return say


async def asked(*voices: Voice, deadline: timedelta = SECOND) -> dict[str, Answer]:
    answers = await ask({voice.name: voice for voice in voices}, REQUEST, deadline, now=NOW)  # type: ignore[misc]
    return {answer.supplier: answer for answer in answers}


async def test_every_supplier_is_asked_and_answers_come_by_name():
    answers = await ask({"b": Voice("b"), "a": Voice("a")}, REQUEST, SECOND, now=NOW)  # type: ignore[dict-item]
    assert [answer.supplier for answer in answers] == ["a", "b"]
    assert all(answer.outcome is Outcome.OFFERED and answer.quotation is not None for answer in answers)


async def test_who_cannot_quote_is_not_asked():
    mute = Voice("mute", quotes=False)
    assert await asked(mute) == {}
    assert mute.asked == 0


async def test_one_that_is_silent_holds_up_nobody_beyond_the_deadline():
    answers = await asked(Silence("slow"), Voice("kontor"), deadline=timedelta(milliseconds=30))
    assert answers["slow"].outcome is Outcome.LATE
    assert answers["kontor"].outcome is Outcome.OFFERED


async def test_all_are_asked_at_the_same_time():
    meeting = asyncio.Barrier(3)

    class Meets(Voice):
        async def quote(self, request: RequestForQuotation) -> Quotation:
            await meeting.wait()
            return self._says()

    answers = await asked(Meets("a"), Meets("b"), Meets("c"))
    assert {answer.outcome for answer in answers.values()} == {Outcome.OFFERED}


async def test_every_failure_has_its_own_outcome_and_the_others_are_still_heard():
    answers = await asked(
        Voice("down", raising(SupplierUnavailable("no connection"))),
        Voice("no", raising(SupplierRejected("not for you"))),
        Voice("broken", raising(ZeroDivisionError("oops, with the token s3cret"))),
        Voice("tired", raising(TimeoutError())),
        Voice("liar", lambda: replace(OFFER, supplier="liar", freight=Money(0, "USD"))),
        Voice("kontor"),
    )
    outcomes = {name: str(answer.outcome) for name, answer in answers.items()}
    assert outcomes == {
        "down": "unavailable",
        "no": "rejected",
        "broken": "unavailable",
        "tired": "late",
        "liar": "invalid",
        "kontor": "offered",
    }
    assert "s3cret" not in answers["broken"].detail
    assert answers["liar"].quotation is None


async def test_a_caller_who_gives_up_leaves_nothing_behind():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await asked(Silence("slow"), deadline=timedelta(minutes=5))


def changed(**changes: object) -> Quotation:
    return replace(OFFER, lines=(replace(LINE, **changes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offer", "code"),
    [
        (replace(OFFER, supplier="other"), "OTHER_SUPPLIER"),
        (replace(OFFER, reference=""), "REFERENCE_MISSING"),
        (replace(OFFER, reference="x" * 101), "REFERENCE_MISSING"),
        (changed(unit_price=UnitPrice(Decimal(61), "USD")), "OTHER_CURRENCY"),
        (replace(OFFER, fees=Money(0, "USD")), "OTHER_CURRENCY"),
        (replace(OFFER, freight=Money(-1, "EUR")), "NEGATIVE_AMOUNT"),
        (replace(OFFER, valid_until=NOW), "EXPIRED"),
        (replace(OFFER, lines=()), "OTHER_LINES"),
        (replace(OFFER, lines=(LINE, LINE)), "OTHER_LINES"),
        (changed(number=2), "OTHER_LINES"),
        (changed(quantity=Quantity(Decimal(2), "KGM")), "OTHER_UNIT"),
        (changed(sku=""), "SKU_MISSING"),
        (changed(sku="x" * 101), "SKU_MISSING"),
        (changed(lead_time_days=Decimal("NaN")), "LEAD_TIME"),
        (changed(lead_time_days=Decimal("Infinity")), "LEAD_TIME"),
        (changed(lead_time_days=Decimal(-1)), "LEAD_TIME"),
        (changed(lead_time_days=Decimal(1001)), "LEAD_TIME"),
        (changed(available=Decimal(-1)), "AVAILABLE"),
        (changed(available=Decimal("NaN")), "AVAILABLE"),
        (changed(unit_price=UnitPrice(Decimal(0), "EUR")), "NO_PRICE"),
    ],
)
def test_an_answer_that_does_not_fit_is_no_offer(offer, code):
    fault = fault_of(offer, "kontor", REQUEST, NOW)
    assert fault is not None
    assert fault.startswith(code + ":")


def test_a_fitting_answer_has_no_fault():
    assert fault_of(OFFER, "kontor", REQUEST, NOW) is None


@pytest.mark.parametrize("text", ["x" * 10_000, "line\nline\r\x1b[31mred\x00", "   "])
def test_a_supplier_s_words_are_one_short_printable_line(text):
    line = bounded(text)
    assert len(line) <= DETAIL_MAX
    assert line.isprintable()
