"""Files that only we may read, written whole or not at all.

Promises: nobody else can read one at any moment, and a crash leaves the old content or the new. Refuses to know what
is in them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file (0600), in a directory of our own (0700). Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read(path: Path, bytes_max: int) -> bytes:
    """Return a file's content. Raises OSError, ValueError when it is larger than it can be."""
    with path.open("rb") as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise ValueError(f"{path} is larger than {bytes_max} bytes")
    return content


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep every other thread and process out of a directory's files while it is entered. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # by open file, so it holds between threads, too
        yield
    finally:
        os.close(descriptor)
