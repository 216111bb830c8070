"""Signs of a success, one by one: each speaks against a refusal on its own."""

from __future__ import annotations

import json

import pytest

from vavasms.wire.signs import MAX_LEGIBLE_BYTES, CodeWatch, may_hold_success, says_success


def watch_over(text: str) -> CodeWatch:
    watch = CodeWatch()
    json.loads(text, object_pairs_hook=watch)
    return watch


def test_a_watch_over_nothing_has_seen_nothing() -> None:
    for watch in (CodeWatch(), watch_over("[]"), watch_over('{"a": {"b": [1, "c"]}}')):
        assert (watch.has_twins, watch.has_zero, watch.has_ids) == (False, False, False)


@pytest.mark.parametrize(
    "code", ["0", "0.0", "-0.0", "0e5", '"0"', '"00"', '" 0 "', '"+0"', '"-0.0"', '"0."']
)
def test_a_code_that_is_zero_in_any_way_is_seen_as_a_success(code: str) -> None:
    assert watch_over(f'{{"code": {code}}}').has_zero is True
    assert watch_over(f'[{{"x": {{"c\\u006fde": {code}}}}}, {{"code": 1}}]').has_zero is True


@pytest.mark.parametrize(
    "code", ["1", "0.5", '"1"', '"0x0"', '""', '"0.1"', '"O"', "null", "false", "true", "[]", "[0]", "{}"]
)
def test_a_code_that_is_not_zero_is_none(code: str) -> None:
    assert watch_over(f'{{"code": {code}}}').has_zero is False
    assert watch_over('{"kode": 0}').has_zero is False


@pytest.mark.parametrize(
    ("text", "has_ids"),
    [
        ('{"lot_id": "L"}', True),
        ('{"message_id": ["SM-1"]}', True),
        ('[{"lot_id": "L"}, {"x": 1}]', True),
        ('{"data": {"lot_id": 7}, "x": 1}', True),
        ('{"lot_id": "", "message_id": []}', False),
        ('{"lot_id": null, "x": 1}', False),
        ('{"x": "lot_id"}', False),
    ],
)
def test_the_id_of_a_lot_or_of_a_message_is_a_name_with_a_value(text: str, has_ids: bool) -> None:
    assert watch_over(text).has_ids is has_ids


@pytest.mark.parametrize(
    "text",
    [
        '{"code": 1, "code": 2}',
        '[{"code": 1, "c\\u006fde": 1}, {"code": 3}]',
        '{"x": {"code": 1, "code": 2}}',
    ],
)
def test_two_codes_in_one_object_are_seen_whatever_comes_after(text: str) -> None:
    assert watch_over(text).has_twins is True
    assert watch_over('[{"code": 1}, {"code": 2}]').has_twins is False


@pytest.mark.parametrize(
    "text",
    [
        '{"c\\u006fde": 0}',
        "{&quot;code&quot;: 0}",
        '"{\\"code\\": 0}"',
        "OPERATION_SUCCE\\u0053",
        "operation_succes",
    ],
)
def test_a_success_is_read_through_its_escapes(text: str) -> None:
    assert says_success(text)


@pytest.mark.parametrize(
    "body", ["Refusé".encode("cp1252"), b" " * MAX_LEGIBLE_BYTES, b"X[1", b"[1, 2]", b'{"a": 1}']
)
def test_what_can_be_read_and_shows_no_sign_holds_no_success(body: bytes) -> None:
    assert not may_hold_success(body)


@pytest.mark.parametrize(
    "body",
    [
        # What is cut may go on with a success, with the mark of its encoding before it or not.
        b"[1, 2",
        "\ufeff[1".encode(),
        b"\n\t [1",
        b"[" * 100_000,
        # Two bytes a letter.
        b"\xff\xfeA",
        b"\xfe\xffA",
        b" " * (MAX_LEGIBLE_BYTES + 1),
    ],
)
def test_what_cannot_be_read_to_its_end_may_hold_a_success(body: bytes) -> None:
    assert may_hold_success(body)
