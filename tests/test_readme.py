"""README is run, not believed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import vavasms
from tests.documents import Document, run_python
from vavasms.sandbox import SandboxServer

README = Document(Path(__file__).parent.parent / "README.md")
SNIPPETS = README.snippets("python")


@pytest.fixture(autouse=True)
def _environment(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    contacts = "prenom;telephone\nAwa;+225 07 00 00 01 01\n;07 00 00 01 02\n"
    (tmp_path / "contacts.csv").write_text(contacts, encoding="utf-8")
    for name, value in sandbox.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INBOUND_TOKEN", vavasms.make_token())


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_each_snippet_of_the_readme_runs(snippet: str, sandbox: SandboxServer) -> None:
    before = len(sandbox.gateway.journal)
    asyncio.run(run_python(snippet, "README.md"))
    sends = any(word in snippet for word in ("sms.send", "stream_bulk", "runner.run"))
    assert (len(sandbox.gateway.journal) > before) is sends


def test_it_is_short_and_greets_in_french() -> None:
    assert len(README.text.splitlines()) <= 150
    assert "Jamais deux fois" in README.text


def test_each_file_that_it_names_is_there() -> None:
    links = [link for link in README.links() if "://" not in link and not link.startswith("#")]
    assert len(links) > 15
    assert [link for link in links if not (README.path.parent / link.partition("#")[0]).exists()] == []
