"""The secrets of a request, folded for a comparison, and where a text holds a part of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from urllib.parse import parse_qsl

from attrs import field, frozen

from vavasms.transport.spellings import FOLDS, Fold, compact, fold, misread, plain, unescaped
from vavasms.wire.requests import DEFAULT_TEMPLATE, OTP_TAG, Call, Request

_PRIVATE_FIELDS = frozenset({"message", "otp"})
#: Below this length a text is no secret, and taking it out would only garble other words.
_SHORTEST = 4
#: A code so long is met by chance nowhere, and counts within a word and a number as well.
_LONG_CODE = 6
#: So many characters in a row are a part of a secret; a shorter secret counts whole.
_RUN = 8

#: The characters of a folded text, each with its place in the text.
_Places = Sequence[tuple[int, str]]


@frozen(kw_only=True)
class FoldedSecrets:
    """The secrets of a request by one fold."""

    fold: Fold
    #: Those that have a run, a line each.
    long: str
    #: Passwords and long codes that are shorter than a run: they count wherever they stand.
    short: tuple[str, ...]
    #: Codes and texts that are shorter: they count as words of their own.
    words: tuple[str, ...]
    _known: dict[str, bool] = field(factory=dict, init=False)

    def find(self, text: str) -> tuple[int, int] | None:
        """Find the first part of a secret in a text: its begin and end."""
        return next(self.find_all(text), None)

    def find_all(self, text: str) -> Iterator[tuple[int, int]]:
        """Find the parts of secrets in a text: the begin and end of each."""
        places = [(at, part) for at, character in enumerate(text) for part in self.fold(character)]
        flat = "".join([part for _, part in places])
        begin = 0
        while begin < len(flat):
            end = self._match(flat, begin) or self._match_word(text, places, flat, begin)
            if end:
                yield places[begin][0], places[end - 1][0] + 1
            begin = max(begin + 1, end)

    def _match(self, flat: str, begin: int) -> int:
        """Return the end of the part of a secret that begins there; 0 where none does."""
        for secret in self.short:
            if flat.startswith(secret, begin):
                return begin + len(secret)
        end = begin + _RUN
        if end > len(flat) or not self._is_run(flat[begin:end]):
            return 0
        # A run that follows on a run is taken along, of which secret ever it is.
        while end < len(flat) and self._is_run(flat[end - _RUN + 1 : end + 1]):
            end += 1
        return end

    def _is_run(self, run: str) -> bool:
        # Spellings of one text have most of their runs in common.
        if run not in self._known:
            self._known[run] = run in self.long
        return self._known[run]

    def _match_word(self, text: str, places: _Places, flat: str, begin: int) -> int:
        for secret in self.words:
            end = begin + len(secret)
            if flat.startswith(secret, begin) and _is_word(text, places[begin][0], places[end - 1][0]):
                return end
        return 0


def hide_runs(text: str, folded: Iterable[FoldedSecrets], mask: str) -> str:
    """Return a text with a mask in the place of each part of a secret, by whichever fold it is one."""
    spans = sorted(span for secrets in folded for span in secrets.find_all(text))
    kept, at = "", 0
    for begin, end in spans:
        if end > at:
            kept += text[at:begin] + mask if begin >= at else ""
            at = end
    return kept + text[at:]


def fold_secrets(request: Request, password: str) -> tuple[FoldedSecrets, ...]:
    """Fold the password, the text, template or code, and the numbers of a request, by every fold.

    Linear in their length.
    """
    values = [value for name, value in parse_qsl(request.form) if name in _PRIVATE_FIELDS]
    if request.call is Call.SEND_OTP:
        values.append(DEFAULT_TEMPLATE)
    if request.call is Call.VERIFY_OTP:
        # As a number, which is what the documentation calls a code.
        values += [value.lstrip("0") for value in values]
    texts = _all_forms(chain.from_iterable(value.split(OTP_TAG) for value in values))
    passwords = _all_forms([password])
    numbers = "\n".join(request.recipients)
    return tuple([_fold_by(by, passwords, texts, numbers) for by in FOLDS])


def _fold_by(by: Fold, passwords: Sequence[str], texts: Sequence[str], numbers: str) -> FoldedSecrets:
    secrets = [fold(password, by) for password in passwords]
    folded = [fold(text, by) for text in texts]
    long = [secret for secret in (*secrets, *folded) if len(secret) >= _RUN]
    return FoldedSecrets(
        fold=by,
        long="\n".join([*long, numbers, numbers[::-1]]),
        short=(*_short(secrets, passwords), *_long_codes(by, folded)),
        words=tuple([word for word in _short(folded, texts) if by is compact or _is_code(by, word)]),
    )


def _is_code(by: Fold, word: str) -> bool:
    return by is plain and word.isdigit()


def _long_codes(by: Fold, folded: Sequence[str]) -> tuple[str, ...]:
    return tuple([word for word in folded if _is_code(by, word) and _LONG_CODE <= len(word) < _RUN])


def _short(folded: Sequence[str], whole: Sequence[str]) -> tuple[str, ...]:
    # What is left of a text in another script by chance, such as a year in it, does not tell it.
    pairs = zip(folded, whole, strict=True)
    return tuple(
        [word for word, text in pairs if _SHORTEST <= len(word) < _RUN and 2 * len(word) >= len(text)]
    )


def _all_forms(secrets: Iterable[str]) -> Sequence[str]:
    """Return secrets as they are, unescaped, misread, and backwards."""
    forward = [form for secret in secrets for text in unescaped(secret) for form in misread(text)]
    return [*dict.fromkeys(form for text in forward for form in (text, text[::-1]))]


def _is_word(text: str, first: int, last: int) -> bool:
    return (
        not (text[first - 1 : first] if first else "").isalnum() and not text[last + 1 : last + 2].isalnum()
    )
