"""Modbus TCP: one polling conversation with one device, in few and large reads."""

from connectors.modbus.connector import ModbusConnector

__all__ = ["ModbusConnector"]
