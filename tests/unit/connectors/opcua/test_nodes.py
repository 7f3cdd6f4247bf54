"""Nodes are found by the URI of their namespace, wherever a server numbers it."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import nodeid_from_binary, nodeid_to_binary

from connectors.opcua.nodes import monitor, resolve

SPACES = ["http://opcfoundation.org/UA/", "urn:server", "urn:maker:plant"]


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("nsu=urn:maker:plant;s=mill.load", ua.NodeId("mill.load", 2)),
        ("nsu=urn:maker:plant;s=a;b=c", ua.NodeId("a;b=c", 2)),
        ("nsu=urn:server;i=5", ua.NodeId(5, 1)),
        ("nsu=http://opcfoundation.org/UA/;i=2258", ua.NodeId(2258, 0)),
        ("i=2258", ua.NodeId(2258, 0)),
        ("nsu=urn:server;i=4294967295", ua.NodeId(4294967295, 1)),
        ("nsu=urn:server;b=AAE=", ua.NodeId(b"\x00\x01", 1)),
    ],
)
def test_a_node_is_found_and_survives_the_wire(text: str, node: ua.NodeId):
    found = resolve(text, SPACES)
    assert found == node
    assert nodeid_from_binary(ua.utils.Buffer(nodeid_to_binary(found))) == node


def test_a_node_of_another_server_is_nobodys():
    assert resolve("nsu=urn:elsewhere;s=mill.load", SPACES) is None


def test_the_queue_and_the_rhythm_are_asked_for():
    request = monitor(7, ua.NodeId(5, 1), 250.0, 1000, every=True)
    asked = request.RequestedParameters
    assert (asked.ClientHandle, asked.SamplingInterval, asked.QueueSize) == (7, 250.0, 1000)
    assert asked.Filter.Trigger == ua.DataChangeTrigger.StatusValueTimestamp
    plain = monitor(7, ua.NodeId(5, 1), 250.0, 1000, every=False).RequestedParameters
    assert not isinstance(plain.Filter, ua.DataChangeFilter)
