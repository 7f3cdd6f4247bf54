"""From what a server published to samples: pure functions, no wire.

Promises: a device's own time is never altered; what is not a finite number is BAD and NaN; a status is never
softened. Refuses to know sessions and subscriptions. Status codes: OPC 10000-4, 7.38 and OPC 10000-8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from typing import Final

from asyncua import ua

from connectors.samples import Provenance, Quality, Sample

NUMBERS: Final = frozenset(
    {
        ua.VariantType.Boolean,
        ua.VariantType.SByte,
        ua.VariantType.Byte,
        ua.VariantType.Int16,
        ua.VariantType.UInt16,
        ua.VariantType.Int32,
        ua.VariantType.UInt32,
        ua.VariantType.Int64,
        ua.VariantType.UInt64,
        ua.VariantType.Float,
        ua.VariantType.Double,
    }
)

_OVERFLOW: Final = 0x0480
"""Info type "data value" (0x0400) with its overflow bit (0x0080): the server's queue was full and it dropped values."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What holds for every value of one message: the tags by handle, when it arrived, how far it is believed."""

    keys: Sequence[str]
    received: datetime
    provenance: Provenance
    clock_tolerance: timedelta


@dataclass(frozen=True, slots=True)
class Reading:
    """One decoded value: the sample, why its tag cannot be read at all (or None), and two things worth counting."""

    sample: Sample
    unreadable: str | None
    overflowed: bool
    clock_off: bool


def readings(result: ua.PublishResult, wire: Wire) -> Iterator[Reading]:
    """Yield the values of a publish result in their order; values of handles that we never gave out are skipped."""
    for part in result.NotificationMessage.NotificationData or ():
        if isinstance(part, ua.DataChangeNotification):
            for item in part.MonitoredItems:
                if 0 <= item.ClientHandle < len(wire.keys):
                    yield read(item.Value, wire.keys[item.ClientHandle], wire)


def ended(result: ua.PublishResult) -> str | None:
    """Return why the server ended the subscription, or None when it goes on."""
    for part in result.NotificationMessage.NotificationData or ():
        if isinstance(part, ua.StatusChangeNotification) and not part.Status.is_good():
            return str(part.Status.name)
    return None


def missed(last: int, result: ua.PublishResult) -> tuple[int, int]:
    """Return how many messages lie between the last number seen (0: none yet) and this result, and the new last.

    Numbers run from 1 to 2**32 - 1 and begin again at 1; a keep-alive announces the next number without using it.
    """
    message = result.NotificationMessage
    if not message.NotificationData:
        return 0, last
    number = int(message.SequenceNumber)
    gap = 0 if last == 0 else (number - last - 1) % (2**32 - 1)
    return (gap if gap < 2**31 else 0), number  # a number from behind is a repetition, no gap of billions


def read(value: ua.DataValue, key: str, wire: Wire) -> Reading:
    """Return one value as a reading.

    The source time stays as the device set it (the server's, or ours, where it set none). One that lies farther from
    ours than the site tolerates makes the value UNCERTAIN: the clock is off or the value is old, and neither may
    decide anything, but people shall see it.
    """
    code = 0 if value.StatusCode is None else int(value.StatusCode.value)
    figure, unreadable = number(value.Value)
    quality = Quality.BAD if math.isnan(figure) else quality_of(code)
    taken = value.SourceTimestamp or value.ServerTimestamp
    source = wire.received if taken is None else _aware(taken)
    off = abs(source - wire.received) > wire.clock_tolerance
    if off:
        quality = max(quality, Quality.UNCERTAIN)
    sample = Sample(key, figure, quality, source, wire.received, wire.provenance)
    return Reading(sample, unreadable, code & _OVERFLOW == _OVERFLOW, off)


def quality_of(code: int) -> Quality:
    """Return the quality that the two highest bits of a status code say; the reserved value is BAD."""
    return (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)[code >> 30 & 3]


def number(variant: ua.Variant | None) -> tuple[float, str | None]:
    """Return a finite number or NaN, and why a tag of this type can never be read (None when it can)."""
    if variant is None or variant.Value is None:
        return math.nan, None
    if variant.is_array or variant.VariantType not in NUMBERS:
        kind = getattr(variant.VariantType, "name", _("unknown type"))
        what = _("a list of {kind}") if variant.is_array else "{kind}"
        return math.nan, _("holds {what}, not a number").format(what=what.format(kind=kind))
    figure = float(variant.Value)
    return (figure if math.isfinite(figure) else math.nan), None


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
