"""The gateway's bodies in the shapes that the documentation shows, one function a shape; and its refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attrs import frozen

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@frozen(kw_only=True)
class Answer:
    """An HTTP reply before it is put on a wire."""

    #: 200 to 599.
    http_status: int = 200
    body: bytes
    content_type: str = JSON
    #: Further ones.
    headers: tuple[tuple[str, str], ...] = ()


#: What a path that the documentation does not name answers: a PHP site's page, not an envelope.
NOT_FOUND = Answer(http_status=404, body=b"<!DOCTYPE html><h1>404 Not Found</h1>\n", content_type=HTML)

#: What a request that comes too fast is answered.
TOO_FAST = Answer(
    http_status=429,
    body=b"<!DOCTYPE html><h1>429 Too Many Requests</h1>\n",
    content_type=HTML,
    headers=(("Retry-After", "1"),),
)


def success(data: Mapping[str, object] | Sequence[Mapping[str, object]]) -> Answer:
    """Return `{"code": 0, "message": "OPERATION_SUCCES", "data": ...}` (the vendor's spelling, one S)."""
    return _answer(200, {"code": 0, "message": "OPERATION_SUCCES", "data": data})


def _answer(http_status: int, envelope: Mapping[str, object]) -> Answer:
    """Return an envelope as JSON in UTF-8, accents unescaped as in the documentation."""
    return Answer(http_status=http_status, body=json.dumps(envelope, ensure_ascii=False).encode())


# The names and descriptions of 709 to 903 and of 913 are the vendor's. EXPIRED_OTP and OTP_NOT_FOUND are
# names that the vendor's PHP client knows, their codes are not documented: 914 and 915 are the sandbox's.
# All the rest is the sandbox's own, codes and names.
_ERRORS: Mapping[int, tuple[str, str]] = {
    709: ("EXECUTION_ERROR", "Aucun envoi existe pour ce ID"),
    901: ("INVALID_CREDENTIALS", "Identifiant de connexion incorrect"),
    902: ("INVALID_SENDER_ID", "Le sender_id n’existe pas"),
    903: ("INVALID_PHONE_NUMBER", "Le format du numéro de téléphone est invalide"),
    904: ("INVALID_MESSAGE", "Le message est vide"),
    905: ("INVALID_OTP_LENGTH", "otp_length doit être comprise entre 4 et 9"),
    906: ("INVALID_OTP_EXPIRY", "otp_expiry est un nombre de minutes, 1 ou plus"),
    907: ("INVALID_OTP_MESSAGE", "Le message doit comporter la balise ##OTP##"),
    913: ("INVALID_OTP", "vavasms.INVALID_OTP"),
    914: ("EXPIRED_OTP", "vavasms.EXPIRED_OTP"),
    915: ("OTP_NOT_FOUND", "vavasms.OTP_NOT_FOUND"),
    920: ("INSUFFICIENT_CREDIT", "Crédit insuffisant"),
    921: ("TOO_MANY_RECIPIENTS", "Trop de destinataires dans une requête"),
    999: ("UNEXPECTED_ERROR", "Erreur inattendue"),
}
_TRAILING = frozenset({901, 902, 903})


class RefusedError(Exception):
    """The gateway turns a request away, by this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def refusal(code: int, *, balance: bool, http_status: int) -> Answer:
    """Return an error in the shape that the documentation shows for the call: `balance` or any other."""
    name, description = _ERRORS[code]
    if code in _TRAILING and not balance:
        # Send, status and OTP show the code as text, `status`, and a trailing comma, which is invalid JSON.
        pairs = {"code": str(code), "status": name, "description": description}
        lines = "".join(
            f'"{key}": {json.dumps(value, ensure_ascii=False)},\n' for key, value in pairs.items()
        )
        return Answer(http_status=http_status, body=f"{{\n{lines}}}".encode())
    # "Delivery status" shows 709 as text, "check balance" and "verify OTP" (913) a number.
    shown = str(code) if code == 709 else code
    return _answer(http_status, {"code": shown, "message": name, "description": description, "data": []})
