"""A reply of the gateway settles nothing that it does not prove, whatever its status and its body."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.target import Target, words
from tests.wire.reply_law import check

_STATUSES = (200, 201, 204, 302, 400, 403, 404, 408, 413, 421, 425, 429, 500, 502, 503, 999)
_SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.body"))


def check_reply(data: bytes) -> None:
    """Take a letter of the status, then the body."""
    check(_STATUSES[data[0] % 16] if data else 200, data[1:])


TARGET = Target(
    check=check_reply,
    seeds=(
        *(letter + sample.read_bytes() for sample in _SAMPLES for letter in (b"P", b"[", b"T")),
        # What looks like a refusal and may be a success.
        b'U{"code": 901, "message": "EXECUTION_ERROR", "data": {"code": 0}}',
        b'[{"code": "0", "message": "OPERATION_SUCCES",}',
        b'[<br />\n<b>Notice</b>: {"code": 0}\n{"code": 903, "status": "INVALID_PHONE_NUMBER"}',
        b'P{"code": 901, "code": 0, "message": "x"}',
        b'P{"code": 0, "message": "OPERATION_SUCCES", "data": NaN}',
        b'P{"code": "00", "message": "OPERATION_SUCCES", "data": null}',
        b'[<html>429 Too Many Requests</html> {"lot_id": "LOT-20190623-1"}',
    ),
    tokens=words(
        r"""
        "code" "message" "status" "data" "description" "lot_id" "message_id" OPERATION_SUCCES INVALID_OTP
        EXPIRED_OTP "0" 901 "903" 709 913 0x0 ,} /* */ // NaN Infinity \\u0030 \\u0063ode ' null true
        Warning:\x20 <b>Notice</b>: <br\x20/>\n \n{ \xef\xbb\xbf \xff\xfe &quot; &#48; SM-20190623-1 code=0
        <code>0 code=>0 {"code":0} [[[[ }}}} 1e999
        """
    ),
    smoke=100,
)
