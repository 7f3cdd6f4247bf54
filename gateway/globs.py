"""Patterns over browse paths: `*` and `?` within one name, `**` over any number of names. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

EVERYTHING = "**"


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a test whether a path, its names parted by `/`, fits one of the patterns.

    A pattern that ends in a name also fits everything below it, so that a folder stands for what is in it.
    """
    whole = re.compile("|".join(f"(?:{_expression(each)})" for each in patterns))
    return lambda path: whole.fullmatch(path) is not None


def _expression(pattern: str) -> str:
    names = pattern.strip("/").split("/")
    parts = [r"(?:[^/]+/)*" if name == EVERYTHING else _name(name) + "/" for name in names]
    last = r".*" if names[-1] == EVERYTHING else _name(names[-1]) + r"(?:/.*)?"
    return "".join(parts[:-1]) + last


def _name(name: str) -> str:
    made = (r"[^/]*" if each == "*" else r"[^/]" if each == "?" else re.escape(each) for each in name)
    return "".join(made)
