"""Deterministic simulation: the real senders over a simulated network, disk and clock, from one seed."""
