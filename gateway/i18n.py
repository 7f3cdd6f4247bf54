"""Words and figures for people: the language of the site, and how it writes numbers, amounts, times and spans.

`activate` chooses the language once, at start; everything else is a function of its arguments. Dates are ISO 8601
because a plant with suppliers abroad cannot afford to guess whether 03/04 is March or April; times are those of the
site's time zone. Amounts keep the currency's code: a sign such as `$` names several currencies.
"""

from __future__ import annotations

import gettext
import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from marketplace.money import Money, plain

DOMAIN: Final = "toolcrib"
LOCALES: Final = Path(__file__).parent / "locales"

SEPARATORS: Final = {
    "en": (",", "."),
    "de": (".", ","),
    "es": (".", ","),
    "it": (".", ","),
    "fr": ("\N{NARROW NO-BREAK SPACE}", ","),
    "pl": ("\N{NO-BREAK SPACE}", ","),
}
"""Group and decimal separators by language (Unicode CLDR); a language that is not here writes as English does."""

UNITS: Final = {"C62": "", "HUR": "h", "LTR": "l", "KGM": "kg", "MTR": "m", "DAY": "d"}
"""How people write UN/ECE Recommendation 20 codes; a piece needs no unit."""

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")

_separators: list[tuple[str, str]] = [SEPARATORS["en"]]


def activate(language: str) -> None:
    """Choose the language (an ISO 639-1 code) of everything that passes gettext from here on, in this process."""
    gettext.bindtextdomain(DOMAIN, str(LOCALES))
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = language
    _separators[0] = SEPARATORS.get(language, SEPARATORS["en"])


def number(value: Decimal | int | float, places: int | None = None) -> str:
    """Return a number in groups of three; `places` decimals, or as many as it has."""
    group, point = _separators[0]
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not exact.is_finite():
        return _("no value")
    text = plain(exact) if places is None else f"{exact:.{places}f}"
    whole, _point, rest = text.partition(".")
    grouped = f"{int(whole):,}".replace(",", group)
    if whole.startswith("-") and not grouped.startswith("-"):  # -0.5 has the integer 0
        grouped = "-" + grouped
    return grouped + (point + rest if rest else "")


def figure(value: float, digits: int = 3) -> str:
    """Return a measured value to so many significant digits, never in exponents."""
    if value != value or value in (float("inf"), float("-inf")):
        return _("no value")
    if value == 0:
        return "0"
    size = Decimal(repr(value)).adjusted()
    return number(value, max(0, digits - 1 - size))


def amount(money: Money) -> str:
    """Return an amount with its currency's decimals and code."""
    return f"{number(money.amount, max(0, -int(money.amount.as_tuple().exponent)))}\N{NO-BREAK SPACE}{money.currency}"


def unit_price(price: Decimal, currency: str, per: Decimal = Decimal(1)) -> str:
    """Return a unit price with at least two decimals."""
    places = max(2, -int(price.normalize().as_tuple().exponent))
    text = f"{number(price, places)}\N{NO-BREAK SPACE}{currency}"
    return text if per == 1 else _("{price} per {base}").format(price=text, base=number(per))


def quantity(value: Decimal, unit: str) -> str:
    """Return a quantity with the unit that people write."""
    return f"{number(value)}\N{NO-BREAK SPACE}{UNITS.get(unit, unit)}".rstrip()


def percent(share: float) -> str:
    """Return a share of one; what is not 0 is never shown as 0 %, what is not 1 never as 100 %."""
    hundredths = share * 100
    if 0 < hundredths < 0.1:
        return _("below {limit} %").format(limit=number(0.1))
    if 99.9 < hundredths < 100:
        return _("above {limit} %").format(limit=number(99.9))
    return f"{number(hundredths, 1 if 0 < hundredths < 10 or (hundredths > 99 and hundredths < 100) else 0)} %"


def when(moment: datetime, zone: ZoneInfo) -> str:
    """Return a time to the minute, in the site's time zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def day(moment: datetime, zone: ZoneInfo) -> str:
    """Return the date in the site's time zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%d")


def figures(parameters: Mapping[str, str], zone: ZoneInfo) -> dict[str, str]:
    """Return the figures of a sentence for people: moments, kept as ISO 8601 has them, as `when` tells them."""
    return {name: _figure(value, zone) for name, value in parameters.items()}


def _figure(value: str, zone: ZoneInfo) -> str:
    if _MOMENT.fullmatch(value) is None:
        return value
    try:
        return when(datetime.fromisoformat(value), zone)
    except (ValueError, OverflowError):
        return value


def span(length: timedelta) -> str:
    """Return a span in the one unit that fits it."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 90:
        return _("{n} s").format(n=int(seconds))
    if seconds < 90 * 60:
        return _("{n} min").format(n=int(seconds // 60))
    if seconds < 48 * 3600:
        return _("{n} h").format(n=int(seconds // 3600))
    days = int(seconds // 86_400)
    if days < 90:
        return ngettext("{n} day", "{n} days", days).format(n=days)
    if days < 730:
        return ngettext("{n} month", "{n} months", days // 30).format(n=days // 30)
    return ngettext("{n} year", "{n} years", days // 365).format(n=days // 365)


def distance(moment: datetime, now: datetime) -> str:
    """Return how far a time is from now: `in 3 days`, `3 days ago`."""
    if moment >= now:
        return _("in {span}").format(span=span(moment - now))
    return _("{span} ago").format(span=span(now - moment))
