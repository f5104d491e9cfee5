"""Real sockets on loopback: datagrams, connections, limits, and another program that asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from gateway.certificates import Certificates, client_context
from gateway.sip.hop import Hop
from gateway.sip.transaction import RequestReceived, TransactionLayer
from gateway.sip.transport import Address, SipTransports, TransportLimits, mask_credentials

OPTIONS = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
QUICK = TransportLimits(message_time=0.2, first_message_time=0.2, idle_time=0.6, connect_timeout=1.0)
UDP: list[Address] = [("udp", "127.0.0.1", 0)]
TCP: list[Address] = [("tcp", "127.0.0.1", 0)]


class Ears:
    """Transports, and all that they heard."""

    def __init__(self, listen: list[Address], limits: TransportLimits | None = None) -> None:
        self.heard: list[tuple[bytes, Hop]] = []
        self.lost: list[Hop] = []
        self.traced: list[tuple[str, bytes]] = []
        self.transports = SipTransports(
            listen,
            received=lambda data, hop: self.heard.append((data, hop)),
            hop_lost=self.lost.append,
            trace=lambda direction, data, hop: self.traced.append((direction, data)),
            limits=limits,
        )

    @property
    def place(self) -> tuple[str, int]:
        return self.transports.addresses[0][1:]

    def hop(self) -> Hop:
        kind, host, port = self.transports.addresses[0]
        return Hop(kind, host, port)


@contextlib.asynccontextmanager
async def listening(listen: list[Address], limits: TransportLimits | None = None) -> AsyncIterator[Ears]:
    ears = Ears(listen, limits)
    await ears.transports.start()
    try:
        yield ears
    finally:
        await ears.transports.close()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # sockets set no event
            await asyncio.sleep(0.005)


def run(story: Callable[[], Awaitable[None]]) -> None:
    """On both loops: the product runs on uvloop, whose transports are not asyncio's."""

    async def told() -> None:
        await story()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            # A TLS handshake that its other side gave up is asyncio's own to end.
            _, others = [*map(list, await asyncio.wait(others, timeout=3))]
        assert others == []

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(told())


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def test_a_crowd_of_datagrams_comes_whole_and_in_order() -> None:
    async def story() -> None:
        async with listening(UDP) as ears:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sent = [OPTIONS + b"%d" % number for number in range(300)]
                for number, data in enumerate(sent):
                    sender.sendto(data, ears.place)
                    # More than are taken at a time, then a few, then one by one.
                    if (number >= 100 and number % 10 == 0) or number >= 280:
                        await asyncio.sleep(0.004)
                await until(lambda: len(ears.heard) == len(sent))
                assert [data for data, _ in ears.heard] == sent
                # And when it has been quiet, one alone.
                await asyncio.sleep(0.05)
                sender.sendto(OPTIONS, ears.place)
                await until(lambda: len(ears.heard) == len(sent) + 1)

    run(story)


def test_a_datagram_that_is_taken_badly_costs_no_other() -> None:
    async def story() -> None:
        heard: list[bytes] = []

        def received(data: bytes, hop: Hop) -> None:
            heard.append(data)
            if data.endswith(b"bad"):
                raise RuntimeError("a fault of ours")

        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        transports = SipTransports(UDP, received=received, hop_lost=lambda hop: None)
        await transports.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sent = [OPTIONS + suffix for suffix in (b"", b"bad", b"bad", b"2", b"bad", b"3", b"4")]
            for data in sent:
                sender.sendto(data, transports.addresses[0][1:])
                await asyncio.sleep(0.002)
            await until(lambda: len(heard) == len(sent))
        assert heard == sent
        await transports.close()

    run(story)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_there_and_back(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("no IPv6 here")

    async def story() -> None:
        async with listening([("udp", host, 0)]) as one, listening([("udp", host, 0)]) as other:
            assert one.place[1] != 0
            one.transports.send(OPTIONS, other.hop())
            await until(lambda: other.heard)
            data, hop = other.heard[0]
            assert (data, hop) == (OPTIONS, Hop("udp", host, one.place[1], None, other.place))
            other.transports.send(OPTIONS + b"x", hop)
            await until(lambda: one.heard)
            assert one.transports.sent_by(other.hop()) == one.place
            assert [direction for direction, _ in one.traced] == ["out", "in"]

    run(story)


def test_junk_and_unreachable_peers_are_nothing_to_mind() -> None:
    async def story() -> None:
        async with listening(UDP) as ears:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.bind(("127.0.0.1", 0))
                closed = phone.getsockname()[1]
                for junk in (b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b"jaK", b"\0\1\0\0\x21\x12\xa4\x42" + b"\0" * 12):
                    phone.sendto(junk, ears.place)
                phone.sendto(OPTIONS, ears.place)
                await until(lambda: ears.heard)
            for _ in range(3):
                ears.transports.send(OPTIONS, Hop("udp", "127.0.0.1", closed))
                await asyncio.sleep(0.01)
            ears.transports.send(OPTIONS, Hop("udp", "no such host.invalid", 5060))
            ears.transports.send(OPTIONS, Hop("udp", "255.255.255.255", 5060))
            ears.transports.send(b"x" * 70_000, Hop("udp", "127.0.0.1", closed))
            ears.transports.send(OPTIONS, Hop("udp", "::1", 5060))
            await until(lambda: ears.lost)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.sendto(OPTIONS, ears.place)
            await until(lambda: len(ears.heard) == 2)
            assert [data for data, _ in ears.heard] == [OPTIONS, OPTIONS]

    run(story)


def test_a_name_is_looked_up() -> None:
    async def story() -> None:
        async with listening(UDP) as one, listening(UDP) as other:
            for _ in range(2):
                one.transports.send(OPTIONS, Hop("udp", "localhost", other.place[1]))
            await until(lambda: len(other.heard) == 2)

    run(story)


def test_a_connection_is_made_once_and_answers_come_back_on_it() -> None:
    async def story() -> None:
        async with listening(TCP) as one, listening(TCP) as other:
            hop = other.hop()
            for _ in range(3):
                one.transports.send(OPTIONS, hop)
            await until(lambda: len(other.heard) == 3)
            one.transports.send(OPTIONS, hop)
            await until(lambda: len(other.heard) == 4)
            assert {data for data, _ in other.heard} == {OPTIONS}
            assert other.transports.connections == 1
            (back,) = {hop for _, hop in other.heard}
            assert back.connection is not None
            assert back.local == other.place
            other.transports.send(OPTIONS, back)
            # To its address and port it goes the same way.
            other.transports.send(OPTIONS, replace(back, connection=None))
            await until(lambda: len(one.heard) == 2)
            assert other.transports.connections == 1
            await other.transports.close()
            await until(lambda: one.lost)
            assert hop in one.lost
            assert any(lost.connection is not None for lost in one.lost)
            assert one.transports.connections == 0

    run(story)


def test_nobody_listens_there() -> None:
    async def story() -> None:
        async with listening(TCP) as one:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
                taken.bind(("127.0.0.1", 0))
                hop = Hop("tcp", "127.0.0.1", taken.getsockname()[1], None, one.place)
                one.transports.send(OPTIONS, hop)
                one.transports.send(OPTIONS, hop)
                assert one.lost == []
                await until(lambda: one.lost)
            assert one.lost == [hop]
            gone = Hop("tcp", "127.0.0.1", 1, 77)
            one.transports.send(OPTIONS, gone)
            assert one.lost == [hop]
            await until(lambda: gone in one.lost)
            one.transports.send(OPTIONS, Hop("sctp", "127.0.0.1", 1))
            await until(lambda: len(one.lost) == 3)

    run(story)


def test_no_more_waits_for_a_connection_than_may() -> None:
    async def story() -> None:
        async with listening(TCP, replace(QUICK, waiting=4)) as one, listening(TCP) as other:
            for _ in range(6):
                one.transports.send(OPTIONS, other.hop())
            await until(lambda: len(other.heard) == 4)
            assert one.lost == [other.hop()] * 2

    run(story)


async def connect(ears: Ears) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*ears.place)


def test_pieces_and_pings() -> None:
    async def story() -> None:
        async with listening(TCP) as ears:
            reader, writer = await connect(ears)
            writer.write(b"\r\n\r\n" + OPTIONS[:30])
            assert await reader.readexactly(2) == b"\r\n"
            writer.write(OPTIONS[30:] + OPTIONS)
            await until(lambda: len(ears.heard) == 2)
            writer.close()
            await until(lambda: ears.lost)
            assert ears.lost == [ears.heard[0][1]]

    run(story)


@pytest.mark.parametrize(
    "sent",
    [b"", b"OPTIONS sip:", b"OPTIONS sip:a SIP/2.0\r\n\r\n", OPTIONS, OPTIONS + b"x", b"\r\n"],
    ids=["nothing", "half a line", "no length", "then silence", "then half", "only keep-alives"],
)
def test_who_keeps_us_waiting_is_shown_out(sent: bytes) -> None:
    async def story() -> None:
        async with listening(TCP, QUICK) as ears:
            reader, writer = await connect(ears)
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()
            await until(lambda: ears.transports.connections == 0)

    run(story)


def test_a_byte_now_and_then_does_not_hold_a_connection() -> None:
    async def story() -> None:
        async with listening(TCP, QUICK) as ears:
            reader, writer = await connect(ears)
            with contextlib.suppress(ConnectionError):
                for byte in OPTIONS:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    if reader.at_eof():
                        break
                    await asyncio.sleep(0.03)
            writer.close()
            assert ears.heard == []

    run(story)


def test_keep_alives_alone_do_not_hold_a_connection() -> None:
    async def story() -> None:
        async with listening(TCP, QUICK) as ears:
            reader, writer = await connect(ears)
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"\r\n")
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(100), 0.02)
            writer.close()

    run(story)


@pytest.mark.parametrize("limits", [TransportLimits(connections=2), TransportLimits(connections_per_host=2)])
def test_only_so_many_connections(limits: TransportLimits) -> None:
    async def story() -> None:
        async with listening(TCP, limits) as ears:
            streams = [await connect(ears) for _ in range(2)]
            await until(lambda: ears.transports.connections == 2)
            reader, refused = await connect(ears)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            refused.close()
            for _, writer in streams:
                writer.close()
            await until(lambda: ears.transports.connections == 0)
            _, writer = await connect(ears)
            await until(lambda: ears.transports.connections == 1)
            writer.close()

    run(story)


def test_who_does_not_read_is_given_up() -> None:
    async def story() -> None:
        async with listening(TCP, TransportLimits(unsent_bytes=100_000)) as ears:
            _, writer = await connect(ears)
            writer.write(OPTIONS)
            await until(lambda: ears.heard)
            hop = ears.heard[0][1]
            for _ in range(400):
                ears.transports.send(b"x" * 60_000, hop)
                if ears.transports.connections == 0:
                    break
                await asyncio.sleep(0)
            await until(lambda: ears.transports.connections == 0)
            assert hop in ears.lost
            writer.close()

    run(story)


def test_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(
        ["openssl", *made.split(), "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(certificate, key)
    client_tls = ssl.create_default_context(cafile=str(certificate))

    async def story() -> None:
        heard: list[tuple[bytes, Hop]] = []
        answers: list[bytes] = []
        lost: list[Hop] = []
        server = SipTransports(
            [("tls", "127.0.0.1", 0)],
            received=lambda data, hop: heard.append((data, hop)),
            hop_lost=lost.append,
            server_tls=server_tls,
        )
        client = SipTransports(
            TCP,
            received=lambda data, hop: answers.append(data),
            hop_lost=lost.append,
            client_tls=lambda host, port: client_tls,
        )
        await server.start()
        await client.start()
        try:
            port = server.addresses[0][2]
            client.send(OPTIONS, Hop("tls", "localhost", port))
            await until(lambda: heard)
            server.send(OPTIONS, heard[0][1])
            await until(lambda: answers)
            assert heard[0][1].transport == "tls"
            # The certificate is not for this name.
            stranger = Hop("tls", "127.0.0.1", port)
            client.send(OPTIONS, stranger)
            await until(lambda: stranger in lost)
        finally:
            await client.close()
            await server.close()

    run(story)


def served(tmp_path: Path) -> ssl.SSLContext:
    return Certificates(None, state=tmp_path).context


def test_who_never_shakes_hands_is_counted_and_closed(tmp_path: Path) -> None:
    context = served(tmp_path)
    limits = TransportLimits(connections_per_host=3, handshake_time=0.5)

    async def story() -> None:
        heard: list[bytes] = []
        server = SipTransports(
            [("tls", "127.0.0.1", 0)],
            received=lambda data, hop: heard.append(data),
            hop_lost=lambda hop: None,
            server_tls=context,
            limits=limits,
        )
        client = SipTransports(
            [],
            received=lambda data, hop: None,
            hop_lost=lambda hop: None,
            client_tls=lambda host, port: client_context(verify=False),
        )
        await server.start()
        await client.start()
        place = server.addresses[0][1:]
        silent = [await asyncio.open_connection(*place) for _ in range(5)]
        # The last two find no room, and the others no patience.
        for reader, writer in reversed(silent):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        # One who does not speak TLS at all.
        reader, writer = await asyncio.open_connection(*place)
        writer.write(OPTIONS)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        assert server.connections == 0
        for _ in range(3):
            client.send(OPTIONS, Hop("tls", *place))
        await until(lambda: len(heard) == 3)
        await client.close()
        await server.close()
        assert heard == [OPTIONS] * 3

    run(story)


def test_closing_while_shaking_hands(tmp_path: Path) -> None:
    context = served(tmp_path)

    async def story() -> None:
        server = SipTransports(
            [("tls", "127.0.0.1", 0)], received=lambda data, hop: None, hop_lost=lambda hop: None, server_tls=context
        )
        await server.start()
        reader, writer = await asyncio.open_connection(*server.addresses[0][1:])
        await asyncio.sleep(0.05)
        await server.close()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()

    run(story)


def test_starting_is_all_or_nothing() -> None:
    async def story() -> None:
        async with listening(UDP) as ears:
            clash = Ears([("tcp", "127.0.0.1", 0), ("udp", *ears.place)])
            with pytest.raises(OSError, match=r"(?i)addr"):
                await clash.transports.start()
            assert clash.transports.addresses == []
            with pytest.raises(ValueError, match="no such transport"):
                await Ears([("sctp", "127.0.0.1", 0)]).transports.start()
            with pytest.raises(ValueError, match="certificate"):
                await Ears([("tls", "127.0.0.1", 0)]).transports.start()

    run(story)


def test_closing_while_connecting() -> None:
    async def story() -> None:
        async with listening(TCP) as ears:
            ears.transports.send(OPTIONS, Hop("tcp", "192.0.2.1", 5060))
            await asyncio.sleep(0)
        assert ears.lost == []
        ears.transports.send(OPTIONS, Hop("tcp", "192.0.2.1", 5060))

    run(story)


def test_a_wildcard_is_no_address_to_answer_to() -> None:
    async def story() -> None:
        async with listening([("udp", "0.0.0.0", 0)]) as ears:
            port = ears.place[1]
            assert ears.transports.sent_by(Hop("udp", "127.0.0.1", 5060)) == ("127.0.0.1", port)
            assert ears.transports.sent_by(Hop("tcp", "127.0.0.1", 5060, None, ears.place)) == ("127.0.0.1", port)

    run(story)


def test_secrets_stay_out_of_the_trace() -> None:
    message = (
        b"REGISTER sip:a SIP/2.0\r\n"
        b'Authorization: Digest username="alice", realm="r", nonce="n\\"1", uri="sip:a",\r\n'
        b'  response = "0123abcd", cnonce=xyz, nc=00000001, opaque="o"\r\n'
        b'proxy-authorization : digest RESPONSE="secret\r\n'
        b"Proxy-Authorization: Basic YWxpY2U6d29uZGVy\r\n"
        b'Subject: response="stays"\r\n\r\n'
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32"
    )
    assert mask_credentials(message) == (
        b"REGISTER sip:a SIP/2.0\r\n"
        b'Authorization: Digest username="alice", realm="r", nonce=***, uri="sip:a",\r\n'
        b"  response = ***, cnonce=***, nc=00000001, opaque=***\r\n"
        b"proxy-authorization : digest RESPONSE=***\r\n"
        b"Proxy-Authorization: ***\r\n"
        b'Subject: response="stays"\r\n\r\n'
        b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***|2^20|1:32"
    )
    assert mask_credentials(OPTIONS) is OPTIONS


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_sipsak_is_answered(kind: str) -> None:
    program = shutil.which("sipsak")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("sipsak is not installed")
        pytest.skip("sipsak is not installed")

    async def story() -> None:
        layer = TransactionLayer()
        loop = asyncio.get_running_loop()

        def received(data: bytes, hop: Hop) -> None:
            layer.receive(data, hop, loop.time())
            while (event := layer.next_event()) is not None:
                assert isinstance(event, RequestReceived)
                response = event.request.respond(200, to_tag=event.transaction.to_tag)
                layer.send_response(event.transaction, response, loop.time())
            for out, to in layer.messages_to_send():
                transports.send(out, to)

        transports = SipTransports([(kind, "127.0.0.1", 0)], received=received, hop_lost=lambda hop: None)
        await transports.start()
        try:
            port = transports.addresses[0][2]
            process = await asyncio.create_subprocess_exec(
                str(program),
                *("-vv", "-E", kind, "-s", f"sip:ask@127.0.0.1:{port}"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await asyncio.wait_for(process.communicate(), 20)
            assert b"SIP/2.0 200 OK" in output, output.decode(errors="replace")
            assert process.returncode == 0
        finally:
            await transports.close()

    run(story)
