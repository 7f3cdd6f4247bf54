"""One simulated supplier: quotes, takes orders, ships them late or on time, and invoices. No HTTP here.

What becomes of an order is drawn when it is taken, from the seed, the business and our reference alone, so that a
replay meets the same lateness; documents appear as plant time passes the drawn moments. Every refusal has a code.
The same idempotency key gives the same answer, and other bytes under it are refused, for as long as the shop's `recall`
reaches: what it does not know again is another order, as it is at suppliers who know no keys.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any

from marketplace.catalogue import Item
from marketplace.documents import parse_timestamp, timestamp
from marketplace.money import Money, Quantity, UnitPrice, plain
from marketplace.suppliers.simulator.book import QUOTATIONS_MAX, Book
from marketplace.suppliers.simulator.catalogue import ITEMS, Article, Business
from marketplace.suppliers.simulator.habits import Fault, Habits
from marketplace.suppliers.simulator.messages import OrderBody, QuoteBody, QuoteBodyLine
from marketplace.suppliers.simulator.recall import Recall

CURRENCY = "EUR"
SHIPS_AT = 0.6
"""The share of the lead time after which goods are on the road."""
DAY = timedelta(days=1)


class Refusal(Exception):
    """A refusal as the API writes it: HTTP status, stable code, sentence."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


class Shop:
    """One business with its memory; `clock` is plant time, `recall` what it can tell of an order afterwards."""

    def __init__(
        self, business: Business, book: Book, *, clock: Callable[[], datetime], seed: int, recall: Recall | None = None
    ) -> None:
        self.business = business
        self.habits = Habits()
        self.recall = recall or Recall()
        self._book = book
        self._clock = clock
        self._seed = seed
        self._by_part = {
            (item.manufacturer, item.mpn): (item, business.articles[item.key])
            for item in ITEMS.values()
            if item.key in business.articles
        }

    def search(self, text: str) -> dict[str, Any]:
        """Return the items whose words contain `text`."""
        wanted = text.casefold()
        found = (
            item
            for item, _ in self._by_part.values()
            if wanted in f"{item.manufacturer} {item.mpn} {item.description}".casefold()
        )
        return {
            "items": [
                {
                    "sku": self.sku(item),
                    "manufacturer": item.manufacturer,
                    "mpn": item.mpn,
                    "description": item.description,
                    "unit": item.unit,
                }
                for item in found
            ]
        }

    def sku(self, item: Item) -> str:
        """Return what this business calls an item."""
        return f"{self.business.key[0].upper()}-{item.mpn}"

    def quote(self, body: QuoteBody) -> dict[str, Any]:
        """Return an offer for every line. Raises `Refusal` when one cannot be served."""
        now = self._clock()
        lines = [self._offer(line, now) for line in body.lines]
        goods = sum((_amount(line) for line in lines), start=Decimal(0))
        currency = "USD" if self.habits.take(Fault.OTHER_CURRENCY) else CURRENCY
        number = self._book.next_number("quotation")
        reference = f"{self.business.key[0].upper()}Q-{number:07d}"
        quotation = {
            "reference": reference,
            "currency": currency,
            "freight": f"{Decimal(0) if goods >= self.business.free_from else self.business.freight:.2f}",
            "fees": f"{self.business.small_order_fee if goods < self.business.small_order else Decimal(0):.2f}",
            "valid_until": timestamp(now + self.business.valid_for),
            "lines": lines,
        }
        self._book.put("quotation", reference, quotation)
        if number % 500 == 0:
            self._book.forget_old("quotation", QUOTATIONS_MAX)
        return quotation

    def _offer(self, line: QuoteBodyLine, now: datetime) -> dict[str, Any]:
        try:
            item, article = self._by_part[line.manufacturer, line.mpn]
        except KeyError:
            raise Refusal(404, "NOT_CARRIED", f"we do not carry {line.manufacturer} {line.mpn}") from None
        if line.unit != item.unit:
            raise Refusal(422, "OTHER_UNIT", f"we sell it by {item.unit}")
        quantity = Quantity(line.quantity, line.unit).in_packs(Decimal(article.pack)).amount
        on_hand = self.on_hand(item.key, article, now)
        enough = article.stock == 0 or on_hand >= quantity
        lead_time = article.lead_time if enough else article.lead_time + self.business.restock
        return {
            "number": line.number,
            "sku": self.sku(item),
            "quantity": plain(quantity),
            "unit": item.unit,
            "unit_price": f"{article.unit_price(quantity):f}",
            "per": "1",
            "lead_time_days": plain(self._promised_days(article, lead_time)),
            "available": plain(on_hand) if article.stock and enough else None,
        }

    def _promised_days(self, article: Article, lead_time: timedelta) -> Decimal:
        """Return the promise: what four of five orders keep, on the quarter day; exact articles to the second."""
        if article.exact:
            return (Decimal(lead_time // timedelta(microseconds=1)) / (DAY // timedelta(microseconds=1))).quantize(
                Decimal("0.000001"), rounding=ROUND_UP
            )
        days = (lead_time / DAY) * math.exp(0.84 * self.business.spread)
        return Decimal(math.ceil(days * 4)) / 4

    def on_hand(self, item: str, article: Article, now: datetime) -> Decimal:
        """Return how many lie there: what was sold comes back after `restock`, what is made on order never lies."""
        if not article.stock:
            return Decimal(0)
        begin = timestamp(now - self.business.restock)
        sold = sum(
            (
                Decimal(line["quantity"])
                for order in self._book.all("order")
                if order["ordered_at"] > begin and not order["cancelled"]
                for line in order["lines"]
                if line["item"] == item
            ),
            start=Decimal(0),
        )
        return max(Decimal(article.stock) - sold, Decimal(0))

    def order(self, body: OrderBody, key: str, content: bytes) -> dict[str, Any]:
        """Take an order once for each key that is known again, and return the answer. Raises `Refusal`."""
        digest = hashlib.sha256(content).hexdigest()
        earlier = self._known_again(key, body.reference)
        if earlier is not None:
            if earlier["digest"] != digest:
                raise Refusal(422, "KEY_REUSED", "this key came with other bytes before")
            return dict(earlier["answer"])
        if self.habits.take(Fault.REFUSES):
            raise Refusal(422, "REFUSED", "we do not deliver to you at present")
        taken = self._take(body)
        answer = self.response(taken)
        if self.habits.take(Fault.FORGETS):
            self._book.put("forgotten", taken["supplier_reference"], taken)
            return answer
        with self._book.all_or_nothing():
            page = self._free_page(body.reference)
            self._book.put("order", page, taken)
            self._book.put("key", key, {"digest": digest, "answer": answer, "at": taken["ordered_at"]})
        return answer

    def _known_again(self, key: str, reference: str) -> dict[str, Any] | None:
        """Return what is kept under a key that the shop still remembers. Raises `Refusal` for its order's reference."""
        now = self._clock()
        earlier = self._book.get("key", key)
        if earlier is not None:
            taken_at = earlier.get("at", timestamp(now))  # a book of an earlier version does not say when
            if self.recall.knows_key(parse_timestamp(taken_at), now):
                return dict(earlier)
        if any(self.recall.knows_key(parse_timestamp(each["ordered_at"]), now) for each in self._orders_of(reference)):
            raise Refusal(409, "REFERENCE_REUSED", "an order with this reference came under another key")
        return None

    def _orders_of(self, reference: str) -> list[dict[str, Any]]:
        """Return every order under a reference, oldest first; more than one is what buyers must not let happen."""
        found: list[dict[str, Any]] = []
        while (order := self._book.get("order", _page(reference, len(found)))) is not None:
            found.append(order)
        return found

    def _free_page(self, reference: str) -> str:
        return _page(reference, len(self._orders_of(reference)))

    def orders(self) -> list[dict[str, Any]]:
        """Return every order that the shop holds, one for each time that it took one."""
        return self._book.all("order")

    def forgotten(self) -> list[dict[str, Any]]:
        """Return every order that the shop took and knows nothing of any more."""
        return self._book.all("forgotten")

    def _take(self, body: OrderBody) -> dict[str, Any]:
        now = self._clock()
        quotation = self._quotation(body, now)
        lines = [
            offered | {"item": self._item_key(line.manufacturer, line.mpn)}
            for offered, line in zip(quotation["lines"], body.lines, strict=True)
        ]
        rise = Decimal("1.10") if self.habits.take(Fault.PRICE_RISE) else Decimal(1)
        for line in lines:
            line["unit_price"] = f"{(Decimal(line['unit_price']) * rise).quantize(Decimal('0.01')):f}"
        extras = Decimal(quotation["freight"]) + Decimal(quotation["fees"])
        total = sum((_amount(line) for line in lines), start=extras)
        promised = max(timedelta(days=float(line["lead_time_days"])) for line in lines)
        takes = max(self._takes(line["item"], body.reference, now) for line in lines)
        return {
            "reference": body.reference,
            "order_hash": body.order_hash,
            "supplier_reference": f"{self.business.key[0].upper()}-{self._book.next_number('order'):06d}",
            "ordered_at": timestamp(now),
            "confirmed_at": timestamp(now + min(self.business.confirms_after, takes / 4)),
            "shipped_at": timestamp(now + takes * SHIPS_AT),
            "delivered_at": timestamp(now + takes),
            "promised_at": timestamp(now + promised),
            "ships": not self.habits.take(Fault.SHIPS_NOTHING),
            "cancelled": False,
            "total": f"{total:.2f}",
            "lines": lines,
        }

    def _quotation(self, body: OrderBody, now: datetime) -> dict[str, Any]:
        quotation = self._book.get("quotation", body.quotation)
        if quotation is None or parse_timestamp(quotation["valid_until"]) <= now:
            raise Refusal(409, "QUOTATION_EXPIRED", "this offer is not, or no longer, ours")
        ordered = [(line.number, line.sku, line.quantity, line.unit, line.unit_price) for line in body.lines]
        offered = [
            (line["number"], line["sku"], Decimal(line["quantity"]), line["unit"], Decimal(line["unit_price"]))
            for line in quotation["lines"]
        ]
        total = sum((_amount(line) for line in quotation["lines"]), start=Decimal(0))
        total += Decimal(quotation["freight"]) + Decimal(quotation["fees"])
        if ordered != offered or body.total != total or body.currency != quotation["currency"]:
            raise Refusal(409, "TERMS_DIFFER", "the order says something else than our offer")
        return dict(quotation)

    def _item_key(self, manufacturer: str, mpn: str) -> str:
        try:
            return self._by_part[manufacturer, mpn][0].key
        except KeyError:
            raise Refusal(409, "TERMS_DIFFER", f"we do not carry {manufacturer} {mpn}") from None

    def _takes(self, item: str, reference: str, now: datetime) -> timedelta:
        """Draw how long an order really takes."""
        article = self.business.articles[item]
        if article.exact:
            return article.lead_time
        chance = random.Random(f"{self._seed}:{self.business.key}:{reference}:{item}")
        takes = article.lead_time * chance.lognormvariate(0.0, self.business.spread)
        if chance.random() < self.business.tardiness:
            takes *= 1.5
        short = article.stock and self.on_hand(item, article, now) < 1
        return takes + self.business.restock if short else takes

    def find(self, reference: str) -> dict[str, Any]:
        """Return the answer to an order as it stands now. Raises `Refusal`."""
        return self.response(self._known(reference))

    def _known(self, reference: str) -> dict[str, Any]:
        """Return the last order under a reference that is in the index already. Raises `Refusal`."""
        if not self.recall.looks_up:
            raise Refusal(404, "NO_SUCH_SERVICE", "we answer no questions about orders")
        now = self._clock()
        for order in reversed(self._orders_of(reference)):
            if self.recall.in_index(parse_timestamp(order["ordered_at"]), now):
                return dict(order)
        raise Refusal(404, "NO_SUCH_ORDER", "we have no order with this reference")

    def response(self, order: Mapping[str, Any], reason: str = "") -> dict[str, Any]:
        """Return what the supplier answers about an order now."""
        confirmed = self._passed(order["confirmed_at"])
        reply = "rejected" if order["cancelled"] else "confirmed" if confirmed else "received"
        return {
            "kind": "response",
            "reference": order["reference"],
            "supplier_reference": order["supplier_reference"],
            "reply": reply,
            "currency": CURRENCY,
            "total": order["total"],
            "promised_at": order["promised_at"] if reply == "confirmed" else None,
            "reason": "cancelled at your request" if order["cancelled"] else reason,
            "order_hash": order.get("order_hash", ""),  # a book of an earlier version has none
            "lines": [
                {name: line[name] for name in ("number", "sku", "quantity", "unit", "unit_price", "per")}
                for line in order["lines"]
            ],
        }

    def _passed(self, moment: str) -> bool:
        return parse_timestamp(moment) <= self._clock()

    def cancel(self, reference: str) -> dict[str, Any]:
        """Cancel what has not left yet. Raises `Refusal` when there is no such order."""
        order = self._known(reference)
        if not order["cancelled"] and self._shipped(order):
            return self.response(order, reason="already on the road")
        order["cancelled"] = True
        of_reference = [each["supplier_reference"] for each in self._orders_of(reference)]
        self._book.put("order", _page(reference, of_reference.index(order["supplier_reference"])), order)
        return self.response(order)

    def _shipped(self, order: Mapping[str, Any]) -> bool:
        return bool(order["ships"]) and not order["cancelled"] and self._passed(order["shipped_at"])

    def documents(self, reference: str) -> dict[str, Any]:
        """Return every document about an order so far, oldest first. Raises `Refusal`."""
        order = self._known(reference)
        documents: list[dict[str, Any]] = []
        if order["cancelled"] or self._passed(order["confirmed_at"]):
            documents.append(self.response(order))
        if self._shipped(order):
            documents += [self._despatch(order), self._invoice(order)]
        twice = 2 if self.habits.take(Fault.ANSWERS_TWICE) else 1
        return {"documents": documents * twice}

    def _despatch(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "kind": "despatch",
            "reference": order["reference"],
            "despatch": f"D-{order['supplier_reference']}",
            "shipped_at": order["shipped_at"],
            "expected_at": order["delivered_at"],
            "lines": [{"number": line["number"], "quantity": line["quantity"]} for line in order["lines"]],
        }

    def _invoice(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "kind": "invoice",
            "reference": order["reference"],
            "invoice": f"I-{order['supplier_reference']}",
            "currency": CURRENCY,
            "total": order["total"],
            "issued_at": order["shipped_at"],
        }

    def deliveries(self) -> Sequence[dict[str, Any]]:
        """Return what has been handed over at the plant's gate, oldest first."""
        there = [
            order for order in self._book.all("order") if self._shipped(order) and self._passed(order["delivered_at"])
        ]
        return [
            {
                "supplier": self.business.key,
                "reference": order["reference"],
                "despatch": f"D-{order['supplier_reference']}",
                "delivered_at": order["delivered_at"],
                "lines": [
                    {name: line[name] for name in ("number", "item", "sku", "quantity", "unit")}
                    for line in order["lines"]
                ],
            }
            for order in sorted(there, key=lambda order: str(order["delivered_at"]))
        ]


def _page(reference: str, earlier: int) -> str:
    """Return where an order is kept before which so many came under the same reference."""
    return reference if earlier == 0 else f"{reference}#{earlier + 1}"


def _amount(line: Mapping[str, Any]) -> Decimal:
    price = UnitPrice(Decimal(line["unit_price"]), CURRENCY, Decimal(line["per"]))
    amount: Money = price.times(Quantity(Decimal(line["quantity"]), line["unit"]))
    return amount.amount
