"""What holds of any error that may be raised: it can be told."""

from __future__ import annotations

from tests.plain_text import is_plain
from vavasms.errors import VavaSMSError
from vavasms.i18n import LANGUAGES, language_set, translate


def check_sentence(error: VavaSMSError) -> None:
    """Hold that an error has a sentence in each language, which can be written anywhere."""
    assert error.error_code
    for language in LANGUAGES:
        with language_set(language):
            sentence = translate(error.args[0])
            assert sentence.encode()
            assert is_plain(sentence)
