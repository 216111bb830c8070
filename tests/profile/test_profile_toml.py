"""A gateway profile as a value and as TOML: strict to read, the same again once written."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from vavasms import ConfigurationError, GatewayProfile, Oversize
from vavasms.i18n import language_set, translate
from vavasms.profile.file import find_profile, read_profile, write_profile
from vavasms.profile.models import MOST, NAMES, UNKNOWN
from vavasms.profile.toml import dump_profile, parse_profile

WHOLE = """\
gateway = "vavasms.com"
status_path = "/v1/text/status"
lots_are_atomic = true
batch_size = 20
batch_size_is_limit = true
oversize = "dropped"
unit_price = 12.5
unit_price_ucs2 = 15
price_is_per_segment = true
requests_per_second = 5
requests_per_second_is_limit = false

[statuses]
"sent" = 2.0
"Délivré à \\"lui\\"" = 10.25
"""


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_profile(text)
    assert caught.value.error_code == "config.profile"
    assert caught.value.safe_to_retry
    return caught.value.english


def test_every_key_is_read() -> None:
    assert parse_profile(WHOLE) == GatewayProfile(
        gateway="vavasms.com",
        status_path="/v1/text/status",
        lots_are_atomic=True,
        batch_size=20,
        batch_size_is_limit=True,
        oversize=Oversize.DROPPED,
        unit_price=Decimal("12.5"),
        unit_price_ucs2=Decimal(15),
        price_is_per_segment=True,
        requests_per_second=5,
        requests_per_second_is_limit=False,
        statuses={"sent": 2.0, 'Délivré à "lui"': 10.25},
    )


def test_what_is_read_is_written_as_it_was() -> None:
    assert dump_profile(parse_profile(WHOLE)) == WHOLE


def test_what_is_not_known_is_not_written() -> None:
    assert dump_profile(UNKNOWN) == "\n"
    assert parse_profile("") == UNKNOWN
    assert [getattr(UNKNOWN, name) for name in NAMES if name != "statuses"] == [None] * (len(NAMES) - 1)


@given(
    statuses=st.dictionaries(
        st.text(min_size=1, max_size=20).filter(str.isprintable),
        st.floats(0, 1000).map(lambda x: round(x, 2)),
    ),
    price=st.decimals("0.000001", "99999", places=6),
)
def test_whatever_words_a_gateway_has_are_read_again(statuses: dict[str, float], price: Decimal) -> None:
    profile = GatewayProfile(statuses=statuses, unit_price=price)
    assert parse_profile(dump_profile(profile, comment="a\nb")) == profile


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batch_sise = 20", "a profile has no key 'batch_sise'; the nearest is batch_size. Nothing was sent."),
        ("zzzz = 1", "a profile has no key 'zzzz'. Nothing was sent."),
        ("batch_size = true", f"batch_size must be a whole number from 1 to {MOST:,}. Nothing was sent."),
        ("batch_size = 0", f"batch_size must be a whole number from 1 to {MOST:,}. Nothing was sent."),
        ("batch_size = 1_000_001", f"batch_size must be a whole number from 1 to {MOST:,}. Nothing was sent."),
        ("batch_size = 2.0", f"batch_size must be a whole number from 1 to {MOST:,}. Nothing was sent."),
        ("gateway = 1", "gateway must be the name of a host, or loopback. Nothing was sent."),
        ('gateway = ""', "gateway must be the name of a host, or loopback. Nothing was sent."),
        ("lots_are_atomic = 1", "lots_are_atomic must be true or false. Nothing was sent."),
        ('status_path = "v1"', "status_path must be a path in plain characters that begins with /. Nothing was sent."),
        ("status_path = 1", "status_path must be a path in plain characters that begins with /. Nothing was sent."),
        ('oversize = "lost"', "oversize must be one of refused, dropped. Nothing was sent."),
        ("oversize = []", "oversize must be one of refused, dropped. Nothing was sent."),
        ("batch_size_is_limit = true", "batch_size_is_limit needs batch_size. Nothing was sent."),
        (
            'status_path = "/a"\nhas_status_call = false',
            "has_status_call is false, and status_path names a call. Nothing was sent.",
        ),
        *(
            (
                f"unit_price = {price}",
                "unit_price must be an amount above 0, below 10^12 and with 6 decimals at most. Nothing was sent.",
            )
            for price in ("0", "-1", "true", "nan", "inf", "1e12", "0.0000001", '"12"')
        ),
        *(
            (text, "statuses must be words of the gateway, each with seconds from 0 to 2,678,400. Nothing was sent.")
            for text in (
                "statuses = 1",
                '[statuses]\n"" = 1',
                "[statuses]\nsent = -1",
                "[statuses]\nsent = inf",
                "[statuses]\nsent = true",
                '[statuses]\n"a\\tb" = 1',
                '[statuses]\nsent = "1"',
            )
        ),
    ],
)  # fmt: skip
def test_a_wrong_profile_is_refused_with_the_key(text: str, sentence: str) -> None:
    assert refused(text) == sentence


def test_what_is_no_toml_is_refused_with_the_place() -> None:
    assert refused("a = \n").startswith("it is no TOML (")
    assert "line 1" in refused("a = \n")


def test_a_profile_in_python_is_checked_as_well() -> None:
    with pytest.raises(ConfigurationError, match="batch_size must be"):
        GatewayProfile(batch_size=0)
    with pytest.raises(FrozenInstanceError):
        UNKNOWN.batch_size = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "price"),
    [
        ({}, None),
        ({"unit_price_ucs2": Decimal(3)}, None),
        ({"unit_price": Decimal(2)}, Decimal(2)),
        ({"unit_price": Decimal(2), "unit_price_ucs2": Decimal(3)}, Decimal(3)),
        ({"unit_price": Decimal(4), "unit_price_ucs2": Decimal(3)}, Decimal(4)),
    ],
)
def test_a_budget_counts_with_the_higher_price(options: dict[str, Any], price: Decimal | None) -> None:
    assert GatewayProfile(**options).highest_price == price


def test_a_file_that_is_wrong_is_named_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("batch_size = 0")
    with pytest.raises(ConfigurationError) as caught:
        read_profile(path)
    assert caught.value.english == (
        f"The gateway profile {path}: batch_size must be a whole number from 1 to {MOST:,}. Nothing was sent."
    )
    assert (caught.value.error_code, caught.value.halts) == ("config.profile", True)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "it cannot be read (No such file or directory)"), (b"\xff", "it is no text in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, why: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_profile(path)
    assert caught.value.english == f"The gateway profile {path}: {why}. Nothing was sent."


def test_the_argument_wins_over_the_environment_and_an_empty_one_is_none(tmp_path: Path) -> None:
    path, other = tmp_path / "a.toml", tmp_path / "b.toml"
    path.write_text("batch_size = 1")
    other.write_text("batch_size = 2")
    environment = {"VAVASMS_PROFILE": str(other)}
    assert find_profile(path, environment).batch_size == 1
    assert find_profile(str(path), environment).batch_size == 1
    assert find_profile(GatewayProfile(batch_size=3), environment).batch_size == 3
    assert find_profile(None, environment).batch_size == 2
    assert find_profile(None, {"VAVASMS_PROFILE": ""}) is UNKNOWN
    for wrong in (1, "", b"a.toml"):
        with pytest.raises(ConfigurationError, match="profile is a GatewayProfile, or the path"):
            find_profile(wrong)  # type: ignore[arg-type]


def test_writing_takes_the_place_of_the_old_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("batch_size = 1")
    with path.open() as before:
        write_profile(path, GatewayProfile(batch_size=2), comment="Found by vavasms probe.")
        # Whoever reads it meanwhile has the whole old one.
        assert before.read() == "batch_size = 1"
    assert path.read_text() == "# Found by vavasms probe.\nbatch_size = 2\n"
    assert [*tmp_path.iterdir()] == [path]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "gateway.toml"
    with pytest.raises(ConfigurationError) as caught:
        write_profile(path, UNKNOWN)
    assert caught.value.english == (
        f"The gateway profile {path} cannot be written (No such file or directory)."
    )


def test_why_a_file_cannot_be_read_is_said_in_french_as_well(tmp_path: Path) -> None:
    with language_set("fr"), pytest.raises(ConfigurationError) as caught:
        read_profile(tmp_path / "gateway.toml")
    with language_set("fr"):
        assert "ce fichier ou ce dossier n'existe pas" in translate(caught.value.args[0])
