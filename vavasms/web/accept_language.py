"""Which of our languages a browser prefers. Pure, and without a framework."""

from __future__ import annotations

from vavasms.i18n import LANGUAGES


def choose_language(*preferred: str, accepted: str = "", default: str = "en") -> str:
    """Return the first preferred language that we have, else the best of those accepted, else a default."""
    for language in preferred:
        if language in LANGUAGES:
            return language
    best, best_quality = default, 0.0
    for option in accepted.lower().split(","):
        name, _, quality = option.strip().partition(";q=")
        language = name.partition("-")[0]
        if language in LANGUAGES and _parse_quality(quality) > best_quality:
            best, best_quality = language, _parse_quality(quality)
    return best


def _parse_quality(quality: str) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0
