"""The plugin from the wheel, in a project that is not this repository; the guide beside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parents[2]
SHOP = """
from vavasms import VavaSMS


def order(phone):
    with VavaSMS() as sms:
        sms.send(phone, "Votre commande est prête")
"""
TESTS = """
import os
from pathlib import Path

import pytest
import shop

import vavasms
from vavasms import AsyncVavaSMS


def test_a_customer_is_told(sms_outbox):
    shop.order("+2250700000101")
    assert sms_outbox.to("+2250700000101")[0].text == "Votre commande est prête"
    assert len(sms_outbox) == 1


@pytest.mark.anyio
async def test_a_customer_signs_in(vavasms_sandbox, sms_outbox, latest_otp):
    assert not sms_outbox
    async with AsyncVavaSMS() as sms:
        await sms.send_otp("+2250700000102", length=6)
        assert await sms.verify_otp("+2250700000102", latest_otp("+2250700000102"))


def test_the_wheel_is_what_is_tested(vavasms_sandbox):
    assert str(Path(vavasms.__file__).parents[1]) == os.environ["PYTHONPATH"].split(os.pathsep)[-1]
    print("the sandbox is", vavasms_sandbox.url)


def test_that_forgot_the_fixture(monkeypatch):
    monkeypatch.setenv("VAVASMS_USERNAME", "me")
    monkeypatch.setenv("VAVASMS_PASSWORD", "word")
    monkeypatch.setenv("VAVASMS_SENDER_ID", "ACME")
    monkeypatch.setenv("VAVASMS_BASE_URL", "https://vavasms.com/api")
    shop.order("+2250700000101")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and unpack it, which is all that installing a pure one is."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("these are not the sources")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def project(pytester: pytest.Pytester, installed: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of somebody's, with vavasms and anyio installed."""
    for name in ("USERNAME", "PASSWORD", "SENDER_ID", "BASE_URL", "NO_GATEWAY"):
        monkeypatch.delenv(f"VAVASMS_{name}", raising=False)
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    pytester.makeini("[pytest]\nfilterwarnings = error")
    pytester.makepyfile(shop=SHOP, test_shop=TESTS)
    return pytester


def test_it_is_there_without_a_word_in_the_project(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("--tb=short", "-rA", timeout=120)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "plugins:*vavasms-*",
            "*_ test_that_forgot_the_fixture _*",
            "E*ConfigurationError: This test would have reached the real gateway (vavasms.com): use the fixture*",
            "FAILED test_shop.py::test_that_forgot_the_fixture*",
        ]
    )


def test_it_can_be_left_out(project: pytest.Pytester) -> None:
    project.makepyfile(test_shop="import os\ndef test_it(): assert 'VAVASMS_NO_GATEWAY' not in os.environ")
    project.runpytest_subprocess("-p", "no:vavasms", timeout=120).assert_outcomes(passed=1)
    assert (
        "vavasms_sandbox" not in project.runpytest_subprocess("-p", "no:vavasms", "--fixtures").stdout.str()
    )
    assert "vavasms_sandbox -- " in project.runpytest_subprocess("--fixtures").stdout.str()


def test_processes_side_by_side_have_a_server_each(project: pytest.Pytester) -> None:
    chosen = ("-s", "-q", "-k", "wheel", "--deselect", "test_shop.py::test_that_forgot_the_fixture")
    command = [sys.executable, "-m", "pytest", *chosen]
    running = [project.popen(command, stdin=subprocess.DEVNULL) for _ in range(2)]
    printed = [each.communicate(timeout=120)[0].decode() for each in running]
    assert [each.returncode for each in running] == [0, 0], printed
    urls = {line for each in printed for line in each.splitlines() if "the sandbox is" in line}
    assert len(urls) == 2


def test_the_guide_is_in_the_wheel(installed: Path) -> None:
    kept = {
        path.relative_to(ROOT): path
        for path in ROOT.glob("vavasms/guide/*/*")
        if path.parent.name != "__pycache__"
    }
    assert {path.suffix for path in kept} == {".json", ".md", ".png", ".yml"}
    for place, path in kept.items():
        assert (installed / place).read_bytes() == path.read_bytes()
