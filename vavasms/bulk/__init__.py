"""One text to very many: batches under a concurrency limiter, every recipient accounted for."""

from vavasms.bulk.models import BatchResult, BulkProgress, BulkReport, InvalidRecipient

__all__ = ["BatchResult", "BulkProgress", "BulkReport", "InvalidRecipient"]
