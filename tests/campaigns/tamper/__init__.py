"""Tamper with a real log in every way that is known here, and count what is found, and with its place."""
