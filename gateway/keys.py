"""Keys for what machines call by names of their own: legal in a config, one for each, the same at every run. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Final

LENGTH_MAX: Final = 64
"""As long as a key may be (`gateway.settings.Key`)."""
_UNNAMED: Final = "unnamed"


def key_of(name: str) -> str:
    """Return a name as a key: letters without accents, small, digits, and single hyphens for all else."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "-", plain)  # SpindleSpeed, but not FS3 or DW60L
    return re.sub(r"[^a-z0-9]+", "-", parted.lower()).strip("-")[:LENGTH_MAX].rstrip("-") or _UNNAMED


def free_key(wishes: Iterable[str], taken: Collection[str]) -> str:
    """Return the first wished key that is not taken, else the first one with the lowest number that makes it free.

    Raises ValueError without a wish.
    """
    wished = list(wishes)
    if not wished:
        raise ValueError("no key was wished for")
    for each in wished:
        if each not in taken:
            return each
    number = 2
    while (numbered := f"{wished[0][: LENGTH_MAX - 1 - len(str(number))]}-{number}") in taken:
        number += 1
    return numbered
