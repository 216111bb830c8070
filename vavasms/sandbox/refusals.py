"""Say no in the gateway's words: codes, names, and the shape of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from vavasms.sandbox import replies
from vavasms.sandbox.replies import Answer

__all__ = ["RefusedError", "refusal"]

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
    999: ("UNEXPECTED_ERROR", "Erreur inattendue"),
}
_TRAILING = frozenset({901, 902, 903})


class RefusedError(Exception):
    """Say by which code the gateway turns a request away."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def refusal(code: int, *, balance: bool, http_status: int) -> Answer:
    """Write an error in the shape that the documentation shows for the call: `balance` or any other."""
    name, description = _ERRORS[code]
    if code == 709:
        return replies.compact("709", name, description, http_status=http_status)
    if code in _TRAILING and not balance:
        return replies.trailing(str(code), name, description, http_status=http_status)
    return replies.full(code, name, description, http_status=http_status)
