"""A subscription and its monitored items: resumed, transferred, or made anew.

Promises: every tag is watched as the site said (sampling, queue, deadband), each time it is stamped where the server
can do so, else when it changes; what a server refuses for one tag is that tag's fault and the others run; requests keep
to the server's limits. Namespaces are resolved by URI at every making, for servers renumber them. Refuses to know
messages. OPC 10000-4, 5.13 and 5.14; deadbands: OPC 10000-4, 7.22.2 and OPC 10000-8, 6.2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from gettext import gettext as _
from typing import Final

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua import uaerrors
from asyncua.ua.status_codes import StatusCodes

from connectors.connector import ConnectionLost, TagFault
from connectors.opcua.continuity import KeptSubscription
from connectors.opcua.limits import Limits, portions
from connectors.opcua.nodes import Watch, monitor, resolve
from connectors.opcua.settings import OpcUaSettings, OpcUaTag

KEEP_ALIVE: Final = timedelta(seconds=2)
"""How long a server may be silent while nothing changes."""
LIFETIME: Final = timedelta(seconds=60)
"""How long a server keeps a subscription that nobody reads: one that outlives its reader costs the server memory."""
NOTIFICATIONS_PER_MESSAGE: Final = 10_000
"""About 350 kB: a tenth of the largest message that we take."""
WINDOWS_QUEUED: Final = 2
"""Of a tag whose readings are whole arrays: a thousand, as of numbers, would be a hundred megabytes in the server."""

# The server rejects the filter, not the tag: it may still be watched without.
_NO_FILTER: Final = frozenset(
    {
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadDeadbandFilterInvalid,
    }
)


@dataclass(frozen=True, slots=True)
class Item:
    """A tag on its way to being watched."""

    handle: int
    node: ua.NodeId
    watch: Watch


async def subscribe(
    client: Client, settings: OpcUaSettings, tags: Mapping[int, tuple[str, OpcUaTag]], limits: Limits
) -> KeptSubscription:
    """Make a subscription over tags, by handle: key and settings. Raises what the stack raises."""
    publishing = settings.publishing or settings.sampling
    beats = max(1, round(KEEP_ALIVE / publishing))
    request = ua.CreateSubscriptionRequest()
    request.Parameters = ua.CreateSubscriptionParameters(
        RequestedPublishingInterval=ua.Double(publishing / timedelta(milliseconds=1)),
        RequestedMaxKeepAliveCount=ua.UInt32(beats),
        RequestedLifetimeCount=ua.UInt32(max(3 * beats, round(LIFETIME / publishing))),
        MaxNotificationsPerPublish=ua.UInt32(NOTIFICATIONS_PER_MESSAGE),
        PublishingEnabled=True,
    )
    granted = await _create(client, request)
    interval = granted.RevisedPublishingInterval / 1000
    beat = interval * max(1, granted.RevisedMaxKeepAliveCount)
    kept = KeptSubscription(int(granted.SubscriptionId), interval, beat)
    await watch(client, kept, settings, tags, limits)
    return kept


async def watch(
    client: Client,
    kept: KeptSubscription,
    settings: OpcUaSettings,
    tags: Mapping[int, tuple[str, OpcUaTag]],
    limits: Limits,
) -> None:
    """Watch more tags; what cannot be watched becomes a fault of the subscription. Raises what the stack raises."""
    items = _items(kept, settings, tags, await client.get_namespace_array())
    for portion in portions(items, limits.monitored):
        await _watch(client, kept, portion, tags)


async def leave(client: Client, kept: KeptSubscription, handles: Collection[int], limits: Limits) -> None:
    """Watch some tags no more. Raises what the stack raises."""
    watched = [handle for handle in handles if handle in kept.items]
    for portion in portions(watched, limits.monitored):
        parameters = ua.DeleteMonitoredItemsParameters(
            SubscriptionId=ua.IntegerId(kept.id),
            MonitoredItemIds=[ua.IntegerId(kept.items[handle]) for handle in portion],
        )
        await client.uaclient.session.delete_monitored_items(parameters)
    for handle in handles:
        for known in (kept.items, kept.nodes, kept.faults):
            known.pop(handle, None)


async def _create(client: Client, request: ua.CreateSubscriptionRequest) -> ua.CreateSubscriptionResult:
    """Create the subscription without the stack's own publish loop, which `publishing` replaces."""
    data = await client.uaclient.session._send_request(request)
    response = ua.ua_binary.struct_from_binary(ua.CreateSubscriptionResponse, data)
    response.ResponseHeader.ServiceResult.check()
    result: ua.CreateSubscriptionResult = response.Parameters
    return result


async def transfer(client: Client, kept: KeptSubscription) -> bool:
    """Take over a subscription of a session that is gone; False when the server has it no more or cannot do it."""
    parameters = ua.TransferSubscriptionsParameters(SubscriptionIds=[ua.IntegerId(kept.id)], SendInitialValues=True)
    try:
        (result,) = await client.uaclient.session.transfer_subscriptions(parameters)
    except (uaerrors.UaStatusCodeError, ValueError):  # the service is optional
        return False
    return bool(result.StatusCode.is_good())


def _items(
    kept: KeptSubscription,
    settings: OpcUaSettings,
    tags: Mapping[int, tuple[str, OpcUaTag]],
    namespaces: Sequence[str],
) -> list[Item]:
    items: list[Item] = []
    for handle, (key, tag) in tags.items():
        node = resolve(tag.node, namespaces)
        if node is None:
            text = _("the server does not know the namespace of {node}")
            kept.faults[handle] = TagFault(key, text.format(node=tag.node))
        else:
            sampling_ms = (tag.sampling or settings.sampling) / timedelta(milliseconds=1)
            queue = tag.queue or (WINDOWS_QUEUED if tag.window else settings.queue)
            items.append(Item(handle, node, Watch(sampling_ms, queue, tag.band)))
    return items


async def _watch(
    client: Client, kept: KeptSubscription, items: Sequence[Item], tags: Mapping[int, tuple[str, OpcUaTag]]
) -> None:
    """Ask for some nodes' values each time they are stamped; where a server cannot, each time they change."""
    results = await _monitored(client, kept.id, items, every=True)
    plain = [item for item, result in zip(items, results, strict=True) if result.StatusCode.value in _NO_FILTER]
    results += await _monitored(client, kept.id, plain, every=False) if plain else []
    for item, result in zip([*items, *plain], results, strict=True):
        if result.StatusCode.is_good():
            kept.nodes[item.handle], kept.items[item.handle] = item.node, int(result.MonitoredItemId)
        elif result.StatusCode.value not in _NO_FILTER:
            key, tag = tags[item.handle]
            kept.faults[item.handle] = TagFault(key, f"{tag.node}: {result.StatusCode.name}")


async def _monitored(
    client: Client, subscription: int, items: Sequence[Item], *, every: bool
) -> list[ua.MonitoredItemCreateResult]:
    parameters = ua.CreateMonitoredItemsParameters(
        SubscriptionId=ua.IntegerId(subscription),
        TimestampsToReturn=ua.TimestampsToReturn.Both,
        ItemsToCreate=[monitor(item.handle, item.node, item.watch, every=every) for item in items],
    )
    results = await client.uaclient.session.create_monitored_items(parameters)
    if len(results) != len(items):
        raise ConnectionLost(_("the server answered for other tags than it was asked for"))
    return list(results)
