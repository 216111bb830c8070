"""What a text costs as SMS, and how to make it cost less. Pure, and without dependencies in this package."""

from vavasms.text.folding import fold_to_gsm7
from vavasms.text.segments import Encoding, Segmentation, count_segments

__all__ = ["Encoding", "Segmentation", "count_segments", "fold_to_gsm7"]
