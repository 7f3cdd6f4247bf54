"""Samples become health, belief and needs. Knows nothing of registers below it or of prices above it."""
