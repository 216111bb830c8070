"""One text to very many: batches under a concurrency limiter, every recipient accounted for."""
