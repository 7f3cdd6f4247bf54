"""Nodes are found by the URI of their namespace, wherever a server numbers it."""

from __future__ import annotations

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import nodeid_from_binary, nodeid_to_binary

from connectors.opcua.nodes import Watch, monitor, resolve
from connectors.opcua.settings import OpcUaTag

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
    request = monitor(7, ua.NodeId(5, 1), Watch(250.0, 1000), every=True)
    asked = request.RequestedParameters
    assert (asked.ClientHandle, asked.SamplingInterval, asked.QueueSize) == (7, 250.0, 1000)
    assert asked.Filter.Trigger == ua.DataChangeTrigger.StatusValueTimestamp
    plain = monitor(7, ua.NodeId(5, 1), Watch(250.0, 1000), every=False).RequestedParameters
    assert not isinstance(plain.Filter, ua.DataChangeFilter)


@pytest.mark.parametrize(
    ("deadband", "kind", "value"), [("0.1 mm", ua.DeadbandType.Absolute, 0.1), ("2 %", ua.DeadbandType.Percent, 2.0)]
)
def test_a_deadband_is_the_servers_to_keep(deadband: str, kind: ua.DeadbandType, value: float):
    band = OpcUaTag(node="i=1", unit="mm", deadband=deadband).band
    asked = monitor(7, ua.NodeId(5, 1), Watch(250.0, 1000, band), every=True).RequestedParameters.Filter
    assert (asked.DeadbandType, asked.DeadbandValue) == (kind, value)
    assert asked.Trigger == ua.DataChangeTrigger.StatusValue


@pytest.mark.parametrize("deadband", ["0.1", "0.1 m", "0 mm", "-1 %", "101 %"])
def test_a_deadband_that_could_be_misread_is_refused(deadband: str):
    with pytest.raises(ValueError, match=r"deadband|unit"):
        OpcUaTag(node="i=1", unit="mm", deadband=deadband)
