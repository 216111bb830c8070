"""Campaigns beyond one machine."""
