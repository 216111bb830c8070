"""The one public list: sorted, importable, the same for type checkers, and cheap until used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import vavasms

STUB = Path(vavasms.__file__).with_suffix(".pyi")
#: What the contract with users names.
PROMISED = {
    "AsyncVavaSMS",
    "AuthenticationError",
    "Balance",
    "BatchResult",
    "BulkReport",
    "BulkResults",
    "BulkStream",
    "ConfigurationError",
    "DeliveryReport",
    "DeliveryStatus",
    "GatewayError",
    "Hook",
    "IdempotencyConflictError",
    "InboundMessage",
    "InvalidInputError",
    "InvalidMessageError",
    "InvalidNumberError",
    "InvalidOtpTemplateError",
    "InvalidRecipient",
    "InvalidSenderIdError",
    "Lot",
    "MessageNotFoundError",
    "Msisdn",
    "NotSentError",
    "OtpLimitedError",
    "OtpLimits",
    "OtpReason",
    "OtpReceipt",
    "OtpVerification",
    "OutboxWorker",
    "Outcome",
    "OutcomeUnknownError",
    "RateLimitedError",
    "RejectedNumberError",
    "Segmentation",
    "SendInProgressError",
    "SendKind",
    "SendRecord",
    "ServerError",
    "UnexpectedReplyError",
    "UnknownSenderIdError",
    "VavaSMS",
    "VavaSMSError",
    "__version__",
    "count_segments",
    "fold_to_gsm7",
    "parse_inbound",
    "parse_msisdn",
}


def run(program: str) -> str:
    """Run a program in an interpreter of its own, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_list_is_sorted_and_has_no_name_twice() -> None:
    assert sorted(set(vavasms.__all__)) == vavasms.__all__


def test_the_list_holds_what_users_were_promised() -> None:
    assert set(vavasms.__all__) >= PROMISED


def test_no_private_name_is_public() -> None:
    assert [name for name in vavasms.__all__ if name.startswith("_")] == ["__version__"]


@pytest.mark.parametrize("name", vavasms.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    value = getattr(vavasms, name)
    assert value is getattr(vavasms, name)
    assert name in dir(vavasms)
    if isinstance(value, type):
        assert value.__name__ == name
        assert value.__doc__


@pytest.mark.parametrize("name", [name for name in vavasms.__all__ if name[0].islower()])
def test_every_public_function_says_what_it_does(name: str) -> None:
    assert getattr(vavasms, name).__doc__


def test_type_checkers_see_the_same_names_from_the_same_homes() -> None:
    listed: list[str] = []
    homes: dict[str, str] = {}
    for node in ast.parse(STUB.read_text("utf-8")).body:
        match node:
            case ast.ImportFrom(module=str(module), names=[*names]):
                for alias in names:
                    assert alias.asname == alias.name, "only `x as x` is exported from a stub"
                    homes[alias.name] = module
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                listed = ast.literal_eval(value)
            case _:
                raise AssertionError(ast.dump(node))
    assert listed == vavasms.__all__
    assert homes == vavasms._MODULE_OF  # type: ignore[attr-defined]
    assert set(vavasms.__all__) < homes.keys()


def test_what_needs_an_extra_is_found_by_its_name_and_not_by_a_star() -> None:
    extras = {name for names in vavasms._EXTRA_NAMES_BY_MODULE.values() for name in names}  # type: ignore[attr-defined]
    assert {"CampaignWorker", "PostgresLedger"} <= extras
    assert not extras & {*vavasms.__all__}
    assert extras <= {*dir(vavasms)}
    for name in extras:
        assert getattr(vavasms, name).__name__ == name


def test_what_a_bulk_send_and_a_hook_are_can_be_written_in_an_annotation() -> None:
    for client, handle in (
        (vavasms.AsyncVavaSMS, vavasms.BulkStream),
        (vavasms.VavaSMS, vavasms.BulkResults),
    ):
        assert inspect.signature(client.stream_bulk).return_annotation == handle.__name__
        assert inspect.signature(client).parameters["on_request"].annotation == "Hook | None"


def test_importing_the_package_alone_costs_nothing() -> None:
    loaded = run(
        "import sys, vavasms; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    ).split()
    costly = {
        "anyio",
        "asyncio",
        "attr",
        "attrs",
        "cattrs",
        "httpcore",
        "httpx",
        "json5",
        "phonenumbers",
        "ssl",
        "tenacity",
        "trio",
    }
    assert "vavasms" in loaded
    assert not costly & set(loaded)
    assert run("import sys, vavasms; print(*[n for n in sys.modules if n.startswith('vavasms.')])") == ""


def test_one_name_does_not_cost_the_others() -> None:
    light = "import sys; from vavasms import count_segments, fold_to_gsm7, VavaSMSError, Outcome; "
    assert run(light + "print('httpx' in sys.modules, 'phonenumbers' in sys.modules)") == "False False"


#: Runs after the libraries, and before the client's class is imported.
PROBE = """
import re, sys
import anyio, attrs, cattrs, httpx

known, patterns = {*sys.modules}, []
compile = re.compile
re.compile = lambda pattern, flags=0: patterns.append(pattern) or compile(pattern, flags)
from vavasms import AsyncVavaSMS

loaded = {*sys.modules} - known
re.compile = compile
"""
#: attrs writes and compiles the methods of each: of all that the import does, this costs most. What acts
#: rather than states is a plain class.
VALUES = {
    *("Balance", "DeliveryReport", "InboundMessage", "Lot", "OtpReceipt", "OtpVerification"),
    *("BatchResult", "BulkProgress", "BulkReport", "InvalidRecipient"),
    *("Account", "CallInfo", "Envelope", "Request", "Settings", "Timeouts"),
    "GatewayProfile",
    *("OtpDraft", "OtpLimits", "SendRecord"),
}


def test_the_client_costs_no_module_beyond_its_libraries_and_its_own() -> None:
    own = "{name for name in loaded if name.partition('.')[0] == 'vavasms'}"
    # Money: one of the libraries imports it where Python is older than 3.14.
    assert run(f"{PROBE}print(*sorted(loaded - {own} - {{'_decimal', 'decimal'}}))") == ""


@pytest.mark.parametrize(
    "module",
    [
        "campaigns",
        "inbound",
        "numbers.lookup",
        "sandbox",
        "storage",
        "sync",
        "testing",
        "text.folding",
        "text.gsm7",
        "text.segments",
        "transport.redaction",
        "transport.spellings",
    ],
)
def test_the_client_costs_no_module_that_waits_for_its_first_use(module: str) -> None:
    assert find_spec(f"vavasms.{module}") is not None
    assert run(f"{PROBE}print('vavasms.{module}' in loaded)") == "False"


def test_the_client_costs_no_pattern() -> None:
    assert run(f"{PROBE}print(patterns)") == "[]"


def test_the_client_costs_no_attrs_class_that_is_no_value() -> None:
    made = run(
        f"{PROBE}print(*{{thing.__name__ for name in loaded for thing in vars(sys.modules[name]).values() "
        "if isinstance(thing, type) and attrs.has(thing)})"
    )
    assert {*made.split()} == VALUES


def test_a_star_import_gives_every_public_name() -> None:
    assert (
        run("from vavasms import *; import vavasms; print(set(vavasms.__all__) <= set(globals()))") == "True"
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vavasms' has no attribute 'nothing'"):
        vavasms.nothing  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(vavasms, "import_nothing")
    with pytest.raises(ImportError):
        from vavasms import nothing  # type: ignore[attr-defined]  # noqa: F401


def test_the_package_is_typed() -> None:
    assert STUB.with_name("py.typed").is_file()
