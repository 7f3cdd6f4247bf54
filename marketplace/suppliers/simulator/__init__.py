"""Suppliers that stall, slip, overcharge and lie, over our real HTTP API: for demos, tests and integrators."""
