"""The demo: a simulated factory, a simulated market, a technician and the gateway, each a process of its own.

It stands in the gateway because it wires all packages together; nothing of a real site imports it. Its processes share
one compressed plant clock and speak over the same protocols as the real ones would.
"""
