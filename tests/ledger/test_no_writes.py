"""A write that changes nothing leaves the file as it is: many who ask after one key do not wait for the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_sends import new
from vavasms.ledger.sqlite.ledger import SqliteLedger

pytestmark = pytest.mark.anyio


async def test_a_key_that_is_decided_is_asked_for_without_a_write(tmp_path: Path) -> None:
    async with await SqliteLedger.open(tmp_path / "sms.db") as ledger:
        log = tmp_path / "sms.db-wal"
        await ledger.sends.begin(new("k"), token="t", now=1.0)
        before = log.read_bytes()
        await ledger.sends.begin(new("k"), token="u", now=2.0)
        assert log.read_bytes() == before
        await ledger.sends.begin(new("another"), token="v", now=3.0)
        assert log.read_bytes() != before
