"""The health of a worker: whether it is alive and ready, and its metrics."""
