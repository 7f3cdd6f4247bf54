"""Publish responses out of chance, and whether both decoders read them alike.

The generator draws every built-in type, arrays and structures, every mask of a data value, several notifications in a
message, events, status changes, faults and headers with diagnostics; asyncua encodes them. `differences` says where
our decoder and asyncua's do not agree: numbers, kinds, statuses, handles and times, to the microsecond that asyncua
keeps of them.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from connectors.opcua.decode import OTHER, Changes, Malformed, Message, ServiceFault, decode
from connectors.opcua.readings import EPOCH_TICKS
from connectors.opcua.variants import LONG, Structure
from connectors.samples import moment_of

VT: Final = ua.VariantType
_START: Final = datetime(1990, 1, 1, tzinfo=UTC)


def _whole(low: int, high: int) -> Callable[[random.Random], int]:
    return lambda rng: rng.choice([low, high, 0, rng.randint(low, high)])


def _real(rng: random.Random) -> float:
    return rng.choice([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-310, rng.uniform(-1e6, 1e6), rng.gauss(0, 1)])


def _single(rng: random.Random) -> float:
    return rng.choice([0.0, math.inf, math.nan, 1.5, -2.25, float(rng.randint(-4096, 4096)) / 64])


def _word(rng: random.Random) -> str:
    return "".join(rng.choice("abc äß€\U0001f600") for _ in range(rng.randrange(12)))


def _time(rng: random.Random) -> datetime:
    return _START + timedelta(microseconds=rng.randrange(2_000_000_000_000_000))


NUMBERS: Final[dict[ua.VariantType, Callable[[random.Random], Any]]] = {
    VT.Boolean: lambda rng: rng.random() < 0.5,
    VT.SByte: _whole(-128, 127),
    VT.Byte: _whole(0, 255),
    VT.Int16: _whole(-(2**15), 2**15 - 1),
    VT.UInt16: _whole(0, 2**16 - 1),
    VT.Int32: _whole(-(2**31), 2**31 - 1),
    VT.UInt32: _whole(0, 2**32 - 1),
    VT.Int64: _whole(-(2**63), 2**63 - 1),
    VT.UInt64: _whole(0, 2**64 - 1),
    VT.Float: _single,
    VT.Double: _real,
}
OTHERS: Final[dict[ua.VariantType, Callable[[random.Random], Any]]] = {
    VT.String: _word,
    VT.DateTime: _time,
    VT.Guid: lambda rng: uuid.UUID(int=rng.getrandbits(128)),
    VT.ByteString: lambda rng: rng.randbytes(rng.randrange(20)),
    VT.NodeId: lambda rng: ua.NodeId(rng.randrange(1, 70_000), rng.randrange(3)),
    VT.StatusCode: lambda rng: ua.StatusCode(ua.UInt32(rng.choice([0, 0x80340000, 0x40900000]))),
    VT.QualifiedName: lambda rng: ua.QualifiedName(_word(rng), rng.randrange(3)),
    VT.LocalizedText: lambda rng: ua.LocalizedText(_word(rng)),
    VT.ExtensionObject: lambda rng: ua.Range(Low=_single(rng), High=2.0),
}
STATUSES: Final = (0, 0, 0x0480, 0x40900000, 0x80340000, 0x808B0000)


def value_of(rng: random.Random, *, plain: float) -> ua.DataValue:
    """Return a data value; a share `plain` of them are single numbers."""
    kinds = NUMBERS if rng.random() < plain else OTHERS
    kind = rng.choice(list(kinds))
    draw = kinds[kind]
    variant = ua.Variant(draw(rng), kind)
    if rng.random() > max(plain, 0.8):
        length = rng.randrange(LONG, LONG + 20) if kinds is NUMBERS and rng.random() < 0.02 else rng.randrange(1, 6)
        variant = ua.Variant([draw(rng) for _ in range(length)], kind, is_array=True)
    if rng.random() < 0.05:
        variant = ua.Variant(None, VT.Null)
    server = _time(rng) if rng.random() > 0.3 else None
    # asyncua writes and reads the source's picoseconds behind the server's time, the standard before it: see
    # `test_decode.test_picoseconds_stand_where_the_standard_puts_them`.
    picoseconds = server is None and rng.random() < 0.1
    return ua.DataValue(
        variant if rng.random() > 0.05 else None,
        ua.StatusCode(ua.UInt32(rng.choice(STATUSES))) if rng.random() > 0.1 else None,
        SourceTimestamp=_time(rng) if rng.random() > 0.1 else None,
        ServerTimestamp=server,
        SourcePicoseconds=ua.UInt16(rng.randrange(10_000)) if picoseconds else None,
        ServerPicoseconds=ua.UInt16(rng.randrange(10_000)) if rng.random() < 0.05 else None,
    )


def _uniform(rng: random.Random, count: int) -> list[ua.DataValue]:
    kind = rng.choice(list(NUMBERS))
    status = ua.StatusCode(ua.UInt32(rng.choice(STATUSES)))
    server = _time(rng) if rng.random() < 0.5 else None
    return [
        ua.DataValue(ua.Variant(NUMBERS[kind](rng), kind), status, SourceTimestamp=_time(rng), ServerTimestamp=server)
        for _ in range(count)
    ]


def changes_of(rng: random.Random) -> ua.DataChangeNotification:
    """Return a notification of one shape, of nearly one, or of many."""
    count = rng.choice([0, 1, 2, rng.randrange(40)])
    shape = rng.random()
    values = (
        _uniform(rng, count) if shape < 0.4 else [value_of(rng, plain=rng.choice([0.5, 1.0])) for _ in range(count)]
    )
    if shape < 0.1 and values:
        values[rng.randrange(count)] = value_of(rng, plain=0.5)
    items = [ua.MonitoredItemNotification(ua.UInt32(rng.randrange(2**32)), value) for value in values]
    diagnostics = [ua.DiagnosticInfo(SymbolicId=ua.Int32(3))] if rng.random() < 0.05 else []
    return ua.DataChangeNotification(MonitoredItems=items, DiagnosticInfos=diagnostics)


def _parts(rng: random.Random) -> Iterator[Any]:
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        drawn = rng.random()
        if drawn < 0.9:
            yield changes_of(rng)
        elif drawn < 0.95:
            yield ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(rng.choice(STATUSES))))
        else:
            yield ua.EventNotificationList(
                Events=[ua.EventFieldList(ClientHandle=ua.UInt32(1), EventFields=[ua.Variant(1.0)])]
            )


def response_of(rng: random.Random) -> bytes:
    """Return a publish response, or a service fault, as bytes."""
    header = ua.ResponseHeader(RequestHandle=ua.UInt32(rng.randrange(2**32)))
    if rng.random() < 0.05:
        header.StringTable = [_word(rng) for _ in range(3)]
    if rng.random() < 0.05:
        header.ServiceDiagnostics = ua.DiagnosticInfo(SymbolicId=ua.Int32(1), AdditionalInfo=_word(rng))
    if rng.random() < 0.03:
        header.ServiceResult = ua.StatusCode(ua.UInt32(0x80790000))
        return bytes(struct_to_binary(ua.ServiceFault(ResponseHeader=header)))
    answer = ua.PublishResponse(ResponseHeader=header)
    answer.Parameters.SubscriptionId = ua.IntegerId(rng.randrange(2**32))
    answer.Parameters.AvailableSequenceNumbers = [ua.UInt32(rng.randrange(2**32)) for _ in range(rng.randrange(4))]
    answer.Parameters.MoreNotifications = rng.random() < 0.5
    answer.Parameters.Results = [ua.StatusCode(ua.UInt32(rng.choice(STATUSES))) for _ in range(rng.randrange(3))]
    message = answer.Parameters.NotificationMessage
    message.SequenceNumber = ua.UInt32(rng.randrange(2**32))
    message.PublishTime = _time(rng)
    message.NotificationData = list(_parts(rng))
    return bytes(struct_to_binary(answer))


def differences(body: bytes) -> list[str]:
    """Return where the two decoders disagree about a well-formed response; an empty list when nowhere."""
    try:
        ours = decode(body)
    except ServiceFault as fault:
        theirs = struct_from_binary(ua.ServiceFault, Buffer(body))
        return [] if theirs.ResponseHeader.ServiceResult.value == fault.code else ["the fault's code"]
    except Malformed as error:
        return [f"ours calls it malformed: {error}"]
    theirs = struct_from_binary(ua.PublishResponse, Buffer(body)).Parameters
    return [name for name, same in _compared(ours, theirs) if not same]


def _compared(ours: Message, theirs: Any) -> Iterator[tuple[str, bool]]:
    message = theirs.NotificationMessage
    parts = message.NotificationData or []
    changed = [part for part in parts if isinstance(part, ua.DataChangeNotification)]
    ended = [part.Status.value for part in parts if isinstance(part, ua.StatusChangeNotification)]
    yield "subscription", ours.subscription == theirs.SubscriptionId
    yield "available", list(ours.available) == list(theirs.AvailableSequenceNumbers or [])
    yield "more", ours.more == theirs.MoreNotifications
    yield "number", ours.number == message.SequenceNumber
    yield "keep-alive", ours.keep_alive == (not parts)
    yield "ended", ours.ended == (ended[-1] if ended else None)
    yield "events", ours.events == sum(isinstance(part, ua.EventNotificationList) for part in parts)
    yield "refused", ours.refused == sum(status.value >> 30 != 0 for status in theirs.Results or [])
    yield "notifications", len(ours.changes) == len(changed)
    for mine, part in zip(ours.changes, changed, strict=True):
        yield "items", len(mine) == len(part.MonitoredItems)
        for row, item in enumerate(part.MonitoredItems):
            yield from _compared_row(mine, row, item)


def _compared_row(mine: Changes, row: int, item: ua.MonitoredItemNotification) -> Iterator[tuple[str, bool]]:
    value = item.Value
    variant = value.Value
    kind = 0 if variant is None else int(variant.VariantType.value)
    plain = variant is not None and not variant.is_array and variant.VariantType in NUMBERS
    yield f"handle {row}", int(mine.handles[row]) == item.ClientHandle
    yield f"kind {row}", int(mine.kinds[row]) == (kind if plain or kind == 0 else OTHER)
    if plain and variant is not None:
        yield f"value {row}", _alike(float(mine.values[row]), float(variant.Value))
    else:
        yield f"no number {row}", math.isnan(mine.values[row])
    if row in mine.others:
        assert variant is not None
        yield f"other {row}", _same(mine.others[row], variant.Value)
    yield f"status {row}", int(mine.status[row]) == (0 if value.StatusCode is None else value.StatusCode.value)
    for name, ticks, moment in (
        (f"source {row}", int(mine.source[row]), value.SourceTimestamp),
        (f"server {row}", int(mine.server[row]), value.ServerTimestamp),
    ):
        yield name, (ticks == 0) if moment is None else moment_of(ticks - EPOCH_TICKS) == moment.astimezone(UTC)


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two values are the same; of structures, whether their bytes are."""
    if isinstance(ours, np.ndarray):
        return bool(np.array_equal(ours, np.array(theirs, np.float64), equal_nan=True))
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, Structure):
        return ours.body == struct_to_binary(theirs) and ua.extension_objects_by_typeid[ours.encoding] is type(theirs)
    return repr(ours) == repr(theirs)


def _alike(ours: float, theirs: float) -> bool:
    return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
