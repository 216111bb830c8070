"""The pytest plugin: a stand-in for the gateway in every test that asks for it, and no way to the real one.

A test that asks for `vavasms_sandbox` finds its account in the environment (`VAVASMS_USERNAME` and the
others), so that the clients it makes need no arguments. No test reaches a gateway that is not on loopback;
the way out for one that means it is `@pytest.mark.vavasms(real=True)`, for all of them `-p no:vavasms`.

Loaded at the start of every project's tests: everything but pytest is imported when first used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest

from vavasms.testing.live_guard import bar, open_for, stopped
from vavasms.testing.marker import MARKER, marker_options

T = TypeVar("T")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the barrier up for the whole run."""
    config.addinivalue_line("markers", MARKER)
    run = ExitStack()
    run.enter_context(bar())
    config.add_cleanup(run.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a misspelt marker before anything is run."""
    for item in items:
        marker_options(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, T, T]:
    """Take the barrier away for a test that means it."""
    with open_for(real=marker_options(item).real):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, T, T]:
    """Fail where a fixture would have reached the real gateway; empty the outbox of the Django app."""
    locmem = sys.modules.get("vavasms.django.backends.locmem")
    if locmem is not None:
        locmem.outbox.clear()
    return (yield from _watch(item, "setup"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, T, T]:
    """Fail where the test would have reached the real gateway."""
    return (yield from _watch(item, "call"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, T, T]:
    """Fail where a fixture's end would have reached the real gateway."""
    return (yield from _watch(item, "teardown"))


def _watch(item: pytest.Item, when: str) -> Generator[None, T, T]:
    """Fail by what the barrier stopped, though the code under test has swallowed the error of it."""
    try:
        result = yield
    except BaseException as error:
        for sentence in stopped():
            if isinstance(error, pytest.skip.Exception):
                # A test that leaves itself out because it found no gateway has tried to reach one.
                pytest.fail(sentence, pytrace=False)
            if sentence not in str(error):
                item.add_report_section(when, "vavasms", sentence)
        raise
    for sentence in stopped():
        pytest.fail(sentence, pytrace=False)
    return result


@pytest.fixture(scope="session")
def _vavasms_stage() -> Iterator[Any]:
    """Run the one server of this process, on a free port."""
    with _sandbox().SandboxProvider() as provider:
        yield provider


@pytest.fixture
def vavasms_sandbox(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A gateway that sends nothing, with nothing sent yet and no faults: a `vavasms.testing.sandbox.Sandbox`.

    `client()` and `sync_client()` make clients of it, `gateway` is its state, `faults` what goes wrong; the
    account is in the environment during the test, and any other is taken as well, unless the test sets
    `gateway.any_credentials = False`. A server on loopback, one for all tests of a process; with
    `@pytest.mark.vavasms(in_process=True)` there is none, and only the clients that it makes reach it.
    """
    if marker_options(request.node).in_process:
        provider = _sandbox().SandboxProvider(in_process=True)
    else:
        provider = request.getfixturevalue("_vavasms_stage")
    with provider.provide() as sandbox:
        yield sandbox


@pytest.fixture
def sms_outbox(vavasms_sandbox: Any) -> Any:
    """What was sent in this test, oldest first: a sequence of `Message`, with `.last` and `.to(number)`."""
    from vavasms.testing.outbox import Outbox

    return Outbox(vavasms_sandbox.gateway, vavasms_sandbox.idempotency_keys)


@pytest.fixture
def latest_otp(sms_outbox: Any) -> Callable[[str], str]:
    """Return the last one-time code sent to a number in this test: `latest_otp("+2250700000001")`."""
    return sms_outbox.latest_otp  # type: ignore[no-any-return]


def _sandbox() -> Any:
    """Import what needs the extra, or fail with a sentence."""
    try:
        from vavasms.testing import sandbox
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
    else:
        return sandbox
    pytest.fail(
        f"The sandbox needs its extra ({missing} is missing): pip install 'vavasms[sandbox]'.", pytrace=False
    )
