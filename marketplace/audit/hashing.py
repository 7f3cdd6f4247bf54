"""Hash a whole log as fast as this computer can: what tree do the bytes of its leaves give?

It promises that the bytes of every leaf were read from the file and hashed just now, in their order, and nothing that
was stored of them was believed: who compares the root with what was kept and signed knows whether every leaf is the
one that was written, though not which one is another; that is for `verify`, which reads slowly. Large logs are shared
out over two processes, so it is also a program of its own. It imports nothing of ours and nothing slow.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 12
"""Leaves held at a time: 3 MB, and few enough that their hashes stay in the processor's cache."""
SHARE_FROM: Final = 32 * CHUNK
"""Leaves from which a second process is worth its start, which takes as long as hashing 30,000."""
_MAP_BYTES: Final = 1 << 40
_QUERY: Final = (
    "SELECT leaf FROM audit_leaf "
    "WHERE plant = ? AND gateway_id = ? AND leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a log: from a multiple of a chunk to another, or to the end."""

    file: Path
    plant: str
    gateway: str
    first: int
    last: int


class LeafBroken(Exception):
    """What is stored as a leaf is no sequence of bytes, or a process that hashed could not."""


@dataclass(slots=True)
class Hashed:
    """What a stretch gave: the root of each whole chunk, and the hash of each leaf after the last of them."""

    chunks: list[bytes] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)

    @property
    def leaves(self) -> int:
        """How many leaves were there."""
        return len(self.chunks) * CHUNK + len(self.rest)


def hash_log(file: Path, plant: str, gateway: str, size: int) -> Hashed:
    """Hash the leaves below `size` of a gateway's log. Raises `LeafBroken`, sqlite3.Error."""
    if size < SHARE_FROM or (os.cpu_count() or 1) == 1:
        return hash_stretch(Stretch(file, plant, gateway, 0, size))
    half = size // 2 // CHUNK * CHUNK
    with _elsewhere(Stretch(file, plant, gateway, half, size)) as other:
        found = hash_stretch(Stretch(file, plant, gateway, 0, half))
        said, _none = other.communicate()
    if other.returncode != 0 or found.rest:
        raise LeafBroken
    more = json.loads(said)
    return Hashed(found.chunks + [bytes.fromhex(each) for each in more[0]], [bytes.fromhex(each) for each in more[1]])


def hash_stretch(stretch: Stretch) -> Hashed:
    """Hash one stretch in this process. Raises `LeafBroken`, sqlite3.Error."""
    found = Hashed()
    with closing(sqlite3.connect(f"{stretch.file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute(f"PRAGMA mmap_size={_MAP_BYTES}")
        cursor = connection.execute(_QUERY, (stretch.plant, stretch.gateway, stretch.first, stretch.last))
        while rows := cursor.fetchmany(CHUNK):
            try:
                nodes = [sha256(b"\x00" + leaf).digest() for (leaf,) in rows]
            except TypeError as error:
                raise LeafBroken from error
            if len(nodes) == CHUNK:
                found.chunks.append(_root(nodes))
            else:
                found.rest = nodes
    return found


def _root(nodes: list[bytes]) -> bytes:
    """Return the root over the leaves of a whole chunk."""
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return nodes[0]


def _elsewhere(stretch: Stretch) -> subprocess.Popen[bytes]:
    """Hash a stretch in another process."""
    told = (str(stretch.file), stretch.plant, stretch.gateway, str(stretch.first), str(stretch.last))
    return subprocess.Popen([sys.executable, __file__, *told], stdout=subprocess.PIPE)  # noqa: S603 - ourselves


def main(words: Sequence[str]) -> int:
    """Hash the stretch that the words say and write what it gave, for the process that asked."""
    file, plant, gateway, first, last = words
    found = hash_stretch(Stretch(Path(file), plant, gateway, int(first), int(last)))
    json.dump([[each.hex() for each in found.chunks], [each.hex() for each in found.rest]], sys.stdout)
    return 0


if __name__ == "__main__":  # pragma: no cover - the other process
    sys.exit(main(sys.argv[1:]))
