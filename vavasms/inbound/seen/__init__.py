"""Stores of the messages that were handled."""
