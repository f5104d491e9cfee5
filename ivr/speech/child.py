"""Processes of our own that work for calls: started with the same modules, and ended for certain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

__all__ = ["kill", "kill_and_reap", "start"]


async def start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    """Python with that module as its program, pipes for its input and output. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # no modules from whatever folder the program was started in
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # A terminal's interrupt is for the program, which closes this process in its own time.
        start_new_session=True,
        env={
            **os.environ,
            # The same modules as here, however this program came by them.
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            # Thread pools of libraries would take memory and cores: calls are what is done side by side.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            # A model is a folder on this machine; nothing is fetched.
            "HF_HUB_OFFLINE": "1",
        },
    )


def kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        # Process.kill() would reap a process that is dead already, and its status be lost.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def kill_and_reap(process: asyncio.subprocess.Process) -> int:
    """The exit status, negative for a signal."""
    kill(process)
    ending = asyncio.ensure_future(process.wait())
    try:
        return await asyncio.shield(ending)
    except asyncio.CancelledError:
        # It is as good as gone: nobody else would see it out.
        await ending
        raise
