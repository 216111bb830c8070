"""What is cut off once the gateway has it, on however busy a machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from vavasms.sandbox import SandboxServer


@asynccontextmanager
async def cut_off_after(sandbox: SandboxServer, entries: int) -> AsyncIterator[anyio.CancelScope]:
    """Cancel what the block waits for once so many requests are in the sandbox's journal."""

    async def watch() -> None:
        while len(sandbox.gateway.journal) < entries:
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            yield tasks.cancel_scope
            tasks.cancel_scope.cancel()
