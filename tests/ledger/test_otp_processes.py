"""Eight processes count codes at once: no limit lets one too many through, and none too few."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex

import pytest

pytestmark = pytest.mark.slow

PROCESSES, CALLS = 8, 24
FIRST = 2250700000000


def run_all(place: str) -> list[list[str]]:
    """Run the processes at once; return what each of them was answered, call by call."""
    script, account = str(Path(__file__).with_name("otp_process.py")), f"ops {token_hex(4)}"
    command = [sys.executable, script, place, account, str(FIRST), str(CALLS)]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(PROCESSES)
        ]
        try:
            for process in running:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in running:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            outputs = [process.communicate(timeout=120)[0] for process in running]
        finally:
            for process in running:
                process.kill()
    assert [process.returncode for process in running] == [0] * PROCESSES
    return [line.split() for output in outputs for line in output.splitlines()]


def count(lines: list[list[str]]) -> tuple[int, int]:
    """Return the codes that were sent and the guesses that were tried."""
    assert len(lines) == PROCESSES * (CALLS + CALLS // 4)
    sent = [(int(number), client) for number, client, verdict in lines if verdict == "sent"]
    numbers, ranges = Counter(number for number, _ in sent), Counter(number // 100 for number, _ in sent)
    assert max(numbers.values()) <= 3
    assert max(ranges.values()) <= 10
    assert sum(client != "None" for _, client in sent) <= 17
    return len(sent), Counter(verdict for kind, _, verdict in lines if kind == "guess")["tried"]


#: Two ranges of ten would be one more than a day has segments.
LIMITS = (19, 5)


def test_no_code_too_many_in_a_file_of_eight_processes(tmp_path: Path) -> None:
    assert count(run_all(str(tmp_path / "ledger.db"))) == LIMITS


def test_no_code_too_many_in_a_database_of_eight_processes(postgres: str) -> None:
    assert count(run_all(_as_url(postgres))) == LIMITS


def _as_url(conninfo: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(conninfo)
    query = f"?host={parts['host']}" if str(parts.get("host", "")).startswith("/") else ""
    host = "" if query else f"{parts.get('host', '')}:{parts.get('port', 5432)}"
    return f"postgresql://{parts.get('user', '')}@{host}/{parts['dbname']}{query}"
