"""`vavasms worker --health` as operators run it, and its metrics as a scraper reads them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.processes import start

#: Seconds.
_TIMEOUT = 10.0
ROOT = Path(__file__).parents[3]


@frozen
class Scrape:
    """What was read of `/metrics`: each sample by its name and labels."""

    text: str
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def sum_by(self, name: str, *labels: str, **only: str) -> Counter[Any]:
        """Sum the samples of a name by the values of some labels; one label alone is no tuple."""
        found: Counter[Any] = Counter()
        for (known, pairs), value in self.samples.items():
            given = dict(pairs)
            if known == name and only.items() <= given.items():
                key = tuple(given[label] for label in labels)
                found[key[0] if len(key) == 1 else key] += value  # type: ignore[assignment]  # seconds are no whole number
        return found

    def total(self, name: str, **only: str) -> float:
        """Sum the samples of a name, of these labels only."""
        return float(sum(self.sum_by(name, **only).values()))

    @property
    def names(self) -> frozenset[str]:
        """The names of all samples."""
        return frozenset(name for name, _ in self.samples)


def parse(text: str) -> Scrape:
    """Read metrics with the parser of prometheus-client, to the last line."""
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(samples) == len(lines), "a line was not read, or stands twice"
    return Scrape(text, samples)


@define
class WorkerProcess:
    """A worker with its health."""

    process: subprocess.Popen[str]
    url: str

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body of a page."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=_TIMEOUT) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def scrape(self) -> Scrape:
        """Read its metrics."""
        status, text = self.get("/metrics")
        assert status == 200
        return parse(text)

    def ready(self) -> dict[str, Any]:
        """Return what `/ready` says; its status says the same."""
        status, body = self.get("/ready")
        said: dict[str, Any] = json.loads(body)
        assert (status == 200) is said["ready"]
        return said

    def kill(self) -> None:
        """Kill it outright."""
        self.process.kill()
        self.process.wait(_TIMEOUT)


@contextmanager
def worker(environment: Mapping[str, str], *words: str) -> Iterator[WorkerProcess]:
    """Run a worker until the block ends."""
    command = [sys.executable, "-m", "vavasms", "worker", "--health", "127.0.0.1:0", "--json", *words]
    given = {**environment, "PYTHONPATH": str(ROOT), "VAVASMS_LANG": "en"}
    # Nobody reads what it warns of, and a full pipe would hold it up.
    with start(command, env=given, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        begun = json.loads(process.stdout.readline())
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        yield WorkerProcess(process, begun["health"])
        process.terminate()
        process.wait(_TIMEOUT)
        drain.join(_TIMEOUT)


@define
class Scraper:
    """Whoever scrapes a worker again and again while a campaign runs, as Prometheus does."""

    #: The worker of the moment.
    worker: WorkerProcess
    check: Callable[[Scrape], None]
    every: float = 0.2
    scrapes: int = 0
    problems: list[BaseException] = field(factory=list)
    _stop: threading.Event = field(factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Scrape beside the block; raise what was wrong at its end."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(_TIMEOUT)
        if self.problems:
            raise self.problems[0]

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            try:
                self.check(self.worker.scrape())
                self.scrapes += 1
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                # It was killed a moment ago.
                continue
            except BaseException as problem:
                self.problems.append(problem)
                return


def check_privacy(scrape: Scrape, *secrets: str) -> None:
    """Hold a scrape to what it must never hold: a number, a text, a key, an account."""
    labels = {value for _, pairs in scrape.samples for _, value in pairs}
    assert not re.search(r"\d{8,}", " ".join(labels))
    for secret in ("sandbox", *secrets):
        assert secret not in scrape.text
