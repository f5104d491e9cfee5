"""What tests of the gateway do with a call, in place of a flow."""

from __future__ import annotations

from collections.abc import Callable

from gateway.call import CallerLeft, CallEvent, LegAnswered, LegEnded, Target
from gateway.media.tone import tone
from tests.gateway.exchange import Owned

__all__ = ["HELLO_HZ", "rings_a_seat", "says_hello"]

HELLO_HZ = 440


def says_hello(owned: Owned) -> None:
    """Answer, and play a tone."""

    def react(event: CallEvent) -> None:
        if isinstance(event, CallerLeft):
            owned.call.hangup()

    owned.react = react
    owned.call.answer()
    owned.call.play(1, [tone(HELLO_HZ, 60_000)])


def rings_a_seat(seat: str, *, answering: bool = True) -> Callable[[Owned], None]:
    """Ring a seat and put it through; the call is answered at once, or when the seat answers."""

    def ring(owned: Owned) -> None:
        def react(event: CallEvent) -> None:
            if isinstance(event, LegAnswered):
                owned.call.answer()
                owned.call.connect("seat")
            elif isinstance(event, LegEnded | CallerLeft):
                owned.call.hangup()

        owned.react = react
        if answering:
            owned.call.answer()
        else:
            owned.call.ringing()
        owned.call.dial("seat", Target("sip", seat))

    return ring
