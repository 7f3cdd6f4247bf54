"""A factory that really wears, served over real OPC-UA and Modbus, and recordings played back as machines.

Nothing here is a mock: the servers are asyncua and pymodbus, so what works against the simulator works against a
machine that keeps to the standards. `factory` serves four wearing machines, `player` serves recorded lives in
lock-step, `technician` fits parts through the loopback control. A running gateway is never given the control's token:
from its side the simulated machines are as read-only as real ones.
"""
