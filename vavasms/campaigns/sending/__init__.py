"""Batches on their way: claimed, sent, settled."""
