"""The Merkle tree of RFC 9162, section 2.1: what makes a log that nobody can quietly change.

It promises the standard's hashes and nothing else: a leaf is SHA-256 over 0x00 and its bytes, a node over 0x01 and
its two children, the empty tree over nothing. A tree of n leaves splits at the largest power of two below n. What
must be kept to append is only the roots of the complete subtrees, one for each bit of n that is set: the frontier.
It knows no database, no clock and no meaning of a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an interior node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the complete subtrees of a tree of `size` leaves, largest first: enough to append and to sum up."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has another number of complete subtrees")
        if any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise ValueError(f"a hash has {HASH_BYTES} bytes")

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier with one more leaf, given its hash; at most log2(size) nodes are hashed."""
        peaks = list(self.peaks)
        node, carry = leaf, self.size
        while carry & 1:
            node = node_hash(peaks.pop(), node)
            carry >>= 1
        return Frontier(self.size + 1, (*peaks, node))

    @property
    def root(self) -> bytes:
        """The tree's root."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, node = self.peaks
        for peak in reversed(rest):
            node = node_hash(peak, node)
        return node

    def encode(self) -> bytes:
        """Return the peaks as they are stored: one after the other."""
        return b"".join(self.peaks)

    @classmethod
    def decode(cls, size: int, stored: bytes) -> Frontier:
        """Return what was stored. Raises ValueError when it cannot belong to a tree of that size."""
        if len(stored) % HASH_BYTES:
            raise ValueError("a stored frontier is a whole number of hashes")
        return cls(size, tuple(stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    return frontier.root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of one leaf, nearest sibling first (RFC 9162, 2.1.3.1). Raises IndexError."""
    return [root_of(leaves[first:last]) for first, last in inclusion_ranges(index, len(leaves))]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether the proof shows that a leaf hash stands at `index` of the tree with `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root


def subtrees(start: int, stop: int) -> list[tuple[int, int]]:
    """Return the complete, aligned subtrees that cover leaves `start` to `stop`, largest first, as (first, height).

    `start` is a multiple of the largest power of two that is not above `stop - start`, as it is within any tree.
    """
    found = []
    while start < stop:
        height = (stop - start).bit_length() - 1
        found.append((start, height))
        start += 1 << height
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots make the audit path of a leaf, nearest first. Raises IndexError."""
    if not 0 <= index < size:
        raise IndexError(f"there is no leaf {index} in a tree of {size}")
    found, first, last = [], 0, size
    while last - first > 1:
        split = first + (1 << ((last - first - 1).bit_length() - 1))
        if index < split:
            found.append((split, last))
            last = split
        else:
            found.append((first, split))
            first = split
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots show that a tree continues an older one (RFC 9162, 2.1.4.1).

    Raises IndexError unless 0 <= old <= new. An empty tree and the same tree need no proof.
    """
    if not 0 <= old <= new:
        raise IndexError(f"a tree of {new} leaves does not continue one of {old}")
    if old in (0, new):
        return []
    found: list[tuple[int, int]] = []
    first, last, whole = 0, new, True
    while old < last:
        split = first + (1 << ((last - first - 1).bit_length() - 1))
        if old <= split:
            found.append((split, last))
            last = split
        else:
            found.append((first, split))
            first, whole = split, False
    return found[::-1] if whole else [(first, last), *found[::-1]]


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """Return the proof that the tree over leaf hashes continues that over the first `old`. Raises IndexError."""
    return [root_of(leaves[first:last]) for first, last in consistency_ranges(old, len(leaves))]


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether the proof shows that the tree of `new` leaves continues that of `old` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        return not proof and old_root == (EMPTY_ROOT if old == 0 else new_root)
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            after = node_hash(after, node)
        here, last = here >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
