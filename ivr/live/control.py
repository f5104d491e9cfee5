"""The socket through which commands reach the server that runs: one line of JSON each way, bounded in size and time.

A request is ``{"v": 1, "command": NAME, "arguments": {...}}``, an answer ``{"v": 1, "ok": true, "result": {...}}`` or
``{"v": 1, "ok": false, "error": "...", "complaints": [...]}``. Only the user that the server runs as gets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ivr.live.publisher import Refused

log = logging.getLogger("ivr.live")

VERSION: Final = 1
_REQUEST_BOUND: Final = 65_536
_ANSWER_BOUND: Final = 8_000_000
_AT_A_TIME: Final = 8
_PATIENCE: Final = 5.0
_ANSWER_PATIENCE: Final = 300.0

Command = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes the arguments. Raises Refused for what cannot be done, KeyError and ValueError for arguments that are wrong."""


class NoServer(Exception):
    """No server runs for this site, or it does not answer."""


def socket_path(site_file: Path) -> Path:
    return site_file.resolve().parent / "var" / "ivr.sock"


class Control:
    """Serves the socket. ``commands`` by name."""

    def __init__(self, path: Path, commands: Mapping[str, Command], *, patience: float = _PATIENCE) -> None:
        """``patience``: seconds for a peer to send its request, and as long again to take the answer."""
        self._path = path
        self._commands = commands
        self._patience = patience
        self._server: asyncio.Server | None = None
        self._connections = 0

    async def start(self) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Nobody else gets in between making the socket and setting its mode: it is bound to, not listened at.
            listening.bind(str(self._path))
            os.chmod(self._path, 0o600)
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=_REQUEST_BOUND)
        except BaseException:
            listening.close()
            raise

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > _AT_A_TIME:
                answer: dict[str, Any] = {"ok": False, "error": "too many commands at once: try again"}
            else:
                answer = await self._answered(reader)
            writer.write(json.dumps({"v": VERSION, **answer}).encode() + b"\n")
            writer.write_eof()
            async with asyncio.timeout(self._patience):
                # Until all of it is gone: closing alone would wait for a peer that never reads, and for ever.
                writer.transport.set_write_buffer_limits(0)
                await writer.drain()
        except (TimeoutError, OSError):
            pass
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        """Raises TimeoutError and OSError."""
        try:
            async with asyncio.timeout(self._patience):
                line = await reader.readline()
        except ValueError:
            return {"ok": False, "error": f"a request is one line of at most {_REQUEST_BOUND} bytes"}
        return await self.answer(line)

    async def answer(self, line: bytes) -> dict[str, Any]:
        """What is answered to a line. Never raises for what is in it."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or request.get("v") != VERSION:
                return {"ok": False, "error": f"this server speaks version {VERSION}: use the program it belongs to"}
            command, arguments = self._commands.get(str(request.get("command"))), request.get("arguments", {})
            if command is None or not isinstance(arguments, dict):
                return {"ok": False, "error": f"no command {str(request.get('command'))[:60]!r}"}
            return {"ok": True, "result": dict(await command(arguments))}
        except Refused as refused:
            return {"ok": False, "error": str(refused), "complaints": list(refused.complaints[:1000])}
        except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
            return {"ok": False, "error": f"the request is not understood: {error}"}
        except Exception:
            log.exception("a command failed")
            return {"ok": False, "error": "the command failed: the log of the server tells more"}


def ask(site_file: Path, command: str, **arguments: object) -> dict[str, Any]:
    """Have the server do something, and its result. Raises NoServer, and Refused with what it says."""
    path = socket_path(site_file)
    line = json.dumps({"v": VERSION, "command": command, "arguments": arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_PATIENCE)
            connection.connect(str(path))
            # It may have hung up already, with words of its own.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(line)
            with connection.makefile("rb") as stream:
                reply = json.loads(stream.readline(_ANSWER_BOUND))
    except (OSError, ValueError) as error:
        raise NoServer(f"no server runs for {site_file} (nobody answers at {path})") from error
    if not isinstance(reply, dict):
        raise NoServer(f"what answers at {path} is not this program")
    if not reply.get("ok"):
        raise Refused(str(reply.get("error")), tuple(reply.get("complaints", ())))
    return dict(reply["result"])
