"""Search for inputs that break a law: `python -m tests.fuzz TARGET`."""
