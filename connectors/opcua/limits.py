"""How much a server takes in one request (OPC 10000-5, 6.3.11 OperationLimits): asked once, then kept to.

Promises: a server that says nothing gets requests of a size that small controllers take; one that names a limit never
gets more. Refuses to know what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

ITEMS_PER_REQUEST: Final = 1_000
"""Where a server names no limit: about 100 kB, two chunks of the usual size."""
_MAX_ITEMS: Final = 10_000
"""However much a server takes: a request has to be answered within its time."""

_NODES: Final = (
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """Items in one request: monitored, read, read from history."""

    monitored: int = ITEMS_PER_REQUEST
    read: int = ITEMS_PER_REQUEST
    history: int = ITEMS_PER_REQUEST


async def ask(client: Client) -> Limits:
    """Return a server's limits. Raises what the stack raises."""
    nodes = [ua.NodeId(ua.Int32(number)) for number in _NODES]
    values = await client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
    return Limits(*(_limit(value) for value in values))


def _limit(value: ua.DataValue) -> int:
    said = value.Value.Value if value.Value is not None else None
    if not isinstance(said, int) or said <= 0:  # 0 is "no limit" by the standard
        return ITEMS_PER_REQUEST
    return min(said, _MAX_ITEMS)


def portions(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Yield the items in their order, at most `size` at once."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
