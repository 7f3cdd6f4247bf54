"""Telemetry that is recorded already, from files and from a gateway's own store, as batches in the order of time."""
