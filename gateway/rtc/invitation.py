"""Invitations: how one side asks the other to talk, and how that comes out. Two machines, one a side.

Everything that decides what becomes of an invitation stands in this file, and it stands in tables. No sockets, no
clock, no ids: inputs and the time come in, acts come out. ``docs/rtc-invitations.md`` is made from the tables.

Theory
======

LocalInvitation is the half of who calls:

    IDLE                made, not sent
    SENT_TO_REMOTE      under way; RECEIVE gives up after 30 s without a sign of the callee, EXPIRE after 60 s
    RECEIVED_BY_REMOTE  the callee's device has it and asks its user; EXPIRE runs on
    ACCEPTED            the callee took it, and was told that we know (CONFIRM)
    REFUSED CANCELLED FAILED

RemoteInvitation is the half of who is called:

    IDLE                nothing came yet
    RECEIVED            it came, and the caller was told so; EXPIRE gives up when the caller does
    ACCEPT_SENT         our user took it; CONFIRMED gives up if the caller does not say that he knows
    ACCEPTED            he knows: both sides have a call
    REFUSED CANCELLED FAILED

The last four states are the end of an invitation, not of a call: that hangs up by other means. What a table does
not name does nothing; so are repetitions absorbed. Where an end was decided and the other side shows that it does
not know, it is told again.

Messages may be lost, doubled and overtaken. Two rules hold all the same: nobody is in a call who was not accepted
or did not accept, and every half comes to an end by itself, since every state before the end has a timer. One thing
no protocol can exclude: the caller has a call and his CONFIRM is lost for good. Then the callee's half fails by
ACCEPT_FAILED and says REFUSE; a caller who hears that after his ACCEPTED hangs up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

__all__ = [
    "LOCAL",
    "REMOTE",
    "Act",
    "Error",
    "ErrorWord",
    "Input",
    "Invitation",
    "LocalInvitation",
    "Machine",
    "Move",
    "RemoteInvitation",
    "State",
    "Times",
]


ErrorWord = Literal["peer_offline", "no_response", "expired", "not_logged_in", "accept_failed"]


class State(Enum):
    IDLE = "idle"
    SENT_TO_REMOTE = "sent_to_remote"
    RECEIVED_BY_REMOTE = "received_by_remote"
    RECEIVED = "received"
    ACCEPT_SENT = "accept_sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (State.ACCEPTED, State.REFUSED, State.CANCELLED, State.FAILED)


class Error(Enum):
    """Why an invitation failed."""

    PEER_OFFLINE = "peer_offline"
    NO_RESPONSE = "no_response"
    EXPIRED = "expired"
    NOT_LOGGED_IN = "not_logged_in"
    ACCEPT_FAILED = "accept_failed"

    @property
    def word(self) -> ErrorWord:
        return self.value


class Input(Enum):
    """What moves an invitation: its user, the other side, circumstances, timers."""

    SEND = "user sends"
    CANCEL = "user cancels"
    ACCEPT = "user accepts"
    REFUSE = "user refuses"
    INVITE_CAME = "INVITE came"
    RECEIVED_CAME = "RECEIVED came"
    ACCEPT_CAME = "ACCEPT came"
    REFUSE_CAME = "REFUSE came"
    CANCEL_CAME = "CANCEL came"
    CONFIRM_CAME = "CONFIRM came"
    PEER_GONE = "the other side is gone"
    LOGGED_OUT = "own session is over"
    NOT_RECEIVED = "RECEIVE is over, the other side was reachable"
    NOT_REACHED = "RECEIVE is over, the other side was not reachable"
    EXPIRED = "EXPIRE is over"
    NOT_CONFIRMED = "CONFIRMED is over"


class Act(Enum):
    """What a move does besides changing the state."""

    INVITE = "send INVITE"
    RECEIVED = "send RECEIVED"
    ACCEPT = "send ACCEPT"
    REFUSE = "send REFUSE"
    CANCEL = "send CANCEL"
    CONFIRM = "send CONFIRM"
    HANG_UP = "hang up"


class Timer(Enum):
    RECEIVE = "RECEIVE"
    EXPIRE = "EXPIRE"
    CONFIRMED = "CONFIRMED"


@dataclass(frozen=True, slots=True)
class Move:
    state: State
    acts: tuple[Act, ...] = ()
    error: Error | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """One of the two: how it moves, which timers each state has."""

    name: str
    moves: dict[tuple[State, Input], Move]
    timers: dict[State, tuple[Timer, ...]]


def _failed(error: Error, *acts: Act) -> Move:
    return Move(State.FAILED, acts, error)


_S, _I, _A, _E = State, Input, Act, Error

LOCAL: Final = Machine(
    "LocalInvitation",
    {
        (_S.IDLE, _I.SEND): Move(_S.SENT_TO_REMOTE, (_A.INVITE,)),
        (_S.IDLE, _I.LOGGED_OUT): _failed(_E.NOT_LOGGED_IN),
        (_S.SENT_TO_REMOTE, _I.RECEIVED_CAME): Move(_S.RECEIVED_BY_REMOTE),
        # What said that it was received is lost or overtaken: an answer says it too.
        (_S.SENT_TO_REMOTE, _I.ACCEPT_CAME): Move(_S.ACCEPTED, (_A.CONFIRM,)),
        (_S.SENT_TO_REMOTE, _I.REFUSE_CAME): Move(_S.REFUSED),
        (_S.SENT_TO_REMOTE, _I.CANCEL): Move(_S.CANCELLED, (_A.CANCEL,)),
        (_S.SENT_TO_REMOTE, _I.NOT_RECEIVED): _failed(_E.NO_RESPONSE, _A.CANCEL),
        (_S.SENT_TO_REMOTE, _I.NOT_REACHED): _failed(_E.PEER_OFFLINE, _A.CANCEL),
        (_S.SENT_TO_REMOTE, _I.EXPIRED): _failed(_E.EXPIRED, _A.CANCEL),
        (_S.SENT_TO_REMOTE, _I.PEER_GONE): _failed(_E.PEER_OFFLINE, _A.CANCEL),
        (_S.SENT_TO_REMOTE, _I.LOGGED_OUT): _failed(_E.NOT_LOGGED_IN, _A.CANCEL),
        (_S.RECEIVED_BY_REMOTE, _I.ACCEPT_CAME): Move(_S.ACCEPTED, (_A.CONFIRM,)),
        (_S.RECEIVED_BY_REMOTE, _I.REFUSE_CAME): Move(_S.REFUSED),
        (_S.RECEIVED_BY_REMOTE, _I.CANCEL): Move(_S.CANCELLED, (_A.CANCEL,)),
        (_S.RECEIVED_BY_REMOTE, _I.EXPIRED): _failed(_E.EXPIRED, _A.CANCEL),
        (_S.RECEIVED_BY_REMOTE, _I.PEER_GONE): _failed(_E.PEER_OFFLINE, _A.CANCEL),
        (_S.RECEIVED_BY_REMOTE, _I.LOGGED_OUT): _failed(_E.NOT_LOGGED_IN, _A.CANCEL),
        (_S.ACCEPTED, _I.ACCEPT_CAME): Move(_S.ACCEPTED, (_A.CONFIRM,)),
        (_S.ACCEPTED, _I.REFUSE_CAME): Move(_S.ACCEPTED, (_A.HANG_UP,)),
        (_S.CANCELLED, _I.RECEIVED_CAME): Move(_S.CANCELLED, (_A.CANCEL,)),
        (_S.CANCELLED, _I.ACCEPT_CAME): Move(_S.CANCELLED, (_A.CANCEL,)),
        (_S.FAILED, _I.RECEIVED_CAME): Move(_S.FAILED, (_A.CANCEL,)),
        (_S.FAILED, _I.ACCEPT_CAME): Move(_S.FAILED, (_A.CANCEL,)),
    },
    {
        _S.SENT_TO_REMOTE: (Timer.RECEIVE, Timer.EXPIRE),
        _S.RECEIVED_BY_REMOTE: (Timer.EXPIRE,),
    },
)

REMOTE: Final = Machine(
    "RemoteInvitation",
    {
        (_S.IDLE, _I.INVITE_CAME): Move(_S.RECEIVED, (_A.RECEIVED,)),
        # It overtook its invitation, which must not ring any more.
        (_S.IDLE, _I.CANCEL_CAME): Move(_S.CANCELLED),
        (_S.RECEIVED, _I.INVITE_CAME): Move(_S.RECEIVED, (_A.RECEIVED,)),
        (_S.RECEIVED, _I.ACCEPT): Move(_S.ACCEPT_SENT, (_A.ACCEPT,)),
        (_S.RECEIVED, _I.REFUSE): Move(_S.REFUSED, (_A.REFUSE,)),
        (_S.RECEIVED, _I.CANCEL_CAME): Move(_S.CANCELLED),
        (_S.RECEIVED, _I.EXPIRED): _failed(_E.EXPIRED),
        (_S.RECEIVED, _I.PEER_GONE): _failed(_E.PEER_OFFLINE),
        (_S.RECEIVED, _I.LOGGED_OUT): _failed(_E.NOT_LOGGED_IN, _A.REFUSE),
        (_S.ACCEPT_SENT, _I.INVITE_CAME): Move(_S.ACCEPT_SENT, (_A.ACCEPT,)),
        (_S.ACCEPT_SENT, _I.CONFIRM_CAME): Move(_S.ACCEPTED),
        (_S.ACCEPT_SENT, _I.CANCEL_CAME): Move(_S.CANCELLED),
        (_S.ACCEPT_SENT, _I.NOT_CONFIRMED): _failed(_E.ACCEPT_FAILED, _A.REFUSE),
        (_S.ACCEPT_SENT, _I.PEER_GONE): _failed(_E.ACCEPT_FAILED, _A.REFUSE),
        (_S.ACCEPT_SENT, _I.LOGGED_OUT): _failed(_E.NOT_LOGGED_IN, _A.REFUSE),
        (_S.ACCEPTED, _I.INVITE_CAME): Move(_S.ACCEPTED, (_A.ACCEPT,)),
        (_S.REFUSED, _I.INVITE_CAME): Move(_S.REFUSED, (_A.REFUSE,)),
        (_S.FAILED, _I.INVITE_CAME): Move(_S.FAILED, (_A.REFUSE,)),
        (_S.FAILED, _I.CONFIRM_CAME): Move(_S.FAILED, (_A.REFUSE,)),
    },
    {
        _S.RECEIVED: (Timer.EXPIRE,),
        _S.ACCEPT_SENT: (Timer.CONFIRMED,),
    },
)


@dataclass(frozen=True, slots=True)
class Times:
    """How long the timers run. Seconds."""

    receive: float = 30.0
    expire: float = 60.0
    """From sending."""
    confirmed: float = 30.0

    def of(self, timer: Timer) -> float:
        if timer is Timer.RECEIVE:
            return self.receive
        return self.expire if timer is Timer.EXPIRE else self.confirmed


class Invitation:
    """One half of an invitation: its state, why it failed, its timers."""

    __slots__ = ("_running", "_times", "error", "machine", "peer_reachable", "state")

    def __init__(self, machine: Machine, times: Times) -> None:
        self.machine = machine
        self.state = State.IDLE
        self.error: Error | None = None
        self.peer_reachable = True
        """Owner's to set: tells an other side that is silent from one that is not there."""
        self._times = times
        self._running: dict[Timer, float] = {}

    def handle(self, what: Input, now: float) -> tuple[Act, ...]:
        """Move, and say what is to be done; nothing, if the table does not name it."""
        move = self.machine.moves.get((self.state, what))
        if move is None:
            return ()
        if move.state is not self.state:
            self.state = move.state
            self.error = move.error
            timers = self.machine.timers.get(move.state, ())
            # A state owns its timers; one that the next state has as well goes on.
            self._running = {timer: self._running.get(timer, now + self._times.of(timer)) for timer in timers}
        return move.acts

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; None in the end."""
        return min(self._running.values(), default=None)

    def handle_timer(self, now: float) -> tuple[Act, ...]:
        """Do what is due."""
        for timer, when in self._running.items():
            if when <= now:
                return self.handle(self._input_of(timer), now)
        return ()

    def _input_of(self, timer: Timer) -> Input:
        if timer is Timer.RECEIVE:
            return Input.NOT_RECEIVED if self.peer_reachable else Input.NOT_REACHED
        return Input.EXPIRED if timer is Timer.EXPIRE else Input.NOT_CONFIRMED

    def __repr__(self) -> str:
        return f"<{self.machine.name} {self.state.value}>"


class LocalInvitation(Invitation):
    """The half of who calls."""

    __slots__ = ()

    def __init__(self, times: Times | None = None) -> None:
        super().__init__(LOCAL, times or Times())


class RemoteInvitation(Invitation):
    """The half of who is called."""

    __slots__ = ()

    def __init__(self, times: Times | None = None) -> None:
        super().__init__(REMOTE, times or Times())
