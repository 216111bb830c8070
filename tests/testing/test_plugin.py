"""The plugin in projects of others: their tests run by a pytest of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[2]
BOTH = """
import pytest

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""
SENTENCE = (
    "This test would have reached the real gateway{}: use the fixture vavasms_sandbox and make the client*"
)
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run tests under the plugin and anyio's, nothing else; the machine has no account."""
    for name in ("USERNAME", "PASSWORD", "SENDER_ID", "BASE_URL", "NO_GATEWAY"):
        monkeypatch.delenv(f"VAVASMS_{name}", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(BOTH)

    def call(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_shop=source)
        given = (
            "-p",
            "vavasms.testing",
            "-p",
            "anyio",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "--strict-markers",
        )
        return pytester.runpytest_subprocess(*given, *arguments, timeout=120)

    return call


def test_each_test_has_a_sandbox_of_its_own_in_sync_and_async_code(run: Run) -> None:
    run(
        """
        import os

        import pytest

        from vavasms import AsyncVavaSMS, VavaSMS

        KEPT = []

        def test_sync(vavasms_sandbox, sms_outbox, latest_otp):
            KEPT.append(vavasms_sandbox.url)
            assert os.environ["VAVASMS_BASE_URL"] == vavasms_sandbox.url
            assert repr(vavasms_sandbox) == f"Sandbox({vavasms_sandbox.url!r})"
            vavasms_sandbox.gateway.set_balance(35)
            with VavaSMS() as sms:
                lot = sms.send(["+2250700000001", "+2250700000002"], "Bonjour")
                assert [each.message_id for each in sms_outbox] == list(lot.message_ids)
                assert sms.balance().amount == 15
                sms.send_otp("+2250700000001", template="C'est ##OTP##")
                code = latest_otp("+225 07 00 00 00 01")
                assert sms.verify_otp("+2250700000001", code).valid
            assert len(sms_outbox) == 3
            assert [each.text for each in sms_outbox.to("00225 07-00-00-00-01")] == ["Bonjour", f"C'est {code}"]
            first = sms_outbox[0]
            assert (first.recipient, first.sender_id, first.segments) == ("+2250700000001", "SANDBOX", 1)
            assert (first.lot_id, sms_outbox.last.lot_id) == (lot.lot_id, "")
            assert sms_outbox[1:2][0].recipient == "+2250700000002"
            assert "Bonjour" in repr(sms_outbox)

        @pytest.mark.anyio
        async def test_async(vavasms_sandbox, sms_outbox, latest_otp):
            assert [vavasms_sandbox.url] == KEPT
            assert not sms_outbox
            assert vavasms_sandbox.gateway.balance == 1_000_000
            with pytest.raises(AssertionError, match="No SMS was sent in this test"):
                sms_outbox.last
            with pytest.raises(AssertionError, match="No one-time code was sent to .2250700000001"):
                latest_otp("+2250700000001")
            async with AsyncVavaSMS() as sms, vavasms_sandbox.client(sender_id="MYSHOP") as shop:
                await sms.send("+2250700000001", "Bonjour")
                await shop.send("+2250700000001", "Salut")
            assert [each.sender_id for each in sms_outbox] == ["SANDBOX", "MYSHOP"]

        def test_what_an_earlier_test_broke_is_whole_again(vavasms_sandbox):
            from vavasms.sandbox import Fault, FaultKind
            vavasms_sandbox.faults.script(Fault(kind=FaultKind.REFUSE, seconds=60))
            with pytest.raises(Exception, match="no answer could be read"):
                vavasms_sandbox.sync_client().send("+2250700000001", "x")
            vavasms_sandbox.faults.script(Fault(kind=FaultKind.HTML))

        def test_again(vavasms_sandbox, sms_outbox):
            vavasms_sandbox.sync_client().send("+2250700000001", "x")
            assert len(sms_outbox) == 1

        def test_a_number_is_found_in_the_form_it_was_sent_in(vavasms_sandbox, sms_outbox, latest_otp):
            from vavasms import InvalidNumberError
            sms = vavasms_sandbox.sync_client()
            sms.send("0700000101", "x")
            sms.send_otp("07 00 00 01 02")
            for form in ("0700000101", "+225 07 00 00 01 01", "2250700000101", "002250700000101"):
                assert len(sms_outbox.to(form)) == 1
            assert latest_otp("0700000102") == latest_otp("+2250700000102")
            # Else `assert not sms_outbox.to(…)` would hold for whatever is misspelt.
            with pytest.raises(InvalidNumberError):
                sms_outbox.to("070000010")

        def test_time_can_pass(vavasms_sandbox, latest_otp):
            sms = vavasms_sandbox.sync_client()
            lot = sms.send("+2250700000001", "x")
            sms.send_otp("+2250700000001")
            vavasms_sandbox.advance(3600)
            assert sms.delivery_reports(lot.message_ids[0])[0].status.value == "delivered"
            assert not sms.verify_otp("+2250700000001", latest_otp("+2250700000001")).valid

        def test_the_environment_is_as_it_was():
            assert "VAVASMS_USERNAME" not in os.environ
            assert os.environ["VAVASMS_BASE_URL"].startswith("http://127.0.0.1:1/")
        """
    ).assert_outcomes(passed=8)


def test_each_message_has_the_key_that_it_was_sent_with(run: Run) -> None:
    run(
        """
        import subprocess, sys, threading

        import anyio
        import pytest

        from vavasms import AsyncVavaSMS, OutboxWorker, SqliteLedger, VavaSMS

        def keys(outbox):
            return [message.idempotency_key for message in outbox]

        def test_sync(sms_outbox, tmp_path):
            with VavaSMS(ledger=tmp_path / "sms.db") as sms:
                for _ in range(2):
                    sms.send(["+2250700000101", "+2250700000102"], "Bonjour", idempotency_key="order-42")
                # The ledger's own key is none of the caller's.
                sms.send("+2250700000101", "Salut")
            assert keys(sms_outbox) == ["order-42", "order-42", None]
            with VavaSMS() as sms:
                sms.send("+2250700000101", "Salut")
            assert sms_outbox.last.idempotency_key is None

        def test_another_process_is_not_watched(sms_outbox, tmp_path):
            code = "from vavasms import VavaSMS; VavaSMS(ledger='a.db').send('0700000101', 'x', idempotency_key='k')"
            subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
            assert keys(sms_outbox) == [None]

        @pytest.mark.anyio
        async def test_what_is_enqueued_has_its_key_too(sms_outbox, tmp_path):
            async with await SqliteLedger.open(tmp_path / "sms.db") as ledger, AsyncVavaSMS(ledger=ledger) as sms:
                await sms.enqueue("+2250700000101", "Bonjour", idempotency_key="order-43")
                worker = OutboxWorker(sms, ledger, on_send=lambda record: worker.stop())
                with anyio.fail_after(20):
                    await worker.run()
            assert keys(sms_outbox) == ["order-43"]

        @pytest.mark.vavasms(in_process=True)
        def test_in_process(vavasms_sandbox, sms_outbox, tmp_path):
            sms = vavasms_sandbox.sync_client(ledger=tmp_path / "sms.db")
            sms.send("+2250700000101", "Bonjour", idempotency_key="order-44")
            assert keys(sms_outbox) == ["order-44"]
        """
    ).assert_outcomes(passed=5)


def test_what_the_machine_knows_of_a_real_gateway_is_left_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "profile.toml").write_text('status_path = "/v9/status"\n', encoding="utf-8")
    monkeypatch.setenv("VAVASMS_PROFILE", str(tmp_path / "profile.toml"))
    monkeypatch.setenv("VAVASMS_STATUS_PATH", "/v9/other")
    result = run(
        """
        import os

        def test_it(vavasms_sandbox):
            assert "VAVASMS_PROFILE" not in os.environ
            assert "VAVASMS_STATUS_PATH" not in os.environ
        """
    )
    result.assert_outcomes(passed=1)


def test_the_sandbox_can_be_in_process(run: Run) -> None:
    result = run(
        """
        import pytest

        from vavasms import VavaSMS

        pytestmark = pytest.mark.vavasms(in_process=True)

        @pytest.mark.anyio
        async def test_async(vavasms_sandbox, sms_outbox):
            async with vavasms_sandbox.client() as sms:
                await sms.send("+2250700000001", "Bonjour")
            assert sms_outbox.last.text == "Bonjour"
            assert repr(vavasms_sandbox) == "Sandbox('in-process')"

        def test_sync(vavasms_sandbox, sms_outbox):
            assert not sms_outbox
            vavasms_sandbox.sync_client().send("+2250700000001", "Bonjour")
            assert len(sms_outbox) == 1

        @pytest.mark.vavasms(in_process=False)
        def test_the_nearest_marker_counts(vavasms_sandbox):
            assert "in-process" not in repr(vavasms_sandbox)

        def test_other_clients_do_not_find_it(vavasms_sandbox):
            with VavaSMS() as sms:
                sms.balance()
        """
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        ["*This sandbox has no server: make the client with vavasms_sandbox.client()*"]
    )
    result.stdout.no_fnmatch_line("*would have reached the real gateway*")


def test_a_test_that_would_reach_the_real_gateway_fails_by_a_sentence(run: Run) -> None:
    result = run(
        """
        import os
        import subprocess
        import sys
        from unittest import TestCase

        import pytest

        from vavasms import AsyncVavaSMS, ConfigurationError, VavaSMS, VavaSMSError

        REAL = "https://vavasms.com/api"

        @pytest.mark.anyio
        async def test_async():
            async with AsyncVavaSMS("me", "word", sender_id="ACME", base_url=REAL) as sms:
                await sms.send("+2250700000001", "x")

        def test_by_default():
            with VavaSMS("me", "word") as sms:
                sms.balance()

        def test_with_an_empty_environment(monkeypatch):
            for name in [name for name in os.environ if name.startswith("VAVASMS_")]:
                monkeypatch.delenv(name)
            with VavaSMS("me", "word") as sms:
                sms.balance()

        def test_which_does_not_look():
            with VavaSMS("me", "word", sender_id="ACME", base_url=REAL) as sms:
                assert sms.send_bulk(["+2250700000001"], "x").not_sent == 1

        def test_which_fails_for_it():
            try:
                with VavaSMS("me", "word", base_url=REAL) as sms:
                    sms.balance()
            except VavaSMSError:
                assert not "the page"

        class TestOld(TestCase):
            def test_old(self):
                with self.assertRaises(ConfigurationError), VavaSMS("me", "word", base_url=REAL) as sms:
                    sms.balance()

        @pytest.fixture
        def careless():
            try:
                with VavaSMS("me", "word", base_url=REAL) as sms:
                    sms.balance()
            except VavaSMSError:
                yield
                with pytest.raises(VavaSMSError), VavaSMS("me", "word", base_url=REAL) as sms:
                    sms.balance()

        def test_by_a_fixture(careless):
            pass

        def test_by_another_process():
            program = "from vavasms import VavaSMS; VavaSMS('me', 'word', base_url='%s').balance()" % REAL
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
            assert "This test would have reached the real gateway (vavasms.com)" in done.stderr
        """,
        "--tb=short",
    )
    result.assert_outcomes(passed=1, failed=7, errors=2)
    result.stdout.fnmatch_lines(
        [
            f"E*ConfigurationError: {SENTENCE.format(' (vavasms.com)')}",
            "*_ test_by_default _*",
            f"E*ConfigurationError: {SENTENCE.format('')}",
            "*_ test_with_an_empty_environment _*",
            f"E*ConfigurationError: {SENTENCE.format(' (vavasms.com)')}",
            "*_ test_which_does_not_look _*",
            SENTENCE.format(" (vavasms.com)"),
            "*_ test_which_fails_for_it _*",
            "E*AssertionError: assert not 'the page'",
            "*- Captured vavasms call -*",
            SENTENCE.format(" (vavasms.com)"),
            "*_ TestOld.test_old _*",
            SENTENCE.format(" (vavasms.com)"),
        ],
        consecutive=False,
    )


def test_a_test_may_mean_it(run: Run) -> None:
    result = run(
        """
        import os

        import pytest

        from vavasms import NotSentError, VavaSMS
        from vavasms.config import DEFAULT_BASE_URL, load_settings

        @pytest.mark.vavasms(real=True)
        def test_meant():
            assert "VAVASMS_NO_GATEWAY" not in os.environ
            assert load_settings("me", "word").base_url == DEFAULT_BASE_URL
            # A name of nobody's: the network is asked, and has no answer.
            with VavaSMS("me", "word", sender_id="ACME", base_url="https://nobody.test/api") as sms:
                with pytest.raises(NotSentError):
                    sms.send("+2250700000001", "x")

        def test_the_next_one_does_not():
            with VavaSMS("me", "word", base_url="https://nobody.test/api") as sms:
                sms.balance()
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*{SENTENCE.format(' (nobody.test)')}"])


def test_a_gateway_that_the_machine_names_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAVASMS_BASE_URL", "http://127.0.0.1:8425/api")
    run(
        """
        import os

        import pytest

        def test_it():
            assert os.environ["VAVASMS_BASE_URL"] == "http://127.0.0.1:8425/api"

        @pytest.mark.vavasms(real=True)
        def test_it_there_too():
            assert os.environ["VAVASMS_BASE_URL"] == "http://127.0.0.1:8425/api"
        """
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize("marker", ["inprocess=True", "True"])
def test_a_misspelt_marker_is_refused_before_anything_runs(run: Run, marker: str) -> None:
    result = run(f"import pytest\n@pytest.mark.vavasms({marker})\ndef test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: test_shop.py::test_it: the marker is vavasms(in_process=True) or vavasms(real=True)."]
    )


def test_without_the_extra_only_the_fixtures_fail_and_name_the_command(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest("import sys\nsys.modules['starlette'] = None")
    result = run("def test_sandbox(sms_outbox): pass\ndef test_other(): pass")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["The sandbox needs its extra (starlette is missing): pip install 'vavasms[[]sandbox]'."]
    )


def test_the_fixtures_and_the_marker_are_listed(run: Run) -> None:
    listed = run("", "--fixtures").stdout.str()
    for name in ("vavasms_sandbox", "sms_outbox", "latest_otp"):
        assert f"\n{name} -- " in listed
    assert "_vavasms_stage" not in listed
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.vavasms(*, in_process=False, real=False): *"])


def test_loading_it_costs_nothing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    program = "import sys, pytest; known = set(sys.modules); import vavasms.testing; print(set(sys.modules) - known)"
    result = pytester.run(sys.executable, "-c", program)
    loaded = {name.partition(".")[0] for name in result.stdout.str().strip("{}").replace("'", "").split(", ")}
    assert loaded <= {"vavasms", "__future__", "urllib", "ipaddress", "contextlib", "unicodedata"}


def test_any_account_is_taken_unless_the_test_asks_otherwise(run: Run) -> None:
    run(
        """
        import pytest

        from vavasms import AuthenticationError, VavaSMS

        def place_order(vavasms_sandbox):
            with VavaSMS("shop@example.com", "its own", base_url=vavasms_sandbox.url, sender_id="SHOP") as sms:
                sms.send("+2250700000101", "Bonjour")

        def test_by_default(vavasms_sandbox, sms_outbox):
            place_order(vavasms_sandbox)
            assert sms_outbox.last.text == "Bonjour"

        def test_otherwise(vavasms_sandbox, sms_outbox):
            vavasms_sandbox.gateway.any_credentials = False
            with pytest.raises(AuthenticationError):
                place_order(vavasms_sandbox)
            assert not sms_outbox

        def test_the_next_one_again(vavasms_sandbox, sms_outbox):
            place_order(vavasms_sandbox)
            assert len(sms_outbox) == 1
        """
    ).assert_outcomes(passed=3)
