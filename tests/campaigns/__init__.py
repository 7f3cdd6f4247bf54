"""Campaigns: the money core under many seeds, by command; a short run of each is an ordinary test."""
