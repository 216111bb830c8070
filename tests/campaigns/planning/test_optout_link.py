"""`{desinscription}` in a message: what it becomes, what it costs, and what is refused before any plan."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import anyio
import pytest

from tests.campaigns.staging import phones
from vavasms.campaigns.planning.lists import Listing
from vavasms.campaigns.planning.loader import plan_listing
from vavasms.campaigns.planning.optout_link import parse_opt_out_url
from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.planning.template import parse_template
from vavasms.errors import InvalidInputError
from vavasms.ledger.optout_codes import CODE_MARK, EXAMPLE
from vavasms.text.segments import count_segments

URL = "https://sms.example.ci/d/"
HEADER = ("phone", "nom")


def plan(message: str, *names: str, header: str = "nom", **options: Any) -> CampaignPlan:
    rows = zip(phones(len(names)), names, strict=True)
    text = f"phone,{header}\n" + "".join(f"{phone},{name}\n" for phone, name in rows)
    listing = Listing(contacts=io.BytesIO(text.encode()), **{"opt_out_url": URL, **options})
    return anyio.run(partial(plan_listing, listing, message, batch_size=10))


@pytest.mark.parametrize("name", ["desinscription", "Désinscription", " DESINSCRIPTION "])
def test_the_link_stands_where_the_message_has_it(name: str) -> None:
    bound = parse_template(f"Bonjour {{nom}}. Stop: {{{name}}}!").bind(HEADER, opt_out_url=URL)
    assert bound.has_link
    assert bound.render(["225", "Awa"]) == f"Bonjour Awa. Stop: {URL}{CODE_MARK}!"
    assert (bound.names, bound.missing(["225", "Awa"])) == (("nom",), ())


def test_a_text_without_columns_is_everybodys_but_for_the_code() -> None:
    bound = parse_template("Stop: {desinscription}").bind((), opt_out_url=URL)
    assert bound.is_plain
    assert bound.has_link
    assert not parse_template("Stop").bind((), opt_out_url=URL).has_link


@pytest.mark.parametrize("message", ["Promo ! {desinscription}", "Bonjour {nom}, promo ! {desinscription}"])
@pytest.mark.parametrize("fold", [False, True])
def test_the_length_of_the_link_counts_and_each_message_is_a_request(message: str, fold: bool) -> None:
    filled = message.replace("{nom}", "Awa").replace("{desinscription}", URL + EXAMPLE)
    long = f"{message}{'x' * (160 - len(filled))}"
    got = plan(long, "Awa", "Awa", "Awa", fold=fold)
    assert (got.recipients, got.requests, got.segments, got.ucs2_recipients) == (3, 3, 3, 0)
    assert got.first_text == filled + "x" * (160 - len(filled))
    assert got.is_personal
    assert got.has_opt_out_link
    assert plan(f"{long}x", "Awa", "Awa", "Awa", fold=fold).segments == 6
    assert got.segments_if_folded == 3


def test_a_message_without_the_link_is_planned_as_ever() -> None:
    got = plan("Bonjour {nom}", "Awa", "Awa")
    assert (got.requests, got.is_personal, got.has_opt_out_link) == (1, False, False)


def test_a_plan_names_what_would_be_sent_and_no_code() -> None:
    message = "Stop: {desinscription}"
    first = plan(message, "Awa", "Zoé")
    assert first.hash == plan(message, "Awa", "Zoé").hash
    assert first.hash != plan(message, "Awa", "Zoé", opt_out_url="https://other.example.ci/").hash
    assert first.hash != plan("Stop", "Awa", "Zoé").hash


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (URL, URL),
        ("https://sms.example.ci/d", URL),
        (" https://sms.example.ci ", "https://sms.example.ci/"),
        ("https://sms.example.ci:8443/a/b-c_d", "https://sms.example.ci:8443/a/b-c_d/"),
        ("http://127.0.0.1:8427/", "http://127.0.0.1:8427/"),
        ("http://localhost:8427", "http://localhost:8427/"),
    ],
)
def test_the_address_of_the_page_ends_with_a_slash(url: str, kept: str) -> None:
    assert parse_opt_out_url(url) == kept
    assert count_segments(kept).encoding.name == "GSM7"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sms.example.ci/d/",
        "http://sms.example.ci/d/",
        "ftp://127.0.0.1/",
        "https://",
        "https:///d/",
        "https://sms.example.ci/d/?c=",
        "https://sms.example.ci/#",
        "https://awa@sms.example.ci/",
        "https://désabonnement.example.ci/",
        "https://sms.example.ci/a b/",
        "https://sms.example.ci/{nom}/",
        "https://sms.example.ci:99999/",
        "https://[::1/",
        "https://sms.example.ci:",
        7,
    ],
)
def test_an_address_that_is_none_is_refused_in_one_sentence(url: Any) -> None:
    with pytest.raises(
        InvalidInputError, match=r"no address of an opt-out page.*Nothing was sent\.$"
    ) as caught:
        Listing(contacts=io.BytesIO(b""), opt_out_url=url)
    assert caught.value.error_code == "message.opt_out_url"


@pytest.mark.parametrize(
    ("message", "header", "url", "words"),
    [
        ("{desinscription}", "nom", None, r"no page is named for it: add opt_out_url='https:"),
        ("{desinscription}", "Désinscription", URL, "has a column desinscription, and {desinscription} is"),
        ("{desinscription|Stop}", "nom", URL, r"without \| or \?"),
        ("{desinscription?Stop}", "nom", URL, r"without \| or \?"),
    ],
)
def test_a_link_that_cannot_be_meant_is_refused_before_anything_is_planned(
    message: str, header: str, url: str | None, words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        plan(message, "Awa", header=header, opt_out_url=url)
    assert caught.value.error_code == "message.opt_out_link"
    assert str(caught.value).endswith("Nothing was sent.")
    assert "{{" not in str(caught.value)


def test_a_list_with_a_column_of_this_name_is_what_it_was_where_no_page_is_named() -> None:
    got = plan("Lien: {desinscription|x}", "abc", header="desinscription", opt_out_url=None)
    assert (got.first_text, got.has_opt_out_link) == ("Lien: abc", False)
    # Nor where the message does not use it.
    assert plan("Bonjour", "abc", header="desinscription").first_text == "Bonjour"


def test_a_link_in_doubled_braces_is_pointed_out() -> None:
    assert plan("Stop: {{desinscription}}", "Awa").doubled == ("desinscription",)


def test_a_text_that_the_link_makes_too_long_is_refused() -> None:
    assert plan("x" * 255 * 153, "Awa").segments == 255
    with pytest.raises(InvalidInputError, match="longer than"):
        plan("x" * 255 * 153 + "{desinscription}", "Awa")
