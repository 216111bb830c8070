"""No error repeats what was private in its request, however the gateway spells it."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.echoes import CODE, LAYERS, NUMBER, PARTS, PASSWORD, RUN, TEXT, WAYS, left_of
from tests.growth import assert_linear
from vavasms import AsyncVavaSMS, GatewayError
from vavasms.i18n import LANGUAGES, Sentence, language_set
from vavasms.i18n import gettext as _
from vavasms.numbers import Msisdn
from vavasms.sandbox import Fault, FaultKind, SandboxServer
from vavasms.transport.outcome import Failure, OutcomePolicy, Reply, judge_reply
from vavasms.transport.redaction import scrub
from vavasms.transport.spellings import ascii_only, plain, unescaped
from vavasms.wire.requests import Call, Request, build_send_otp, build_verify_otp, draft_text
from vavasms.wire.responses import parse_envelope

TO = Msisdn(NUMBER)
TEMPLATE = f"{TEXT} ##OTP## merci de votre visite"
CALLS = {"number": "send", "text": "send", "password": "send", "code": "verify", "template": "otp"}


def request_with(part: str, text: str = TEXT, code: str = CODE) -> Request:
    if CALLS[part] == "verify":
        return build_verify_otp(TO, code, sender_id=None)
    if CALLS[part] == "send":
        return draft_text(text, "ACME").address((TO, Msisdn("2250700000001")))
    return build_send_otp(TO, sender_id="ACME", length=None, valid_for=None, template=TEMPLATE, language=None)


def scrubbed(words: str, request: Request, password: str = PASSWORD, name: str = "NO") -> GatewayError:
    """Return the error of a gateway that says so, as it comes off the wire."""
    body = json.dumps({"code": 950, "message": name, "description": words}).encode()
    envelope = parse_envelope(body)
    assert envelope is not None
    refusal = _(
        "The gateway refused ({label}): {words}.", label=f"{envelope.name}, 950", words=envelope.description
    )
    error = GatewayError(
        _("{sentence} Nothing was sent.", sentence=refusal),
        name=envelope.name,
        description=envelope.description,
    )
    scrub(error, request, password)
    return error


def shown(error: BaseException) -> Iterator[str]:
    """Yield all that an error and what hangs on it may show."""
    while True:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield from kept((error.args, vars(error)))
        yield repr(vars(pickle.loads(pickle.dumps(error))))
        if (cause := error.__cause__ or error.__context__) is None:
            return
        error = cause


def kept(value: object) -> Iterator[str]:
    """Yield every text that a value holds, those that a sentence is made of too."""
    if isinstance(value, Sentence):
        yield from (*map(value.said_in, LANGUAGES), value.english)
        yield from kept(vars(value))
    elif isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from kept([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from kept(item)
    else:
        yield repr(value)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", PARTS)
def test_a_sentence_is_made_anew_of_what_is_masked(part: str, language: str) -> None:
    secret = PARTS[part]
    body = json.dumps(
        {"code": 902, "message": "INVALID_SENDER_ID", "description": f"Refus : {secret}."}
    ).encode()
    with language_set(language):
        failure = judge_reply(
            request_with(part), Reply(status=200, retry_after=None, body=body), OutcomePolicy()
        )
        assert isinstance(failure, Failure)
        error = failure.error
        assert isinstance(error, GatewayError)
        assert secret in str(error)
        scrub(error, request_with(part), PASSWORD)
    assert error.error_code == "gateway.902"
    assert isinstance(error.args[0], Sentence)
    assert "(INVALID_SENDER_ID, 902)" in error.english
    assert str(error) == error.args[0].said_in(language)
    for words in shown(error):
        assert left_of(secret, words) == []
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for words in kept(vars(pickle.loads(pickle.dumps(error, protocol)).args[0])):
            assert left_of(secret, words) == []
        assert secret.encode() not in pickle.dumps(error, protocol)


def on_the_wire(echo: str) -> str:
    """Return what is left of an echo once its line breaks and its length are bounded."""
    envelope = parse_envelope(json.dumps({"code": 950, "description": echo}).encode())
    assert envelope is not None
    return envelope.description or ""


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("way", WAYS)
def test_no_spelling_of_a_secret_stays_in_an_error(way: str, part: str) -> None:
    echo = WAYS[way](PARTS[part])
    for error in (
        scrubbed(f"Refus : {echo} (lot 77)", request_with(part)),
        scrubbed("Refus.", request_with(part), name=f"Refus de {echo}"),
    ):
        for words in shown(error):
            assert left_of(on_the_wire(echo), words) == []


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_no_spelling_of_a_secret_comes_off_the_wire(
    way: str, sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[Any] = []
    account: dict[str, Any] = {"base_url": sandbox.url, "sender_id": "ACME", "trust_env": False}
    async with AsyncVavaSMS("a@example.com", PASSWORD, on_response=told.append, **account) as sms:
        for part, secret in PARTS.items():
            echo = WAYS[way](secret)
            body = json.dumps({"code": 950, "message": "NO", "description": f"Refus : {echo}"})
            sandbox.faults.script(Fault(kind=FaultKind.RAW, body=body.encode()))
            call = sms.verify_otp(NUMBER, CODE) if part == "code" else sms.send(NUMBER, TEXT)
            with pytest.raises(GatewayError) as caught:
                await call
            for words in (*shown(caught.value), *map(repr, told), caplog.text):
                assert left_of(on_the_wire(echo), words) == []


@pytest.mark.parametrize("way", WAYS)
def test_the_code_in_a_template_that_is_repeated_does_not_stay_either(way: str) -> None:
    said = WAYS[way](TEMPLATE.replace("##OTP##", CODE)[-60:])
    error = scrubbed(f"Refus : {said}", request_with("template"))
    for words in shown(error):
        assert left_of(WAYS[way](CODE), words) == []


@pytest.mark.parametrize("code", ["1234", "0000", "482913", "123456789"])
@pytest.mark.parametrize(
    "spelled", ["{}", "({})", "1/{}", "<b>{}</b>", "&#34;{}&#34;", "code={};", "«\u00a0{}\u00a0»"]
)
def test_a_short_code_is_masked_where_it_stands_alone(spelled: str, code: str) -> None:
    error = scrubbed(f"Refus : {spelled.format(code)}", request_with("code", code=code))
    assert all(code not in words for words in shown(error))


@pytest.mark.parametrize("spelled", ["OTP{}", "{}invalide", "0{}", "SM-12{}45", "{}.00", "4.82913E+5"])
def test_a_long_code_is_masked_wherever_it_stands(spelled: str) -> None:
    echo = spelled.format(CODE)
    error = scrubbed(f"Refus : {echo}", request_with("code"))
    assert not any(part in words for words in shown(error) for part in (CODE, "4.82913"))


@pytest.mark.parametrize(("code", "number"), [("048291", "48291"), ("00123456", "123456"), ("01234", "1234")])
def test_a_code_that_lost_its_zeros_is_masked(code: str, number: str) -> None:
    error = scrubbed(f"Le code {number} est faux", request_with("code", code=code))
    assert error.description == "Le code *** est faux"


@pytest.mark.parametrize("code", ["1234", "12345", "482913"])
@pytest.mark.parametrize("way", ["base64_encode", "bin2hex", "bin2hex with colons"])
def test_a_code_out_of_digits_of_another_kind_is_masked(way: str, code: str) -> None:
    echo = WAYS[way](code)
    assert echo not in str(scrubbed(f"Refus : {echo}", request_with("code", code=code)))


def test_the_code_in_the_gateways_own_template_does_not_stay() -> None:
    request = build_send_otp(TO, sender_id="ACME", length=None, valid_for=None, template=None, language=None)
    error = scrubbed(f"« Votre code OTP est : {CODE} » non remis", request)
    assert all(CODE not in words for words in shown(error))


@pytest.mark.parametrize(
    "text", ["L'été, à Bouaké, réservé", "Cœur de bœuf : 5 € l'œuf", "مرحبا بكم في متجرنا"]
)
@pytest.mark.parametrize(
    "way", ["addcslashes", "iconv TRANSLIT of ligatures", "UCS-2 in hexadecimal digits", "bytes of 0x"]
)
def test_a_text_of_many_accents_does_not_stay(way: str, text: str) -> None:
    echo = WAYS[way](text)
    assert left_of(on_the_wire(echo), str(scrubbed(echo, request_with("text", text=text)))) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("REFUS abcdefgh ijklmnop", "abcdefgh"),
        ("abcdefgh", "abcdefgh ijklmnop"),
        ("Le mot abcdefghijkl est faux ijklmnopq", "Le mot abcdefghijkl est"),
        ("abcdefghij.", "abcdefghij"),
        ("abcdefghij", "..."),
    ],
)
def test_a_name_and_a_sentence_that_hold_one_another_hide_nothing(name: str, words: str) -> None:
    error = scrubbed(words, request_with("text"), "abcdefghijklmnop", name=name)
    for said in shown(error):
        assert left_of("abcdefghijklmnop", said) == []


@pytest.mark.parametrize(
    ("code", "part"),
    [(482913, "code"), ("482913", "code"), (2250759123456, "number"), ("759123456", "number")],
)
def test_what_is_private_is_no_code_of_the_gateways(code: int | str, part: str) -> None:
    body = json.dumps({"code": code, "message": "NO"}).encode()
    result = judge_reply(request_with(part), Reply(status=200, retry_after=None, body=body), OutcomePolicy())
    assert isinstance(result, Failure)
    error = result.error
    assert isinstance(error, GatewayError)
    scrub(error, request_with(part), PASSWORD)
    assert (error.code, error.name) == (None, "NO")
    assert all(str(code) not in words for words in shown(error))


@pytest.mark.parametrize("code", [901, 5001, 123456])
def test_a_code_that_repeats_nothing_stays(code: int) -> None:
    error = GatewayError(f"The gateway refused (NO, {code}).", code=code, name="NO")
    scrub(error, request_with("code"), "901")
    assert (error.code, str(error)) == (code, f"The gateway refused (NO, {code}).")


def test_a_documented_name_stays_whatever_the_text_says() -> None:
    for text in ("INVALID_SENDER_ID", "Invalid phone number, invalid credentials!"):
        for name in ("INVALID_CREDENTIALS", "INVALID_SENDER_ID", "INVALID_PHONE_NUMBER"):
            error = scrubbed("Refus.", request_with("text", text=text), name=name)
            assert error.name == name
            assert name in str(error)


@pytest.mark.parametrize("words", ["Erreur E12345 au lot 91234", "Le 12 mars a 34 refus", "Lot A1234B"])
def test_what_only_holds_the_digits_of_a_short_code_stays(words: str) -> None:
    assert scrubbed(words, request_with("code", code="1234")).description == words


@pytest.mark.parametrize(
    "words",
    [
        "Votre solde est insuffisant.",
        "Le format du numéro n'est pas valide (E.164).",
        "Lot 20240712153000, refusé à 100 % le 12/07/2024 &agrave; 15h30",
        "Erreur <b>SQL</b> : l'identifiant n'existe pas",
    ],
)
@pytest.mark.parametrize("part", CALLS)
def test_words_that_repeat_nothing_stay_as_they_are(part: str, words: str) -> None:
    assert scrubbed(words, request_with(part)).description == words


def test_a_text_in_another_script_does_not_take_the_years_out() -> None:
    request = request_with("text", text="مرحبا بكم في متجرنا 2024")
    assert scrubbed("Refus de 2024", request).description == "Refus de 2024"
    assert "متجرنا" not in str(scrubbed("Refus : مرحبا بكم في متجرنا", request).description)


@pytest.mark.parametrize("password", ["!!##$$%%&&", "p@$$w0rd!", "a1b2c", "日本語のパスワード", "+\\"])
@pytest.mark.parametrize("way", ["as it is", "htmlspecialchars", "urlencode", "strtoupper", "addslashes"])
def test_a_password_of_any_characters_does_not_stay(way: str, password: str) -> None:
    echo = WAYS[way](password)
    for words in shown(scrubbed(f"Refus : {echo}", request_with("password"), password)):
        assert echo not in words


# --- laws -------------------------------------------------------------------------------------------

secrets = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=10, max_size=24
)
ways = st.lists(st.sampled_from(sorted(LAYERS)), max_size=3)


@settings(max_examples=300)
@given(secrets, ways, st.booleans())
@example("Rendez-vous demain", ["htmlentities", "chunk_split"], True)
@example("l'&eacute;té &amp; %41", ["urlencode", "htmlspecialchars"], False)
def test_no_composition_of_spellings_leaves_a_run(secret: str, layers: list[str], is_password: bool) -> None:
    echo = secret
    for layer in layers:
        echo = LAYERS[layer](echo)
    request = request_with("text", text="x" if is_password or not secret.strip() else secret)
    error = scrubbed(echo, request, secret if is_password else "another password")
    runs = {fold: "".join(map(fold, secret)) for fold in (plain, ascii_only)}
    seen = on_the_wire(echo)
    whole = seen == error.description and not layers
    for fold, run in runs.items():
        left = "".join(map(fold, error.description or ""))
        assert not any(run[at : at + RUN] in left for at in range(len(run) - RUN + 1)), error.description
    assert not whole or not secret.strip()


@settings(max_examples=300)
@given(st.text(max_size=400), st.text(max_size=60))
def test_scrubbing_never_fails_and_never_adds_but_masks(words: str, name: str) -> None:
    error = scrubbed(words, request_with("text"), name=name or "NO")
    assert len(error.description or "") <= 3 * len(words)


@pytest.mark.parametrize("text", ["&amp;" * 2000, "%25" * 3000, "é" * 9000, "<a " * 3000, "a&#38;" * 1500])
def test_the_time_of_scrubbing_is_linear_in_the_request(text: str) -> None:
    def scrub(recipients: int) -> None:
        form = draft_text(text[: len(text) * recipients // 20_000], "ACME").prefix
        request = Request(call=Call.SEND_TEXT, path="/", form=form, recipients=(TO,) * recipients)
        scrubbed("&amp;" * 10 + "é0712 34/56" * 30, request)

    assert_linear(scrub, 20_000)


def test_the_time_of_scrubbing_is_linear_in_the_body() -> None:
    request = request_with("text")

    def scrub(repeats: int) -> None:
        assert left_of(TEXT, str(scrubbed(f"{TEXT} &amp;" * repeats, request))) == []

    assert_linear(scrub, 60_000)


def test_escapes_without_end_are_undone_for_a_while_only() -> None:
    text = "%41"
    for _round in range(20):
        text = text.replace("%", "&#37;").replace("&", "%26")
    layers = list(unescaped(text))
    assert len(layers) == 12
    assert all(len(later) < len(sooner) for sooner, later in pairwise(layers))
