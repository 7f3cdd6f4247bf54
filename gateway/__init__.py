"""The composition root: config, storage, schedule, web and command line. Nobody imports it."""

VERSION = "0.1.0"
"""As in pyproject.toml; written here too because asking the installed package costs 60 ms, and a test compares."""
