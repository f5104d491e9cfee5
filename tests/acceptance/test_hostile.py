"""Strangers who mean harm, against the program as its operator runs it: it lives on, stays small, and serves others."""

from __future__ import annotations

import random
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.call_centre import MENU, PASSWORDS, CallCentre, site
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.wire import Wire, session_description

pytestmark = pytest.mark.peer

HOSTILE, HONEST = "127.0.0.66", "127.0.0.1"


class Target:
    """The server, what it costs, and whether it still answers."""

    def __init__(self, centre: CallCentre) -> None:
        self.centre = centre
        self.server = centre.server
        self._wires: list[Wire] = []

    def wire(self, host: str = HOSTILE, user: str = "eve") -> Wire:
        self._wires.append(Wire(self.server.address, host=host, user=user))
        return self._wires[-1]

    def megabytes(self) -> int:
        status = Path(f"/proc/{self.server.child.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found
        return int(found[1]) // 1024

    def log(self) -> str:
        return (self.server.folder / "ivr.log").read_text(errors="replace")

    def serves(self) -> None:
        """An honest caller reaches the menu and hangs up."""
        anna = self.wire(HONEST, "anna")
        dialled = anna.invite()
        anna.is_answered(dialled)
        anna.hangs_up(dialled)
        anna.sees("SIP/2.0 200", dialled.call_id)

    def is_unharmed(self, lines: int = 400) -> None:
        self.serves()
        log = self.log()
        assert "Traceback" not in log
        assert log.count("\n") < lines
        assert self.megabytes() < 300

    def close(self) -> None:
        for wire in self._wires:
            wire.close()


@pytest.fixture
def target(company: Company) -> Iterator[Target]:
    target = Target(CallCentre(company, site(media_ports=400)))
    yield target
    target.close()


class Pulse:
    """Asks again and again whether anybody is there, and remembers the longest it had to wait."""

    def __init__(self, target: Target) -> None:
        self._wire = target.wire("127.0.0.2", "pulse")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest_s = 0.0

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        wire = self._wire
        while not self._over.is_set():
            began = time.monotonic()
            wire.sends(
                f"OPTIONS sip:{wire.server[0]} SIP/2.0\r\n{wire.via()}\r\nFrom: <sip:p@x>;tag=1\r\nTo: <sip:x@x>\r\n"
                f"Call-ID: {secrets.token_hex(8)}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            # A datagram may get lost when the socket's buffer is full; that is no wait of the server's.
            if wire.receives(2.0) is not None:
                self.longest_s = max(self.longest_s, time.monotonic() - began)
            self._over.wait(0.01)


def test_noise_and_damaged_messages(target: Target) -> None:
    eve, dice = target.wire(), random.Random(1)
    dialled = eve.invite("9999")
    eve.is_refused(dialled, 404)
    whole = eve._request("INVITE", dialled, body=session_description(), headers=(eve.contact(),)).encode()
    with Pulse(target) as pulse:
        for number in range(3000):
            if number % 3 == 0:
                eve.sends(dice.randbytes(dice.randrange(1, 1400)))
                continue
            damaged = bytearray(whole)
            for _ in range(dice.randrange(1, 6)):
                damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
            eve.sends(bytes(damaged[: dice.randrange(len(damaged))] if dice.random() < 0.3 else damaged))
            if number % 20 == 0:
                time.sleep(0.005)
    # Far above what is seen on a quiet machine, far below what telephones notice.
    assert pulse.longest_s < 1.0
    target.is_unharmed()


def test_a_scanner_that_tries_numbers(target: Target) -> None:
    eve = target.wire()
    before = target.megabytes()
    with Pulse(target) as pulse:
        for number in range(4000):
            eve.invite(str(number))
            if number % 20 == 0:
                time.sleep(0.01)
            if number == 2000:
                target.serves()
    assert pulse.longest_s < 1.0
    assert target.megabytes() - before < 60
    assert re.search(rf"{HOSTILE} was refused \d+ times, is ignored", target.log())
    target.is_unharmed()


def test_a_flood_of_calls_is_met_by_the_limits(target: Target) -> None:
    """Whoever takes every line cannot be told from customers; but nothing breaks, and it passes."""
    eve = target.wire()
    before = target.megabytes()
    for number in range(3000):
        eve.invite()
        if number % 20 == 0:
            time.sleep(0.01)
    assert target.megabytes() - before < 80
    log = target.log()
    assert log.count("refused") < 300
    assert log.count("calls 1000") <= 100
    assert "Traceback" not in log


def test_passwords_guessed_by_the_thousand(target: Target) -> None:
    eve = target.wire()
    answers = [eve.registers("2001", f"guess {number}")[0].status for number in range(60)]
    assert answers[-1] == 403
    assert 200 not in answers
    honest = target.wire(HONEST, "2001")
    assert honest.registers("2001", PASSWORDS["2001"])[0].status == 200
    target.is_unharmed()


def test_a_registration_heard_on_the_wire_is_good_for_nothing(target: Target) -> None:
    honest, eve = target.wire(HONEST, "2001"), target.wire()
    answer, request = honest.registers("2001", PASSWORDS["2001"])
    assert answer.status == 200
    stolen = request.replace(f"<sip:2001@{HONEST}:{honest.port}>", f"<sip:2001@{HOSTILE}:{eve.port}>")
    again = stolen.replace("branch=z9hG4bK", "branch=z9hG4bKx")
    moved = re.sub(r"CSeq: \d+", "CSeq: 900", re.sub("Call-ID: .*", "Call-ID: stolen\r", again))
    for replayed in (stolen, again, moved):
        eve.sends(replayed)
        answered = eve.receives(1.0)
        assert answered is None or answered.status != 200 or HOSTILE not in answered.text.partition("Contact")[2]
    caller = target.wire(HONEST, "anna")
    dialled = caller.invite()
    caller.is_answered(dialled)
    caller.asks(dialled, "INFO", body="1", kind="application/dtmf")
    assert honest.sees("INVITE")
    assert eve.receives(0.3) is None or not any(m.method == "INVITE" for m in eve.other)


def test_strangers_do_not_end_calls(target: Target, company: Company) -> None:
    handset, anna, eve = company.handset(), target.wire(HONEST, "anna"), target.wire()
    dialled = anna.invite(sdp=session_description(port=handset.port))
    anna.is_answered(dialled)
    tag = dialled.to.partition("tag=")[2]
    for to_tag, from_tag in (("", "x"), ("wrong", "x"), (tag, "x"), ("wrong", dialled.from_.partition("tag=")[2])):
        for method in ("BYE", "CANCEL", "INVITE", "UPDATE", "INFO", "PRACK", "ACK"):
            forged = eve._request(method, dialled, headers=(eve.contact(),), branch=None)
            forged = re.sub("From: .*", f"From: <sip:anna@x>;tag={from_tag}\r", forged)
            eve.sends(re.sub("To: .*", f"To: <sip:1000@x>{';tag=' * bool(to_tag)}{to_tag}\r", forged))
    # Noise at the port where the call's sound is expected, and at those of others.
    media = re.search(r"m=audio (\d+)", dialled.answers[0].text)
    assert media
    for number in range(2000):
        port = int(media[1]) + number % 4
        eve.socket.sendto(secrets.token_bytes(1 + number % 300), ("127.0.0.1", port))
    handset.talks_to("127.0.0.1", int(media[1]))
    handset.listens()
    handset.hears(MENU)
    handset.presses("9")
    anna.replies(anna.sees("BYE", dialled.call_id))
    assert target.server.record("anna").path == ("menu", "bye")


def test_connections_that_only_cost(target: Target) -> None:
    address = tuple(target.server.address.split(":"))
    to = (address[0], int(address[1]))
    held = []
    for number in range(300):
        each = socket.create_connection(to)
        each.sendall(b"INVITE sip:1000@x SIP/2.0\r\nVia: "[: number % 30])
        held.append(each)
    for head in (b"INVITE sip:1000@x SIP/2.0\r\nContent-Length: 10000000\r\n\r\n", b"", b"\r\n" * 10):
        each = socket.create_connection(to)
        each.settimeout(10)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            each.sendall(head + b"a" * 40_000_000)
        each.close()
    phone = target.centre.caller(transport="tcp")
    target.centre.reaches_menu(phone)
    phone.hangs_up()
    for each in held:
        each.close()
    until(lambda: target.server.child.is_running(), "it died")
    target.is_unharmed()
