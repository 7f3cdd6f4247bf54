"""OPC-UA: one encrypted, pinned, subscription based conversation with one server."""

from connectors.opcua.connector import OpcUaConnector

__all__ = ["OpcUaConnector"]
