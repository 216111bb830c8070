"""The proxy that the environment names."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from vavasms.config import is_loopback


def proxy_from_environment(base_url: str) -> str | None:
    """Read HTTPS_PROXY and NO_PROXY as httpx does; loopback is never behind a proxy."""
    parts = urlsplit(base_url)
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
