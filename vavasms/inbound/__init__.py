"""SMS that handsets send to the account."""

from vavasms.inbound.parse import parse_inbound

__all__ = ["parse_inbound"]
