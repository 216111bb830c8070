"""On what the figures were taken: the machine without its name, and the versions that count."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: Ours, what it stands on, and the peers.
PACKAGES = (
    "vavasms",
    "httpx",
    "httpcore",
    "aiohttp",
    "anyio",
    "attrs",
    "cattrs",
    "twilio",
    "africastalking",
    "vonage",
    "phonenumbers",
    "smsutil",
    "cyclopts",
    "rich",
    "matplotlib",
)


def describe_machine() -> dict[str, str]:
    """Describe the machine; nothing that tells whose it is."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "processor": f"{_cpu_model()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": f"{load:.1f}",
    }


def list_versions() -> dict[str, str]:
    """List the versions of the packages that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cpu_model() -> str:
    if sys.platform != "linux":
        return platform.processor() or "processor unknown"
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] != "unknown" else "processor unknown"
