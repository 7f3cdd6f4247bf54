"""Needs become purchase orders, inside limits that people set. Knows nothing of samples or of web pages."""
