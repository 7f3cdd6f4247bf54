"""Requisitions and purchase orders: the state tables, the acts that move them, the inbox, and recovery."""
