"""README is run, not believed."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import types
from pathlib import Path

import pytest

import vavasms
from vavasms import AsyncVavaSMS
from vavasms.sandbox import SandboxServer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(autouse=True)
def _environment(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    contacts = "prenom;telephone\nAwa;+225 07 00 00 01 01\n;07 00 00 01 02\n"
    (tmp_path / "contacts.csv").write_text(contacts, encoding="utf-8")
    monkeypatch.setenv("VAVASMS_BASE_URL", sandbox.url)
    monkeypatch.setenv("VAVASMS_USERNAME", sandbox.gateway.username)
    monkeypatch.setenv("VAVASMS_PASSWORD", sandbox.gateway.password)
    monkeypatch.setenv("VAVASMS_SENDER_ID", "SANDBOX")
    monkeypatch.setenv("INBOUND_TOKEN", vavasms.make_token())


async def run(snippet: str) -> None:
    code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with AsyncVavaSMS() as sms:
        names = {"sms": sms, "recipients": [f"2250759{index:06d}" for index in range(250)]}
        result = types.FunctionType(code, names)()
        if inspect.iscoroutine(result):
            await result


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_each_snippet_of_the_readme_runs(snippet: str, sandbox: SandboxServer) -> None:
    before = len(sandbox.gateway.journal)
    asyncio.run(run(snippet))
    sends = any(word in snippet for word in ("sms.send", "stream_bulk", "runner.run"))
    assert (len(sandbox.gateway.journal) > before) is sends


def test_each_error_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`(\w+Error)`", README))
    assert len(named) >= 8
    assert named - {"ValueError"} <= set(vavasms.__all__)
