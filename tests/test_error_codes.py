"""Every error can be looked up: each raise in the code has a code, and each code an explanation."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vavasms
from vavasms import errors
from vavasms.errors import OtpLimit, VavaSMSError
from vavasms.explanations import explanations, find_explanation
from vavasms.i18n import LANGUAGES, language_set
from vavasms.i18n import gettext as _
from vavasms.numbers import NumberFault

ROOT = Path(vavasms.__file__).parent
CLASSES = {
    name: cls
    for name, cls in vars(errors).items()
    if inspect.isclass(cls) and issubclass(cls, VavaSMSError) and cls is not VavaSMSError
}
#: Their codes are made of a value: every value of it is checked below.
MADE = {"InvalidNumberError", "OtpLimitedError"}
_CODE = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+")


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            yield name, node


def codes_of(name: str, call: ast.Call) -> list[str]:
    """Return the codes that one call may give its error, as they are written in it."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "error_code"]
    if name == "misconfigured" and len(call.args) > 1:
        given.append(call.args[1])
    return [
        node.value
        for value in given
        for node in ast.walk(value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value)
    ]


def raised() -> Iterator[tuple[str, str]]:
    """Yield the place and the code of every error that the code makes."""
    for path in sorted(ROOT.rglob("*.py")):
        for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
            if name in CLASSES or name == "misconfigured":
                written = codes_of(name, call)
                default = [] if name in MADE else [CLASSES.get(name, errors.ConfigurationError).default_code]
                for code in written or default:
                    yield f"{path.relative_to(ROOT)}:{call.lineno}", code


def test_each_error_in_the_code_can_be_looked_up() -> None:
    places = list(raised())
    assert len(places) > 150
    assert [place for place in places if place[1] not in explanations()] == []


@pytest.mark.parametrize(
    "code", [*(f"number.{x}" for x in NumberFault), *(f"otp_limit.{x.value}" for x in OtpLimit)]
)
def test_each_code_that_is_made_of_a_value_can_be_looked_up(code: str) -> None:
    assert code in explanations()


def test_each_class_has_a_code_that_can_be_looked_up() -> None:
    assert {cls.default_code for name, cls in CLASSES.items() if name not in MADE} <= set(explanations())


def test_no_explanation_is_of_an_error_that_nobody_raises() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py") if path.parent.name != "explanations"
    )
    made = {f"number.{x}" for x in NumberFault} | {f"otp_limit.{x.value}" for x in OtpLimit}
    made |= {code for code in explanations() if code.startswith(("gateway.9", "gateway.7"))}
    assert [code for code in explanations() if code not in made and f'"{code}"' not in source] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_explanation_says_what_happened_what_was_sent_and_what_to_do(language: str) -> None:
    with language_set(language):
        for entry in explanations().values():
            for sentence in (entry.what, entry.sent, entry.do):
                assert _(sentence).endswith((".", "?", "…")), (entry.code, sentence)
                assert language == "en" or _(sentence) != sentence, (entry.code, sentence)
            assert entry.example


def test_a_code_is_found_as_people_paste_it() -> None:
    for pasted in ("number.old_plan", "[number.old_plan]", " Number.Old_Plan "):
        entry = find_explanation(pasted)
        assert entry is not None
        assert entry.code == "number.old_plan"
    for pasted, code in (("902", "gateway.902"), ("gateway.950", "gateway.refused")):
        entry = find_explanation(pasted)
        assert entry is not None
        assert entry.code == code
    assert find_explanation("gateway.nonsense") is None
