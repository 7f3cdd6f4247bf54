"""Ids, keys and salts: where everything comes from that must be new, and where nobody may guess it.

The operating system's randomness, except within `drawing_from`: a simulation draws all of it from one seed, so that a
run can be repeated to the byte. Nothing of a real site calls that. What an id stands for is its caller's affair.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

Source = Callable[[int], bytes]
"""Returns so many random bytes."""

_SOURCE: Final[ContextVar[Source]] = ContextVar("identity", default=secrets.token_bytes)


def random_bytes(count: int) -> bytes:
    """Return bytes that nobody can guess."""
    return _SOURCE.get()(count)


def new_id(length: int = 16) -> str:
    """Return a new id of so many bytes, hexadecimal."""
    return random_bytes(length).hex()


def new_key() -> str:
    """Return a new idempotency key: a random UUID (RFC 9562, version 4)."""
    return str(uuid.UUID(bytes=random_bytes(16), version=4))


@contextmanager
def drawing_from(source: Source) -> Iterator[None]:
    """Draw from another source within the block, and in the tasks that are begun there."""
    token = _SOURCE.set(source)
    try:
        yield
    finally:
        _SOURCE.reset(token)
