"""Suppliers: one port, one module for each tongue that they speak."""
