"""Hundreds of calls that end in every way there is: afterwards everything is back, and every call is in the records."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ivr.cli.loading import load_or_exit
from ivr.live.control import ask
from ivr.records.database import open_database
from ivr.records.query import finished_calls
from ivr.service import Service
from tests.peers.patience import until
from tests.peers.ports import free_port, free_range
from tests.peers.sound import write_tone
from tests.peers.trace import Message
from tests.peers.wire import Dialled, Wire

CALLS = int(os.environ.get("IVR_MANY_CALLS", "144"))
CALLERS = 12
LIMITS = {"calls": 200, "calls_per_second": 500}
FLOW = """\
flow: main
start: menu
on_hangup: tidy_up
blocks:
  menu:
    - answer
    - menu: {prompt: hello, keys: {'1': desk, '2': everybody, '3': speak, '9': bye}, failed: bye}
  desk:
    - transfer: {to: 'sip:2001', ring: 2s, answered: bye, busy: speak, refused: bye, no_answer: bye, offline: bye,
                 failed: bye}
  everybody:
    - ring: {group: everybody, ring: 2s, answered: bye, busy: bye, no_answer: bye, failed: bye}
  speak:
    - say: 'It is {call.did}'
    - goto: bye
  bye:
    - hangup
  tidy_up:
    - tag: {left: '{last.block}'}
    - end
"""


class Answering:
    """A seat's telephone that does something else with each call."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._dice = random.Random(7)
        self._rings: dict[str, Message] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.is_set():
            message = self.wire.receives(0.1)
            if message is not None and message.status is None:
                self._takes(message)

    def _takes(self, request: Message) -> None:
        wire, call_id = self.wire, request.header("Call-ID")
        match request.method:
            case "INVITE" if ";tag=" not in request.header("To"):
                if call_id in self._rings:
                    return
                self._rings[call_id] = request
                choice = self._dice.random()
                if choice < 0.2:
                    wire.replies(request, "486 Busy Here", tag=call_id)
                elif choice < 0.3:
                    wire.replies(request, "603 Decline", tag=call_id)
                elif choice < 0.5:
                    wire.replies(request, "180 Ringing", tag=call_id)
                else:
                    wire.replies(request, "180 Ringing", tag=call_id)
                    wire.replies(request, sdp=SDP, tag=call_id)
                    if choice < 0.75:
                        self._hangs_up(request, call_id)
            case "CANCEL":
                wire.replies(request, tag=call_id)
                wire.replies(self._rings[call_id], "487 Request Terminated", tag=call_id)
            case "ACK":
                pass
            case _:
                wire.replies(request, tag=call_id)

    def _hangs_up(self, request: Message, tag: str) -> None:
        """A BYE from the side that was called: the tags change places."""
        target = re.sub(r"^<|>.*$", "", request.header("Contact"))
        dialled = Dialled(target, request.header("Call-ID"), f"{request.header('To')};tag={tag}", "")
        dialled.to = request.header("From")
        self.wire.asks(dialled, "BYE")


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 101\r\n"


def place(wire: Wire, dice: random.Random) -> str:
    """One call, ended in one way or the other; says which."""
    dialled = wire.invite()
    choice = dice.random()
    if choice < 0.1:
        wire.cancels(dialled)
        answer = wire.sees("SIP/2.0 ", dialled.call_id)
        while (answer.status or 0) < 200 or answer.method == "CANCEL":
            answer = wire.sees("SIP/2.0 ", dialled.call_id)
        if answer.status == 487:
            wire.sends(wire._request("ACK", dialled, branch=dialled.branch))
            return "cancelled"
        wire.takes(dialled, answer)
        wire.acknowledges(dialled)
    else:
        wire.is_answered(dialled)
    if choice < 0.4:
        wire.hangs_up(dialled)
        wire.sees("SIP/2.0 200", dialled.call_id)
        return "left"
    wire.asks(dialled, "INFO", body=dice.choice("1112239"), kind="application/dtmf")
    wire.sees("SIP/2.0 200", dialled.call_id)
    if choice < 0.6:
        wire.hangs_up(dialled)
        wire.sees("SIP/2.0 200", dialled.call_id)
        return "left after a key"
    try:
        bye = wire.sees("BYE", dialled.call_id, 1.0)
    except AssertionError:
        wire.hangs_up(dialled)
        wire.sees("SIP/2.0 200", dialled.call_id)
        return "left at last"
    wire.replies(bye)
    return "was left"


class Running:
    """The service in a thread."""

    def __init__(self, folder: Path) -> None:
        port, media = free_port(), free_range(1000)
        (folder / "flows").mkdir()
        (folder / "flows" / "main.yaml").write_text(FLOW)
        write_tone(folder / "prompts" / "hello.wav", 700, 0.5)
        self.file = folder / "site.yaml"
        self.file.write_text(
            yaml.safe_dump(
                {
                    "sip": {"listen": [f"udp:127.0.0.1:{port}"], "domain": "localhost"},
                    "media": {"address": "127.0.0.1", "ports": f"{media.start}-{media.stop - 1}", "port_rest": "4s"},
                    "flows": "flows",
                    "prompts": "prompts",
                    "records": f"sqlite:///{folder / 'records.db'}",
                    "numbers": {"1000": "main"},
                    "seats": {"2001": {"password": "first secret"}, "2002": {"password": "second secret"}},
                    "groups": {"everybody": ["sip:2001", "sip:2002"]},
                    "limits": LIMITS,
                }
            )
        )
        self.address = f"127.0.0.1:{port}"
        self.troubles: list[dict[str, Any]] = []
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self.troubles.append(context))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        site, _ = load_or_exit(self.file)
        self.database = site.records
        self.service = Service(site)
        self.awaits(self.service.start())

    def awaits(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def left(self) -> dict[str, int]:
        gateway = self.service._gateway
        assert gateway is not None
        sizes = gateway.sizes()
        return {
            "live": len(self.service._live),
            "calls": len(gateway._calls),
            "parties": sizes["parties"],
            "media": len(gateway._by_media),
            "legs": gateway._engine.statistics().legs,
            "clips": sum(bool(leg._clips) for leg in gateway._engine._legs.values()),
            "sessions": sizes["sessions"],
            "dialogs": sizes["dialogs"],
            "transactions": sizes["transactions"],
            "events": len(gateway._events),
            "tasks": sum(task.get_name() != "speech worker" for task in asyncio.all_tasks()) - 1,
        }

    async def forgets(self) -> None:
        """Finished transactions are remembered for half a minute: that time passes at once."""
        gateway = self.service._gateway
        assert gateway is not None
        gateway._telephones._agent.handle_timer(self.loop.time() + 60.0)

    def reloads(self) -> None:
        """What reading changed files needs is there for good: two watchers, and the process that reads."""
        ask(self.file, "publish")
        until(lambda: watchers() == 2, lambda: f"{watchers()} watchers of files")

    def close(self) -> None:
        self.awaits(self.service.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)


def watchers() -> int:
    # Where nothing is any more leads nowhere, and is no error.
    return sum("inotify" in os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd"))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.close()


def test_everything_is_back_after_calls_that_end_in_every_way(running: Running) -> None:
    seats = []
    for account, password in (("2001", "first secret"), ("2002", "second secret")):
        wire = Wire(running.address, user=account)
        assert wire.registers(account, password)[0].status == 200
        seats.append(Answering(wire))
    for seat in seats:
        seat.start()
    running.reloads()
    before = running.awaits(running.left())
    descriptors = len(os.listdir("/proc/self/fd"))
    ways: Counter[str] = Counter()
    failures: list[BaseException] = []

    def calls_on_end(number: int) -> None:
        dice = random.Random(number)
        wire = Wire(running.address, user=f"caller{number}", host=f"127.0.1.{number + 1}")
        try:
            for _ in range(CALLS // CALLERS):
                ways[place(wire, dice)] += 1
        except BaseException as error:
            failures.append(error)
        finally:
            wire.close()

    threads = [threading.Thread(target=calls_on_end, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures

    def all_over() -> bool:
        left = running.awaits(running.left())
        return all(left[name] <= before[name] for name in before if name != "transactions")

    until(all_over, lambda: f"{running.awaits(running.left())} is left, before it was {before}", within=45, every=0.2)
    running.awaits(running.forgets())
    assert running.awaits(running.left())["transactions"] <= 2
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
    assert not running.troubles, running.troubles
    for seat in seats:
        seat.stop()
        seat.wire.close()
    assert running.service._writer.flush(20)
    database = open_database(running.database, writing=False)
    records = list(finished_calls(database))
    database.dispose()
    assert len(records) == ways.total()
    assert {record.ended_by for record in records} <= {"caller", "agent", "flow"}
    assert {leg.role for record in records for leg in record.legs} == {"caller", "agent"}
