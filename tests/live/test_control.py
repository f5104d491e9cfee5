"""The socket for commands, and who means it ill: it answers, or hangs up, and goes on answering others."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.live.control import Control, NoServer, ask, socket_path
from ivr.live.publisher import Refused

PATIENT, HASTY = 20.0, 0.5


async def echo(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return arguments


async def much(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"much": "x" * 4_000_000}


async def refuses(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise Refused("no", ("main.yaml:1: error",))


async def needs(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"number": int(arguments["number"])}


async def breaks(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeError("inside")


COMMANDS = {"echo": echo, "much": much, "refuses": refuses, "needs": needs, "breaks": breaks}


def request(command: object = "echo", arguments: object = None, version: object = 1) -> bytes:
    return json.dumps({"v": version, "command": command, "arguments": arguments or {}}).encode() + b"\n"


@asynccontextmanager
async def serving(folder: Path, patience: float) -> AsyncIterator[Path]:
    path = folder / "var" / "ivr.sock"
    control = Control(path, COMMANDS, patience=patience)
    await control.start()
    try:
        yield path
    finally:
        await control.close()


async def said(path: Path, data: bytes) -> dict[str, Any]:
    """The answer to what is sent."""
    reader, writer = await asyncio.open_unix_connection(path, limit=8_000_000)
    writer.write(data)
    answer = json.loads(await reader.readline())
    writer.close()
    assert isinstance(answer, dict)
    return answer


def with_socket(folder: Path, act: Callable[[Path], Awaitable[None]], patience: float = PATIENT) -> None:
    async def run() -> None:
        async with serving(folder, patience) as path:
            await act(path)
            # Whatever that was, the next one is answered.
            assert (await said(path, request(arguments={"a": 1})))["result"] == {"a": 1}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"\n", "not understood"),
        (b"\0\xff\xfe rubbish\n", "not understood"),
        (b"GET / HTTP/1.1\n", "not understood"),
        (b"[" * 60_000 + b"\n", "not understood"),
        (b"[]\n", "version 1"),
        (b"null\n", "version 1"),
        (request(version=2), "version 1"),
        (request(version="1"), "version 1"),
        (request("nothing"), "no command 'nothing'"),
        (request("x" * 60_000), "no command"),
        (request(["echo"]), "no command"),
        (request(arguments=[1]), "no command"),
        (request("needs"), "number"),
        (request("needs", {"number": "many"}), "not understood"),
        (request("needs", {"number": [1]}), "not understood"),
        (request("needs", {"number": 1e999}), "not understood"),
        (request("needs", {"number": "9" * 50_000}), "not understood"),
        (b"x" * 70_000 + b"\n", "one line of at most"),
        (b"x" * 3_000_000, "one line of at most"),
        (request("breaks"), "log of the server"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_not_understood_is_answered(tmp_path: Path, sent: bytes, words: str) -> None:
    async def act(path: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(sent)
        answer = json.loads(await reader.readline())
        assert answer["v"] == 1
        assert not answer["ok"]
        assert words in answer["error"]
        assert len(answer["error"]) < 500
        writer.close()

    with_socket(tmp_path, act)


@given(st.binary(max_size=200))
def test_no_line_brings_it_down(line: bytes) -> None:
    answer = asyncio.run(Control(Path("nowhere"), COMMANDS).answer(line))
    assert isinstance(answer["ok"], bool)


def test_a_refusal_comes_with_its_complaints(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        answer = await said(path, request("refuses"))
        assert (answer["ok"], answer["error"], answer["complaints"]) == (False, "no", ["main.yaml:1: error"])

    with_socket(tmp_path, act)


def test_a_large_answer_comes_whole(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        assert len((await said(path, request("much")))["result"]["much"]) == 4_000_000

    with_socket(tmp_path, act)


def test_who_says_nothing_and_who_never_reads_is_hung_up_on(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        silent, _ = await asyncio.open_unix_connection(path)
        assert await silent.read() == b""
        # Eight that never read fill all the places; they are free again.
        deaf = [await asyncio.open_unix_connection(path, limit=1) for _ in range(8)]
        for _, writer in deaf:
            writer.write(request("much"))
        answer = await said(path, request())
        while "too many" in answer.get("error", ""):
            answer = await said(path, request())
        assert answer["ok"]
        for reader, writer in deaf:
            assert len(await reader.read()) < 4_000_000
            writer.close()

    with_socket(tmp_path, act, HASTY)


def test_more_than_eight_at_once_are_asked_to_come_again(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        waiting = [await asyncio.open_unix_connection(path) for _ in range(8)]
        crowd = [said(path, request()) for _ in range(100)]
        answers = await asyncio.gather(*crowd)
        assert all("too many" in answer["error"] for answer in answers)
        for reader, writer in waiting:
            writer.write(request())
            assert json.loads(await reader.readline())["ok"]
            writer.close()

    with_socket(tmp_path, act)


def test_who_leaves_while_it_works_disturbs_nobody(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        for sent in (request("much"), request()[:10], b""):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(sent)
            writer.transport.abort()

    with_socket(tmp_path, act)


def test_only_the_own_user_gets_in_and_what_a_dead_server_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "ivr.sock").write_text("left over")

    async def act(path: Path) -> None:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    with_socket(tmp_path, act)
    assert not (tmp_path / "var" / "ivr.sock").exists()


@pytest.mark.parametrize("reply", [b"", b"[1]\n", b"rubbish\n", b'{"ok": true'])
def test_something_else_that_answers_is_no_server(tmp_path: Path, reply: bytes) -> None:
    site = tmp_path / "site.yaml"
    socket_path(site).parent.mkdir()

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(reply)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_unix_server(other, socket_path(site)):
            with pytest.raises(NoServer):
                await asyncio.to_thread(ask, site, "status")

    asyncio.run(run())


def test_no_server_runs(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="no server runs"):
        ask(tmp_path / "site.yaml", "status")
