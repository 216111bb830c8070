"""The mistakes: each a change of the code that a tired hand could make, and that sends twice, loses or guesses."""

from __future__ import annotations

from attrs import frozen

_SQLITE = "vavasms/ledger/sqlite"
_SQL = f"{_SQLITE}/queries.sql"
_SENDS = f"{_SQLITE}/sends.sql"
_DATABASE = "vavasms/storage/sqlite/database.py"
_OUTCOME = "vavasms/transport/outcome.py"
_QUEUED = "vavasms/campaigns/sending/queued_batch.py"
_FENCED = "number = :number AND token = :token"
_ATTEMPT = f"WHERE campaign = :campaign AND {_FENCED} AND state IN ('sending', 'unknown')"


@frozen
class Mistake:
    """A mistake: what stands in a file, and what stands there with it."""

    name: str
    #: Of a file, each text once in it, and what takes its place.
    edits: tuple[tuple[str, str, str], ...]
    #: The tests of the suite that a maintainer would run who touched that room.
    tests: tuple[str, ...]


MISTAKES = (
    Mistake(
        "orphans of a campaign queued again",
        (
            (
                _SQL,
                "SET state = 'unknown', result = :result WHERE state = 'sending'",
                "SET state = 'queued', result = :result WHERE state = 'sending'",
            ),
        ),
        (
            "tests/contract/test_ledger_claims.py",
            "tests/contract/test_ledger_doubt.py",
            "tests/ledger/test_sqlite_in_use.py",
        ),
    ),
    Mistake(
        "an orphaned single send queued again",
        (
            (
                _SENDS,
                "UPDATE send SET state = 'unknown', result = :result, settled_at = :now\nWHERE account = :account",
                "UPDATE send SET state = 'queued', result = :result, settled_at = :now\nWHERE account = :account",
            ),
        ),
        ("tests/contract/test_sends.py", "tests/sends"),
    ),
    Mistake(
        "the fence left out",
        (
            (
                _SQL,
                f"FROM batch\n{_ATTEMPT}",
                "FROM batch\nWHERE campaign = :campaign AND number = :number AND state IN ('sending', 'unknown')",
            ),
            (
                _SQL,
                f"token = :kept_token\nWHERE campaign = :campaign AND {_FENCED}",
                "token = :kept_token\nWHERE campaign = :campaign AND number = :number",
            ),
        ),
        ("tests/contract/test_ledger_claims.py", "tests/contract/test_ledger_doubt.py"),
    ),
    Mistake(
        "a settled batch settled again",
        ((_SQL, f"FROM batch\n{_ATTEMPT}", f"FROM batch\nWHERE campaign = :campaign AND {_FENCED}"),),
        ("tests/contract/test_ledger_claims.py", "tests/contract/test_ledger.py"),
    ),
    Mistake(
        "the intent committed after the body",
        (
            (
                _DATABASE,
                '        writer.execute("BEGIN IMMEDIATE")\n',
                '        if writer.in_transaction:\n            writer.execute("COMMIT")\n        writer.execute("BEGIN IMMEDIATE")\n',
            ),
            (
                _DATABASE,
                '            writer.execute("COMMIT")\n        except BaseException:',
                "        except BaseException:",
            ),
        ),
        ("tests/storage", "tests/ledger/test_sqlite_in_use.py"),
    ),
    Mistake(
        "a commit that failed taken for made",
        (
            (
                _DATABASE,
                "            self.error = self.error or self.context.run(explain, error)\n",
                "            self.result = self.result or self.context.run(explain, error)\n",
            ),
        ),
        ("tests/storage", "tests/contract/test_ledger.py"),
    ),
    Mistake(
        "a retry after the body was asked for",
        (
            (
                _OUTCOME,
                "        attempts = _for_reads(kind, THRICE)\n        return _failure(OutcomeUnknownError, text",
                "        attempts = THRICE\n        return _failure(OutcomeUnknownError, text",
            ),
        ),
        ("tests/transport/test_outcome_table.py", "tests/transport/test_http.py"),
    ),
    Mistake(
        "not sent for a reset",
        (
            (
                _OUTCOME,
                "_failure(OutcomeUnknownError, text, kind, Outcome.UNKNOWN, attempts=attempts)",
                "_failure(NotSentError, text, kind, Outcome.NOT_SENT, attempts=attempts)",
            ),
        ),
        ("tests/transport/test_outcome_table.py", "tests/transport/test_http.py"),
    ),
    Mistake(
        "503 taken for turned away",
        (
            (
                _OUTCOME,
                "TURNED_AWAY = frozenset({421, 425, 429})",
                "TURNED_AWAY = frozenset({421, 425, 429, 503})",
            ),
        ),
        ("tests/transport/test_outcome_table.py",),
    ),
    Mistake(
        "a lot with a bad number taken for refused",
        (
            (
                _OUTCOME,
                "return Outcome.REJECTED if policy.lots_are_atomic else Outcome.UNKNOWN",
                "return Outcome.REJECTED",
            ),
        ),
        ("tests/transport/test_outcome_table.py",),
    ),
    Mistake(
        "an interruption called not sent after the body",
        (
            (
                "vavasms/transport/body.py",
                "return Outcome.UNKNOWN if begun else Outcome.NOT_SENT",
                "return Outcome.NOT_SENT",
            ),
        ),
        ("tests/transport", "tests/bulk/test_bulk.py"),
    ),
    Mistake(
        "the account not told of an interrupted batch",
        (
            (
                "vavasms/bulk/sender.py",
                "            self._count(interrupted(number, batch, attempt.outcome))\n",
                "",
            ),
        ),
        ("tests/bulk/test_bulk.py",),
    ),
    Mistake(
        "the budget not given back",
        ((f"{_SQLITE}/claims.py", "    if answer.is_unspent:\n", "    if False:\n"),),
        ("tests/contract/test_ledger_limits.py",),
    ),
    Mistake(
        "a budget that is only counted",
        ((_SQL, "WHERE seq = :campaign AND committed + :segments <= max_segments", "WHERE seq = :campaign"),),
        ("tests/contract/test_ledger_limits.py",),
    ),
    Mistake(
        "an opt-out seen only at loading",
        (
            (
                f"{_SQLITE}/claims.py",
                '    opted_out = execute(connection, campaign, "exclude_opted_out", **values)\n',
                "    opted_out = 0\n",
            ),
        ),
        (
            "tests/contract/test_ledger_registers.py",
            "tests/contract/test_ledger_doubt.py",
            "tests/contract/test_ledger_limits.py",
        ),
    ),
    Mistake(
        "who was left out not counted",
        (
            (
                f"{_SQLITE}/claims.py",
                'number=values["number"], excluded=opted_out + capped)',
                'number=values["number"], excluded=0)',
            ),
        ),
        ("tests/contract/test_ledger_registers.py", "tests/contract/test_ledger_limits.py"),
    ),
    Mistake(
        "a message id paired across a short list",
        (
            (
                "vavasms/models.py",
                "        if len(self.message_ids) != len(self.recipients):",
                "        if False:",
            ),
            (
                "vavasms/models.py",
                "dict(zip(self.recipients, self.message_ids, strict=True))",
                "dict(zip(self.recipients, self.message_ids, strict=False))",
            ),
        ),
        ("tests/test_models.py",),
    ),
    Mistake(
        "the floor read before the lock",
        (
            (
                "vavasms/campaigns/sending/balance_floor.py",
                "        async with self.reader.claiming:\n            # In this order: what is settled in between counts twice, never not at all.\n            in_flight = await self.ledger.under_way(self.campaign.account)\n            balance = await self.read()\n",
                "        in_flight = await self.ledger.under_way(self.campaign.account)\n        balance = await self.read()\n        async with self.reader.claiming:\n",
            ),
        ),
        (
            "tests/campaigns/test_runner_limits.py",
            "tests/campaigns/test_limits.py",
            "tests/campaigns/workers/test_worker_limits.py",
        ),
    ),
    Mistake(
        "a claim while the campaign is paused",
        (
            (
                _SQL,
                "WHERE seq = :campaign AND campaign.state = 'running' AND revision",
                "WHERE seq = :campaign AND revision",
            ),
        ),
        (
            "tests/contract/test_ledger_claims.py",
            "tests/contract/test_ledger.py",
            "tests/contract/test_ledger_decisions.py",
        ),
    ),
    Mistake(
        "a claim by limits that were changed since",
        ((_SQL, "'running' AND revision = coalesce(:revision, revision)\n", "'running'\n"),),
        (
            "tests/contract/test_ledger_claims.py",
            "tests/contract/test_ledger_limits.py",
            "tests/contract/test_ledger_decisions.py",
        ),
    ),
    Mistake(
        "a cancellation that forgets what may have been sent",
        (
            (
                _SQL,
                "WHERE campaign = :campaign AND state = 'queued' AND unknown_attempts = 0\n",
                "WHERE campaign = :campaign AND state = 'queued'\n",
            ),
        ),
        ("tests/contract/test_ledger_decisions.py", "tests/contract/test_ledger_doubt.py"),
    ),
    Mistake(
        "a split that loses a recipient",
        ((f"{_SQLITE}/claims.py", "(last + 2, middle, 1 << 62)", "(last + 2, middle + 1, 1 << 62)"),),
        ("tests/contract/test_ledger_splits.py",),
    ),
    Mistake(
        "a split that forgets the fence",
        (
            (
                f"{_SQLITE}/claims.py",
                '    rows = select(connection, campaign, "select_attempt", **fence)\n    if not rows:\n        return None\n',
                '    rows = select(connection, campaign, "select_attempt", **fence)\n    if not rows:\n        rows = [(campaign.message, 1, 2, 0.0, 0)]\n',
            ),
        ),
        ("tests/contract/test_ledger_splits.py",),
    ),
    Mistake(
        "a key freed by an unknown outcome",
        (
            (
                "vavasms/ledger/states.py",
                "RENEWABLE = frozenset({BatchState.REJECTED, BatchState.CANCELLED})",
                "RENEWABLE = frozenset({BatchState.REJECTED, BatchState.CANCELLED, BatchState.UNKNOWN})",
            ),
            (
                _SENDS,
                "AND state IN ('rejected', 'cancelled')\n\n-- name: select_due",
                "AND state IN ('rejected', 'cancelled', 'unknown')\n\n-- name: select_due",
            ),
        ),
        ("tests/contract/test_sends.py",),
    ),
    Mistake(
        "a purge that forgets what is unknown",
        ((_SENDS, "        AND state IN ('accepted', 'rejected', 'cancelled')\n    LIMIT", "    LIMIT"),),
        ("tests/contract/test_sends.py",),
    ),
    Mistake(
        "an enqueued send claimed twice",
        (
            (
                _SENDS,
                "result = NULL\nWHERE account = :account AND key = :key AND state = 'queued'",
                "result = NULL\nWHERE account = :account AND key = :key",
            ),
            (
                _SENDS,
                "WHERE account = :account AND state = 'queued' AND kind = 'text' AND",
                "WHERE account = :account AND state IN ('queued', 'sending') AND kind = 'text' AND",
            ),
        ),
        ("tests/contract/test_sends.py",),
    ),
    Mistake(
        "the dead taken for alive",
        (
            (
                f"{_SQLITE}/sends.py",
                "        return handle is None or handle.lives(int(row.worker or 0))",
                "        return True",
            ),
        ),
        ("tests/contract/test_sends.py",),
    ),
    Mistake(
        "a lost claim that is left as it is",
        (
            (
                _QUEUED,
                "            with suppress(VavaSMSError):\n                await self.pending.write_or_defer(\n                    lambda: self.ledger.abandon(self.campaign.id, number, token)\n                )\n            raise",
                "            raise",
            ),
        ),
        (
            "tests/campaigns/test_runner.py",
            "tests/campaigns/test_runner_stops.py",
            "tests/ledger/test_pending_writes.py",
        ),
    ),
    Mistake(
        "a requeue for what is unknown",
        (
            (
                "vavasms/ledger/attempts.py",
                "return BatchEvent.REQUEUE if error.outcome is Outcome.NOT_SENT else BatchEvent.MARK_UNKNOWN",
                "return BatchEvent.REQUEUE",
            ),
        ),
        ("tests/contract/test_sends.py", "tests/sends/test_client_sends.py"),
    ),
    Mistake(
        "an unknown batch written as rejected",
        (
            (
                _QUEUED,
                "            await self._settle(claim, BatchEvent.MARK_UNKNOWN, record_error(error))",
                "            await self._settle(claim, BatchEvent.REJECT, record_error(error))",
            ),
        ),
        ("tests/campaigns/test_runner.py", "tests/campaigns/test_runner_refusals.py"),
    ),
    Mistake(
        "a late writer that is not refused",
        (("vavasms/transport/body.py", "        self._revoked = True\n", "        pass\n"),),
        ("tests/transport",),
    ),
)
