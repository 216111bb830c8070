"""Speed, measured side by side in one run: `python -m benchmarks` (see `rows/` to add a row)."""
