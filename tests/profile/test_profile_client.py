"""What a client does by the profile of its gateway, and what wins over it."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from vavasms import (
    AsyncVavaSMS,
    ConfigurationError,
    GatewayProfile,
    InvalidInputError,
    MemoryLedger,
    Outcome,
    Policy,
    VavaSMS,
)
from vavasms.bulk.models import DEFAULT_BATCH_SIZE
from vavasms.campaigns.policy import dump_policy, load_policy
from vavasms.sandbox import SandboxServer

pytestmark = pytest.mark.anyio

BAD = "2250700000903"
NUMBERS = [f"22507000012{index:02}" for index in range(7)]


def connect(sandbox: SandboxServer, **options: Any) -> AsyncVavaSMS:
    return AsyncVavaSMS(
        "sandbox@example.com", "sandbox", sender_id="ACME", base_url=sandbox.url, trust_env=False, **options
    )


async def test_a_known_batch_size_is_the_default_and_an_argument_wins(sandbox: SandboxServer) -> None:
    async with connect(sandbox, profile=GatewayProfile(batch_size=3)) as sms:
        await sms.send_bulk(NUMBERS, "Bonjour", concurrency=1)
        assert [entry.recipients for entry in sandbox.gateway.journal.entries] == [3, 3, 1]
        sandbox.gateway.journal.clear()
        await sms.send_bulk(NUMBERS, "Bonjour", batch_size=5, concurrency=1)
        assert [entry.recipients for entry in sandbox.gateway.journal.entries] == [5, 2]


async def test_a_size_that_was_merely_tried_makes_no_request_smaller(sandbox: SandboxServer) -> None:
    tried = GatewayProfile(batch_size=2, batch_size_is_limit=False)
    async with connect(sandbox, profile=tried) as sms:
        await sms.send_bulk(NUMBERS, "Bonjour", concurrency=1)
        assert [entry.recipients for entry in sandbox.gateway.journal.entries] == [7]
    assert Policy().settle(tried).batch_size == DEFAULT_BATCH_SIZE
    assert Policy(batch_size=5).settle(tried).batch_size == 5
    assert Policy().settle(GatewayProfile(batch_size=128, batch_size_is_limit=False)).batch_size == 128


async def test_more_numbers_than_a_request_takes_are_refused_before_anything_is_sent(
    sandbox: SandboxServer,
) -> None:
    async with connect(sandbox, profile=GatewayProfile(batch_size=3, batch_size_is_limit=True)) as sms:
        await sms.send(NUMBERS[:3], "Bonjour")
        with pytest.raises(InvalidInputError) as caught:
            await sms.send(NUMBERS[:4], "Bonjour")
        assert caught.value.english == (
            "A request takes at most 3 numbers, says the gateway's profile: use send_bulk, or a campaign. "
            "Nothing was sent."
        )
    async with (
        MemoryLedger() as ledger,
        connect(
            sandbox, profile=GatewayProfile(batch_size=3, batch_size_is_limit=True), ledger=ledger
        ) as sms,
    ):
        with pytest.raises(InvalidInputError, match="at most 3 numbers"):
            await sms.enqueue(NUMBERS[:4], "Bonjour")
    async with connect(sandbox, profile=GatewayProfile(batch_size=3)) as sms:
        # It may take more: nobody knows.
        await sms.send(NUMBERS[:4], "Bonjour")
    assert [entry.recipients for entry in sandbox.gateway.journal.entries] == [3, 4]


@pytest.mark.parametrize(
    ("profile", "argument", "outcome"),
    [
        (None, None, Outcome.UNKNOWN),
        (True, None, Outcome.REJECTED),
        (False, None, Outcome.UNKNOWN),
        (True, False, Outcome.UNKNOWN),
        (False, True, Outcome.REJECTED),
    ],
)
async def test_a_lot_that_is_refused_is_what_the_profile_says_unless_the_argument_does(
    sandbox: SandboxServer, profile: bool | None, argument: bool | None, outcome: Outcome
) -> None:
    known = GatewayProfile(lots_are_atomic=profile)
    async with connect(sandbox, profile=known, lots_are_atomic=argument) as sms:
        with pytest.raises(Exception) as caught:
            await sms.send([NUMBERS[0], BAD], "Bonjour")
    assert caught.value.outcome is outcome  # type: ignore[attr-defined]


async def test_the_status_is_asked_for_at_the_known_path_unless_a_setting_names_another(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = GatewayProfile(status_path="/v1/known")
    async with connect(sandbox, profile=known) as sms:
        assert sms.account.status_path == "/v1/known"
        assert sms.account.profile is known
    async with connect(sandbox, profile=known, status_path="/v1/mine") as sms:
        assert sms.account.status_path == "/v1/mine"
    monkeypatch.setenv("VAVASMS_STATUS_PATH", "/v1/env")
    async with connect(sandbox, profile=known) as sms:
        assert sms.account.status_path == "/v1/env"


async def test_no_status_is_asked_for_where_no_path_answers(sandbox: SandboxServer) -> None:
    async with connect(sandbox, profile=GatewayProfile(has_status_call=False)) as sms:
        with pytest.raises(ConfigurationError) as caught:
            await sms.delivery_reports("SM-1")
    assert caught.value.english == (
        "The gateway has no delivery status call, says its profile: nothing is asked, and delivery stays unknown."
    )
    assert (caught.value.error_code, caught.value.outcome) == ("config.no_status_call", None)
    async with connect(sandbox, profile=GatewayProfile(has_status_call=False), status_path="/v1/mine") as sms:
        assert sms.account.status_path == "/v1/mine"


def test_both_clients_read_the_file_that_the_environment_names(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("unit_price = 12")
    monkeypatch.setenv("VAVASMS_PROFILE", str(path))
    for client in (AsyncVavaSMS, VavaSMS):
        sms = client("me", "word", base_url=sandbox.url)
        assert sms.account.profile.unit_price == 12
        assert client("me", "word", profile=GatewayProfile()).account.profile.unit_price is None
    path.write_text("unit_price = -1")
    for client in (AsyncVavaSMS, VavaSMS):
        with pytest.raises(ConfigurationError, match="unit_price must be an amount above 0"):
            client("me", "word")


def test_a_policy_takes_what_nobody_said_from_the_profile() -> None:
    profile = GatewayProfile(batch_size=20, unit_price=Decimal(10), unit_price_ucs2=Decimal(15))
    settled = Policy().settle(profile)
    assert (settled.batch_size, settled.unit_price) == (20, Decimal(15))
    settled = Policy(batch_size=7, unit_price=Decimal(1)).settle(profile)
    assert (settled.batch_size, settled.unit_price) == (7, Decimal(1))
    assert (Policy().settle().batch_size, Policy().settle().unit_price) == (100, None)
    assert load_policy(dump_policy(Policy())).batch_size == Policy().request_size == 100


@pytest.mark.parametrize("found", ["loopback", "vavasms.test"])
async def test_a_profile_of_another_gateway_is_refused_and_on_this_machine_tried(
    sandbox: SandboxServer, found: str
) -> None:
    profile = GatewayProfile(gateway=found, lots_are_atomic=True)
    for client in (AsyncVavaSMS, VavaSMS):
        with pytest.raises(ConfigurationError, match=rf"is of {found}, not of sms\.example") as raised:
            client("me", "word", sender_id="ACME", base_url="https://sms.example/api", profile=profile)
        assert raised.value.outcome is Outcome.NOT_SENT
    async with connect(sandbox, profile=profile) as sms:
        await sms.send(NUMBERS[0], "Bonjour")
    own = GatewayProfile(gateway="sms.example")
    await AsyncVavaSMS("me", "word", base_url="https://sms.example/api", profile=own).aclose()


async def test_a_profile_travels_and_has_a_hash() -> None:
    known = GatewayProfile(unit_price=Decimal(12), statuses={"Envoyé": 3.0})
    for other in (pickle.loads(pickle.dumps(known)), copy.deepcopy(known), copy.copy(known)):
        assert (other, hash(other), dict(other.statuses)) == (known, hash(known), {"Envoyé": 3.0})
    with pytest.raises(TypeError):
        known.statuses["Lu"] = 1.0  # type: ignore[index]
