"""From a tag's node as people write it to what a server is asked to watch: pure functions.

Promises: a namespace is always resolved by its URI against the server's own list, at every connect; a node of an
unknown namespace is None, never a neighbour. Refuses to know sessions. Node ids as text: OPC 10000-6, 5.3.1.10.
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds


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


def monitor(handle: int, node: ua.NodeId, sampling_ms: float, queue: int, every: bool) -> ua.MonitoredItemCreateRequest:
    """Return the request to watch a node's value.

    With `every`, a value is also reported when only its source time is new: two equal measurements are two
    measurements, and a value that stays the same shows that its machine still lives.
    """
    parameters = ua.MonitoringParameters(
        ClientHandle=ua.UInt32(handle),
        SamplingInterval=ua.Double(sampling_ms),
        QueueSize=ua.UInt32(queue),
        DiscardOldest=True,
    )
    if every:
        parameters.Filter = ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValueTimestamp)
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.IntegerId(AttributeIds.Value)),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=parameters,
    )
