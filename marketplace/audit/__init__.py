"""The record that nobody can quietly change: an RFC 9162 Merkle tree over canonical JSON leaves."""
