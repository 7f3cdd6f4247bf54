"""From a tag's node as people write it to what a server is asked to watch: pure functions.

Promises: a namespace is always resolved by its URI against the server's own list, at every connect; a node of an
unknown namespace is None, never a neighbour. Refuses to know sessions. Node ids as text: OPC 10000-6, 5.3.1.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from connectors.settings import Deadband


def resolve(text: str, namespaces: Sequence[str]) -> ua.NodeId | None:
    """Return the node of `nsu=URI;s=NAME` on a server with these namespaces, or None when it has no such namespace.

    Raises ua.UaError for a text that is no node id at all.
    """
    uri, name = "", text
    if text.startswith("nsu="):
        uri, _semicolon, name = text[4:].partition(";")
        if uri not in namespaces:
            return None
    node = ua.NodeId.from_string(name)
    if uri:
        node.NamespaceIndex = ua.Int16(namespaces.index(uri))
        if node.NodeIdType in (ua.NodeIdType.TwoByte, ua.NodeIdType.FourByte):
            node.NodeIdType = ua.NodeIdType.Numeric
    return node


@dataclass(frozen=True, slots=True)
class Watch:
    """How a node is watched: how often the server looks, how many values it keeps, what it may leave out."""

    sampling_ms: float
    queue: int
    deadband: Deadband | None = None


def monitor(handle: int, node: ua.NodeId, watch: Watch, every: bool) -> ua.MonitoredItemCreateRequest:
    """Return the request to watch a node's value.

    With `every`, a value is also reported when only its source time is new: two equal measurements are two
    measurements, and a value that stays the same shows that its machine still lives. A deadband leaves such out.
    """
    parameters = ua.MonitoringParameters(
        ClientHandle=ua.UInt32(handle),
        SamplingInterval=ua.Double(watch.sampling_ms),
        QueueSize=ua.UInt32(watch.queue),
        DiscardOldest=True,
    )
    if every:
        parameters.Filter = _filter(watch.deadband)
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.IntegerId(AttributeIds.Value)),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=parameters,
    )


def _filter(deadband: Deadband | None) -> ua.DataChangeFilter:
    if deadband is None:
        return ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
    return ua.DataChangeFilter(
        Trigger=ua.DataChangeTrigger.StatusValue,
        DeadbandType=ua.UInt32(ua.DeadbandType.Percent if deadband.percent else ua.DeadbandType.Absolute),
        DeadbandValue=ua.Double(deadband.value),
    )
