"""Mistakes that break a promise, put into a copy of the tree one at a time: which search finds which."""
