"""A plant to look at: four machines, three weeks of history, orders in every stage, bought through the real gate.

The tests of the page stand on it, and it draws the picture of the README. Suppliers are ours and in memory; purchasing,
gate, ledger and audit are the product's own.
"""
