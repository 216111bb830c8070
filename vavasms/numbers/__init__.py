"""Mobile numbers: read in any written form, judged by `phonenumbers`, carried as `Msisdn`."""

from vavasms.numbers.faults import NumberFault
from vavasms.numbers.msisdn import Msisdn, check_region, parse_msisdn, read_wire

__all__ = ["Msisdn", "NumberFault", "check_region", "parse_msisdn", "read_wire"]
