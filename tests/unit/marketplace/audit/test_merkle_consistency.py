"""Consistency proofs against the vectors of certificate transparency, the naive definition, and themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.audit import proofs
from marketplace.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    consistency_ranges,
    inclusion_proof,
    inclusion_ranges,
    leaf_hash,
    root_of,
    subtrees,
    verify_consistency,
)

HASHES = [
    leaf_hash(bytes.fromhex(text))
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
VECTORS = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
leaves = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


def naive(known: list[bytes], old: int, whole: bool = True) -> list[bytes]:
    """SUBPROOF as RFC 9162, 2.1.4.1 writes it."""
    if old == len(known):
        return [] if whole else [root_of(known)]
    split = 1 << ((len(known) - 1).bit_length() - 1)
    if old <= split:
        return [*naive(known[:split], old, whole), root_of(known[split:])]
    return [*naive(known[split:], old - split, False), root_of(known[:split])]


@pytest.mark.parametrize("sizes", VECTORS)
def test_proofs_are_those_of_the_vectors(sizes):
    old, new = sizes
    proof = consistency_proof(HASHES[:new], old)
    assert [node.hex() for node in proof] == VECTORS[sizes]
    assert verify_consistency(old, new, root_of(HASHES[:old]), root_of(HASHES[:new]), proof)


@given(leaves, st.data())
def test_a_proof_shows_the_older_tree_and_no_other(known, data):
    new, old = len(known), data.draw(st.integers(0, len(known)))
    proof = consistency_proof(known, old)
    before, after = root_of(known[:old]), root_of(known)
    assert proof == (naive(known, old) if old else [])
    assert verify_consistency(old, new, before, after, proof)
    assert not verify_consistency(old, new, leaf_hash(before), after, proof)
    assert not verify_consistency(old, new, before, leaf_hash(after), proof) or old == 0
    assert not verify_consistency(old, new, before, after, [*proof, after])
    if proof:
        assert not verify_consistency(old, new, before, after, proof[:-1])
        assert not verify_consistency(old, new, before, after, [*proof[:-1], leaf_hash(proof[-1])])


def test_every_small_tree_is_shown_to_continue_every_smaller_one():
    known = [leaf_hash(bytes([index])) for index in range(36)]
    roots = [root_of(known[:size]) for size in range(37)]
    for new in range(37):
        for old in range(new + 1):
            proof = consistency_proof(known[:new], old)
            assert verify_consistency(old, new, roots[old], roots[new], proof), (old, new)


@given(leaves, st.data())
def test_every_root_and_proof_follows_from_what_stands_beside_the_leaves(known, data):
    frontier, stored = Frontier(), {}
    for index, leaf in enumerate(known):
        frontier = frontier.append(leaf)
        stored[index] = (leaf, frontier.peaks[-1])
    size = data.draw(st.integers(1, len(known)))
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    assert proofs._root(0, size, stored) == root_of(known[:size])
    given_by = [proofs._root(first, last, stored) for first, last in inclusion_ranges(index, size)]
    assert given_by == inclusion_proof(known[:size], index)
    assert [proofs._root(*each, stored) for each in consistency_ranges(old, size)] == consistency_proof(
        known[:size], old
    )


def test_a_proof_of_a_long_log_needs_few_leaves():
    rows = {row for each in consistency_ranges(1_234_567, 50_000_000) for row in proofs._rows(*each)}
    rows |= {row for each in inclusion_ranges(33_333_333, 50_000_000) for row in proofs._rows(*each)}
    assert len(rows) < 700


def test_nothing_is_the_root_of_nothing():
    assert proofs._root(0, 0, {}) == EMPTY_ROOT
    assert subtrees(4, 4) == []
    assert verify_consistency(0, 3, EMPTY_ROOT, HASHES[0], [])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_a_tree_does_not_continue_a_larger_one(old, new):
    assert not verify_consistency(old, new, HASHES[0], HASHES[0], [])
    with pytest.raises(IndexError):
        consistency_ranges(old, new)


def test_a_proof_that_is_missing_shows_nothing():
    assert not verify_consistency(3, 7, HASHES[0], HASHES[1], [])
