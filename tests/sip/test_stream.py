"""Streams: the same messages whatever the pieces, keep-alives between them, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.message import MAX_MESSAGE_BYTES
from gateway.sip.stream import MAX_HEAD_BYTES, FramingError, KeepAlive, StreamFramer

ONE = b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n"
TWO = b"MESSAGE sip:a SIP/2.0\r\nSubject: x\r\n Content-Length: 99\r\nContent-Length :\r\n 9\r\n\r\n\r\n\r\nl: 5\n"
PING = b"\r\n\r\n"
PONG = b"\r\n"
Items = list[bytes | KeepAlive | FramingError]


def feed(*pieces: bytes) -> Items:
    framer = StreamFramer()
    return [item for piece in pieces for item in framer.feed(piece)]


def test_messages_and_keep_alives() -> None:
    assert feed(ONE + TWO + ONE) == [ONE, TWO, ONE]
    assert feed(PING + ONE + PONG + ONE + PING + PING) == [
        KeepAlive.PONG,
        KeepAlive.PING,
        ONE,
        KeepAlive.PONG,
        ONE,
        KeepAlive.PONG,
        KeepAlive.PING,
        KeepAlive.PONG,
        KeepAlive.PING,
    ]


def test_a_body_may_look_like_anything() -> None:
    body = b"\r\n\r\nINVITE sip:b SIP/2.0\r\nl: 7\r\n\r\n"
    message = b"MESSAGE sip:a SIP/2.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert feed(message + ONE) == [message, ONE]


@given(st.lists(st.sampled_from([ONE, TWO, PING, PONG]), max_size=5), st.data())
def test_all_splits(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    whole = feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert feed(*pieces) == whole
    assert feed(*[stream[index : index + 1] for index in range(len(stream))]) == whole


def test_unfinished() -> None:
    framer = StreamFramer()
    states = [framer.unfinished]
    for piece in (ONE[:-1], ONE[-1:]):
        framer.feed(piece)
        states.append(framer.unfinished)
    assert states == [False, True, False]


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: \r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: 1, 1\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: 99999\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\nl: 999999999999999999999\r\n\r\n",
        b"\rX",
        b"x" * (MAX_HEAD_BYTES + 1),
        b"x" * MAX_HEAD_BYTES + b"y\r\n\r\n",
    ],
)
def test_where_nothing_can_be_cut_any_more(data: bytes) -> None:
    framer = StreamFramer()
    framer.feed(ONE)
    (error,) = framer.feed(data)
    assert isinstance(error, FramingError)
    assert framer.broken
    assert framer.feed(ONE) == []
    assert not framer.unfinished


def test_the_largest_message_passes() -> None:
    head = b"MESSAGE sip:a SIP/2.0\r\nl: 65000\r\n\r\n"
    assert feed(head + b"x" * 65000) == [head + b"x" * 65000]
    size = MAX_MESSAGE_BYTES - len(head)
    assert len(feed(head.replace(b"65000", b"%d" % size) + b"x" * size)[0]) == MAX_MESSAGE_BYTES  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_noise(pieces: list[bytes]) -> None:
    framer = StreamFramer()
    for piece in pieces:
        for item in framer.feed(piece):
            assert isinstance(item, bytes | KeepAlive | FramingError)
