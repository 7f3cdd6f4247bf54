"""Campaigns: what is proven by counting many runs, by command and in continuous integration; short runs are tests."""
