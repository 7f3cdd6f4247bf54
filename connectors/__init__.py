"""Machines in: OPC-UA and Modbus become samples. Knows nothing of wear, needs or money."""
