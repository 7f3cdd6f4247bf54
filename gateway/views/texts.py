"""How views write times and decimals for programs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from marketplace.documents import timestamp
from marketplace.money import plain


def text_of(value: datetime | Decimal | None) -> str | None:
    """Return RFC 3339 UTC or a plain decimal; null for what is not known."""
    if value is None:
        return None
    return timestamp(value) if isinstance(value, datetime) else plain(value)
