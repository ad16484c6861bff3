"""Waiting for a coroutine in code that is not one."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")


def wait_for(coroutine: Coroutine[Any, Any, R]) -> R:
    """Its result; on a loop in a thread of its own where this thread runs one already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1, "tabur-coroutine") as pool:
        return pool.submit(context.run, asyncio.run, coroutine).result()
