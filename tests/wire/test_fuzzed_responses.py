"""Bodies that nobody documented, ten thousand in the long form: never a crash, never an outcome that a reply does not prove."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.wire.reply_law import TO, check, judge
from vavasms.wire.requests import Call
from vavasms.wire.responses import Envelope, parse_envelope, parse_lot

pytestmark = pytest.mark.exhaustive

SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "samples").glob("*.body"))]

STATUSES = st.one_of(
    st.just(200),
    st.sampled_from([201, 204, 299, 302, 400, 403, 408, 421, 429, 500, 503]),
    st.integers(100, 999),
)
CODES = st.one_of(
    st.sampled_from(
        [0, "0", "00", " 0", "0 ", "0\n", "-0", "+0", "٠", "0.0", 0.0, -0.0, False, True, None, "", "x"]
    ),
    st.sampled_from(
        [901, "901", "0901", 902, 903, 709, 913, 999, 1000, -901, 901.0, "9" * 30, 10**40, [0], {"0": 0}]
    ),
    st.integers(),
    st.text(max_size=6),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.just("\ud800"),
    st.just(10**400),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["code", "data", "message", "status", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
ENVELOPES = st.fixed_dictionaries(
    {"code": CODES},
    optional={
        "message": st.sampled_from(["OPERATION_SUCCES", "EXPIRED_OTP", "INVALID_OTP", "x\x1b[31m"]) | SCALARS,
        "status": st.sampled_from(["INVALID_CREDENTIALS", "success"]) | SCALARS,
        "description": SCALARS,
        "data": DOCUMENTS,
    },
)
BEFORE = st.sampled_from(
    [
        "",
        "\ufeff",
        "\ufeff\r\n\t ",
        "Warning: mysqli::query(): gone away in /srv/x.php on line 3\n",
        "<br />\n<b>Warning</b>:  Undefined index in <b>/srv/x.php</b> on line <b>3</b><br />\n",
        "PHP Notice: x\n",
        "Fatal error: Allowed memory size exhausted\n",
        "<html><body><h1>502</h1></body></html>\n",
        ")]}',\n",
        "[",
        "\x00",
        "\x0b\x0b",
        "// \n",
        "0\n",
        '{"code": 901}\n',
    ]
)
AFTER = st.sampled_from(
    [
        "",
        "\n",
        " \t\r\n",
        ",",
        ";",
        "}",
        "\x00",
        "\ufeff",
        "\n<br />\n<b>Warning</b>: x",
        '{"code": 901}',
        "\x0c",
        "\xa0",
    ]
)


@st.composite
def dressed(draw: st.DrawFn) -> bytes:
    """Return an envelope as a gateway on a bad day would write it."""
    text = json.dumps(draw(ENVELOPES), ensure_ascii=draw(st.booleans()))
    match draw(st.integers(0, 5)):
        case 0:
            text = text[:-1] + ",}"
        case 1:
            text = text.replace('"', "'")
        case 2:
            cut = draw(st.integers(0, len(text)))
            text = (
                text[:cut]
                + draw(st.sampled_from(["", "}", '"}', "null}", "\\", "NaN", "/*", "]"]))
                + text[cut + 1 :]
            )
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["cp1252", "utf-16"]))
    return (draw(BEFORE) + text + draw(AFTER)).encode(
        encoding, "replace" if encoding == "cp1252" else "surrogatepass"
    )


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """Return a documented body with bytes changed, dropped or repeated."""
    body = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"0", b"}", b"{", b",", b'"', b"NaN", b"\xff"]))
        )
    return bytes(body)


@st.composite
def deep(draw: st.DrawFn) -> bytes:
    """Return a document nested deeper than any reader likes."""
    depth = draw(st.sampled_from([10, 100, 400, 600, 900, 1500, 5000, 40_000]))
    opening, closing = draw(st.sampled_from([("[", "]"), ('{"a":', "}"), ("[{'a':", "}]"), ("[[", "")]))
    code = json.dumps(draw(st.sampled_from([0, "0", 901, "903"])))
    body = (
        f'{{"code": {code}, "data": {opening * depth}1{closing * depth}{draw(st.sampled_from(["", ","]))}}}'
    )
    return body.encode()


def many(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@many(700)
@given(STATUSES, st.binary(max_size=200))
@example(200, b"")
@example(429, b"\x0b" * 100)
def test_bytes_settle_nothing_by_chance(status: int, body: bytes) -> None:
    check(status, body)


@many(350)
@given(STATUSES, dressed())
@example(429, b'{"code": 0,}')
@example(400, b'{"code": 0, "description": "envoy\xe9"}')
@example(200, b'{"code": 0, "data": NaN}')
@example(200, b'{"code": 0x0}')
def test_a_send_is_accepted_by_strict_json_under_2xx_only(status: int, body: bytes) -> None:
    check(status, body)


@many(250)
@given(STATUSES, mutilated())
def test_a_mutilated_sample_settles_nothing_it_does_not_prove(status: int, body: bytes) -> None:
    check(status, body)


@many(400)
@given(STATUSES, st.builds(json.dumps, DOCUMENTS))
def test_any_json_is_survived(status: int, body: str) -> None:
    check(status, body.encode())


@pytest.mark.full
@pytest.mark.parametrize(
    ("bodies", "examples"),
    [
        pytest.param(st.binary(max_size=200), 5000, id="bytes"),
        pytest.param(dressed(), 1700, id="dressed"),
        pytest.param(mutilated(), 800, id="mutilated"),
        pytest.param(st.builds(json.dumps, DOCUMENTS).map(str.encode), 2000, id="JSON"),
    ],
)
def test_ten_thousand_bodies_settle_nothing_they_do_not_prove(
    bodies: st.SearchStrategy[bytes], examples: int
) -> None:
    @many(examples)
    @given(STATUSES, bodies)
    def take(status: int, body: bytes) -> None:
        check(status, body)

    take()


@many(50)
@given(STATUSES, deep())
def test_deep_nesting_is_survived(status: int, body: bytes) -> None:
    check(status, body)


@many(250)
@given(
    st.lists(
        st.sampled_from(
            [
                "{",
                "}",
                "[",
                "]",
                '"',
                "'",
                ":",
                ",",
                "code",
                "901",
                "0",
                "0x1F",
                "+",
                "-",
                ".",
                "5.",
                "1e999",
                "\\u",
                "\\x4",
                "\\\n",
                "\u2028",
                "//",
                "/*",
                "*/",
                "\n",
                "é",
                "$",
                "NaN",
                "-Infinity",
                '"code"',
                "\x00",
            ]
        ),
        max_size=14,
    )
)
def test_nothing_that_json5_reads_leaves_as_an_exception(pieces: list[str]) -> None:
    check(200, f"{{{''.join(pieces)}}}".encode())


@many(200)
@given(DOCUMENTS)
def test_a_success_with_any_data_stays_accepted(data: object) -> None:
    body = json.dumps({"code": 0, "data": data})
    assume("NaN" not in body and "Infinity" not in body and len(body) < 4000)
    result = judge(Call.SEND_TEXT, 200, body.encode())
    assert isinstance(result, Envelope)
    assert parse_lot(result.data, TO).recipients == TO


@pytest.mark.parametrize("body", [b'{"code": ' + b"9" * 5000 + b"}", b'{"code": 1e999}', b'{"code": 0e0}'])
def test_a_number_beyond_reason_is_no_code(body: bytes) -> None:
    assert parse_envelope(body) is None
