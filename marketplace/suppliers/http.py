"""Suppliers that speak our HTTP API (`simulator/API.md`).

What each failure of an order allows:
  before a byte left (no connection, name, certificate, proxy or private target):    SupplierUnavailable
  401, 403, 429 (not let in, so not looked at):                                      SupplierUnavailable
  400, 409, 422 with the documented refusal, unless the key is in use:               SupplierRejected
  the same with KEY_REUSED or REFERENCE_REUSED:                                      ReferenceTaken
  everything else (time out, dropped, 5xx, redirect, any answer that cannot be read): OutcomeUnknown
Look-ups change nothing, so whatever goes wrong with one is SupplierUnavailable; "no such order" must be said in the
documented words, because a bare 404 may come from anything on the way. Redirects are never followed, answers are
bounded, and words of the supplier reach nobody unbounded. What an answer means is decided in `wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from gettext import gettext as _
from typing import Any, ClassVar, TypeVar

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
)
from pydantic import Field, field_validator
from yarl import URL

from marketplace.authority.permit import SpendPermit, require
from marketplace.documents import OrderResponse, PurchaseOrder, Quotation, RequestForQuotation, SupplierDocument
from marketplace.settings import Duration, SecretReference, SupplierSettings
from marketplace.suppliers import wire
from marketplace.suppliers.outbound import AnswerTooLong, is_address, is_private, read_bounded
from marketplace.suppliers.supplier import (
    Capabilities,
    Offer,
    OutcomeUnknown,
    ReferenceTaken,
    SupplierContext,
    SupplierError,
    SupplierRejected,
    SupplierUnavailable,
)

NOT_LET_IN = frozenset({401, 403, 429})
REFUSING = frozenset({400, 409, 422})
TAKEN = frozenset({"KEY_REUSED", "REFERENCE_REUSED"})
KEY_IN_USE = TAKEN | {"IN_PROGRESS"}
"""Refusals of the request, not of the order: an earlier one with this key or reference may have bought."""
NO_SUCH_ORDER = "NO_SUCH_ORDER"

T = TypeVar("T")


class HttpSettings(SupplierSettings):
    """A supplier behind our HTTP API.

    timeout: wall time of one exchange. lookup_window: how long after a send a look-up may still miss the order.
    idempotency_key: how long the supplier remembers a key; leave it out if the supplier does not know keys.
    """

    url: str = Field(max_length=500)
    token: SecretReference
    timeout: Duration = timedelta(seconds=10)
    lookup_window: Duration | None = timedelta(minutes=2)
    idempotency_key: Duration | None = None

    @field_validator("url")
    @classmethod
    def _an_address_and_nothing_else(cls, text: str) -> str:
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("a supplier's address begins with https:// or http:// and names a host")
        if url.user or url.password or url.query_string or url.fragment:
            raise ValueError("a supplier's address holds no user, password, query or fragment")
        return text


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: bytes


class HttpSupplier:
    """One supplier over HTTP; keeps the promise of `marketplace.suppliers.supplier.Supplier`."""

    Settings: ClassVar[type[SupplierSettings]] = HttpSettings

    def __init__(
        self, name: str, settings: HttpSettings, *, session: ClientSession, token: str, clock: Callable[[], datetime]
    ) -> None:
        self.name = name
        self.capabilities = Capabilities(
            quotes=True,
            search=True,
            cancel=True,
            documents=True,
            idempotency_key=settings.idempotency_key,
            lookup_window=settings.lookup_window,
        )
        self._account = settings.account
        self._url = URL(settings.url)
        self._session = session
        self._clock = clock
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        seconds = settings.timeout.total_seconds()
        self._timeout = ClientTimeout(total=seconds, connect=seconds / 2)  # a connection that hangs sent nothing

    @classmethod
    def build(cls, name: str, settings: HttpSettings, context: SupplierContext) -> HttpSupplier:
        """Return the supplier, its token read. Raises `SecretMissing`, and ValueError for a refused address."""
        url = URL(settings.url)
        host = url.host or ""
        if context.session is None:
            raise ValueError(f"supplier {name}: an HTTP session is needed")
        if not context.allow_private_targets and is_address(host) and is_private(host):
            raise ValueError(f"supplier {name}: {host} is private, and network.allow_private_targets is false")
        if not context.allow_private_targets and url.scheme == "http":
            raise ValueError(f"supplier {name}: plain http would show the token to everybody; use https")
        token = settings.token.read(context.base)
        return cls(name, settings, session=context.session, token=token, clock=context.clock)

    def encode(self, order: PurchaseOrder) -> bytes:
        """Return the body of `POST /orders`."""
        return wire.encode_order(order)

    async def search(self, text: str) -> Sequence[Offer]:
        """Return what the supplier has under a text."""
        answer = await self._read("GET", "search", params={"text": text[:200]})
        return self._parsed(answer, lambda content: wire.parse_hits(self.name, content))

    async def quote(self, request: RequestForQuotation) -> Quotation:
        """Return an offer for every line, or raise what the supplier's answer allows."""
        answer = await self._read("POST", "quotes", data=wire.encode_request(request, self._account))
        refusal = wire.parse_refusal(answer.content) if answer.status in REFUSING | {404} else None
        if refusal is not None:
            raise SupplierRejected(self._says(refusal))
        return self._parsed(answer, lambda content: wire.parse_quotation(self.name, content))

    async def place(self, permit: SpendPermit) -> OrderResponse:
        """Send exactly the permitted bytes once, telling apart "never arrived" from "cannot know"."""
        require(permit, self.name, self._clock())
        headers = {"Idempotency-Key": permit.key}
        answer = await self._act(permit.reference, "orders", data=permit.request_bytes, headers=headers)
        return self._outcome(permit.reference, answer)

    async def find(self, reference: str) -> OrderResponse | None:
        """Return what the supplier knows of our order, None only if it says so in the documented words."""
        answer = await self._read("GET", "orders", reference)
        if self._is_unknown(answer):
            return None
        return self._parsed(answer, lambda content: wire.parse_response(reference, content))

    async def cancel(self, reference: str) -> OrderResponse:
        """Ask to cancel; REJECTED means that the order is off."""
        answer = await self._act(reference, "orders", reference, "cancel")
        if self._is_unknown(answer):
            raise SupplierRejected(_("{supplier} knows no order {number}").format(supplier=self.name, number=reference))
        return self._outcome(reference, answer)

    async def documents(self, reference: str) -> Sequence[SupplierDocument]:
        """Return what the supplier has sent about our order, oldest first; nothing of an order it does not know."""
        answer = await self._read("GET", "orders", reference, "documents")
        if self._is_unknown(answer):
            return ()
        return self._parsed(answer, lambda content: wire.parse_documents(reference, content))

    async def close(self) -> None:
        """Nothing to release: the session is the composition root's."""

    async def _exchange(self, method: str, *path: str, **options: Any) -> _Answer:
        headers = self._headers | options.pop("headers", {})
        async with self._session.request(
            method,
            self._url.joinpath(*path),
            headers=headers,
            timeout=self._timeout,
            allow_redirects=False,
            **options,
        ) as reply:
            return _Answer(reply.status, await read_bounded(reply, wire.BYTES_MAX))

    async def _act(self, reference: str, *path: str, **options: Any) -> _Answer:
        """Send what may change something. Raises `SupplierUnavailable` or `OutcomeUnknown`."""
        try:
            return await self._exchange("POST", *path, **options)
        except (ClientConnectorError, ConnectionTimeoutError, ClientHttpProxyError) as error:
            raise self._unavailable(type(error).__name__) from error  # no connection, so nothing was sent
        except (ClientError, TimeoutError, AnswerTooLong) as error:
            raise self._unknown(reference, type(error).__name__) from error

    async def _read(self, method: str, *path: str, **options: Any) -> _Answer:
        """Send what changes nothing. Raises `SupplierUnavailable`."""
        try:
            return await self._exchange(method, *path, **options)
        except (ClientError, TimeoutError, AnswerTooLong) as error:
            raise self._unavailable(type(error).__name__) from error

    def _outcome(self, reference: str, answer: _Answer) -> OrderResponse:
        """Return what an answer to an act says, or raise what it allows."""
        if answer.status in NOT_LET_IN:
            raise self._unavailable(f"HTTP {answer.status}")
        refusal = wire.parse_refusal(answer.content) if answer.status in REFUSING else None
        if refusal is not None and refusal.code not in KEY_IN_USE:
            raise SupplierRejected(self._says(refusal))
        if refusal is not None and refusal.code in TAKEN:
            raise ReferenceTaken(f"{self.name}, {reference}: HTTP {answer.status} {refusal.code}")
        if answer.status not in (200, 201, 202):
            raise self._unknown(reference, f"HTTP {answer.status}")
        try:
            return wire.parse_response(reference, answer.content)
        except wire.Unreadable as error:
            raise self._unknown(reference, str(error)) from error

    def _parsed(self, answer: _Answer, parse: Callable[[bytes], T]) -> T:
        if answer.status != 200:
            raise self._unavailable(f"HTTP {answer.status}")
        try:
            return parse(answer.content)
        except wire.Unreadable as error:
            raise self._unavailable(str(error)) from error

    @staticmethod
    def _is_unknown(answer: _Answer) -> bool:
        refusal = wire.parse_refusal(answer.content) if answer.status == 404 else None
        return refusal is not None and refusal.code == NO_SUCH_ORDER

    def _says(self, refusal: wire.Refused) -> str:
        return f"{self.name}: {refusal.code} {refusal.reason}".rstrip()

    def _unavailable(self, reason: str) -> SupplierError:
        return SupplierUnavailable(f"{self.name}: {reason}")

    def _unknown(self, reference: str, reason: str) -> SupplierError:
        return OutcomeUnknown(f"{self.name}, {reference}: {reason}")
