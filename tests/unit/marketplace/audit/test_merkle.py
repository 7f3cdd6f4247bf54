"""The tree against the vectors that certificate transparency logs have been tested with since 2012, and itself."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
digests = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_standard(size):
    assert root_of(HASHES[:size]).hex() == ROOTS[size]


def test_the_empty_tree_is_the_hash_of_nothing():
    assert EMPTY_ROOT == hashlib.sha256().digest() == Frontier().root


def test_the_proof_of_the_sixth_leaf_is_that_of_the_vectors():
    assert [node.hex() for node in inclusion_proof(HASHES, 5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_a_leaf_is_hashed_behind_a_zero_and_a_node_behind_a_one():
    assert leaf_hash(b"").hex() == ROOTS[1]
    assert node_hash(b"left", b"right") == hashlib.sha256(b"\x01leftright").digest()


def naive(leaves: list[bytes]) -> bytes:
    """The recursive definition, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive(leaves[:split]), naive(leaves[split:]))


@given(st.lists(digests, max_size=70))
def test_the_frontier_gives_the_recursive_root(leaves):
    assert root_of(leaves) == naive(leaves)


@given(st.lists(digests, min_size=1, max_size=70), st.data())
def test_every_leaf_is_proved_where_it_stands_and_nowhere_else(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    assert verify_inclusion(leaves[index], index, len(leaves), proof, root)
    other = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[other] != leaves[index]:
        assert not verify_inclusion(leaves[other], index, len(leaves), proof, root)
    assert not verify_inclusion(leaves[index], index, len(leaves), [*proof, root], root)
    if proof:
        assert not verify_inclusion(leaves[index], index, len(leaves), proof[:-1], root)


def test_every_leaf_of_every_small_tree_is_proved():
    leaves = [leaf_hash(bytes([index])) for index in range(36)]
    for size in range(1, 37):
        root = naive(leaves[:size])
        for index in range(size):
            proof = inclusion_proof(leaves[:size], index)
            assert verify_inclusion(leaves[index], index, size, proof, root), (index, size)


def test_a_proof_for_a_place_outside_the_tree_is_none():
    assert not verify_inclusion(HASHES[0], 1, 1, [], HASHES[0])
    assert not verify_inclusion(HASHES[0], 8, 8, [], root_of(HASHES))
    assert not verify_inclusion(HASHES[0], -1, 8, [], root_of(HASHES))
    with pytest.raises(IndexError):
        inclusion_proof(HASHES, 8)


@given(st.lists(digests, max_size=40))
def test_a_stored_frontier_goes_on_where_it_stopped(leaves):
    frontier = Frontier()
    for leaf in leaves:
        frontier = Frontier.decode(frontier.size, frontier.encode()).append(leaf)
    assert frontier.root == naive(leaves)


@pytest.mark.parametrize(("size", "stored"), [(1, b""), (2, b"x" * 64), (3, b"x" * 63), (-1, b""), (0, b"x" * 32)])
def test_a_frontier_of_another_size_is_refused(size, stored):
    with pytest.raises(ValueError, match=r"leaves|hash"):
        Frontier.decode(size, stored)


def test_a_peak_that_is_no_hash_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier(1, (b"short",))
