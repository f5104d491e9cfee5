"""Transactions: one request, its retransmissions and its responses (RFC 3261 section 17, RFC 6026).

Everything that decides when a message is repeated, absorbed, delivered or given up stands in this file, and it
stands in tables. No sockets and no clock: bytes, messages and the time come in; bytes and events go out.

Theory
======

There are four machines. A client transaction begins with a request that we send, a server transaction with one
that we receive; INVITE has its own two because people answer it slowly and because its answer is acknowledged.

Client, INVITE (RFC 3261 figure 5, RFC 6026 figure 3)

    CALLING     the request is repeated (A: T1, doubling) until anything comes; B gives up after 64*T1
    PROCEEDING  a provisional came: a phone may ring as long as it likes; only C, minutes, bounds it
    COMPLETED   a refusal came and was acknowledged here; D: each repetition is acknowledged again
    ACCEPTED    a 2xx came; M: every further 2xx, repeated or from another fork, goes to the user, who sends ACK

Client, other (figure 6)

    TRYING      repeated (E: T1, doubling to T2) until a final response comes; F gives up after 64*T1
    PROCEEDING  a provisional came: repeated every T2, F still runs
    COMPLETED   K: repetitions of the final response are absorbed

Server, INVITE (figure 7, RFC 6026 figure 5)

    PROCEEDING  the user has it; repetitions get the last provisional; 100 goes out if the user takes 200 ms
    COMPLETED   the user refused: that is repeated (G: T1, doubling to T2) until ACK comes; H gives up
    CONFIRMED   the ACK came; I: its repetitions are absorbed
    ACCEPTED    the user sent 2xx; L: repeated INVITEs are absorbed, ACKs go to the user, who repeats the 2xx

Server, other (figure 8)

    TRYING      the user has it and said nothing: repetitions are absorbed
    PROCEEDING  the user said something provisional: repetitions get it again
    COMPLETED   J: repetitions get the final response again

TERMINATED means forgotten. A state owns its timers: they start when it is entered and stop when it is left,
unless the next state has them too (F). What a table does not name does nothing: that is how repetitions and
late messages are absorbed. On transports that repeat by themselves A, E and G do not run and D, I, J and K
take no time.

Three timers are not in the figures. TRY (17.2.1) is the 200 ms before our own 100. CANCELLED (9.1) gives up a
cancelled INVITE whose other side says nothing any more. ABANDONED drops a server transaction whose user never
answered: after 64*T1 no client listens (RFC 4320 section 2).

A 2xx to INVITE is the user's in both directions: who receives it sends ACK (`send_ack`), who sends it repeats it
until the ACK comes. No transaction knows that ACK: it has a branch of its own.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Final

from gateway.deadlines import Deadlines
from gateway.sip.grammar import SipParseError
from gateway.sip.header import BRANCH_COOKIE, Via
from gateway.sip.hop import Hop
from gateway.sip.message import Message, Request, Response, parse_message
from gateway.sip.screen import screen


class State(Enum):
    # Members are keys in every step; a hash by identity needs no Python code.
    __hash__ = object.__hash__

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Timer(Enum):
    """By the letters of RFC 3261 table 4 and RFC 6026, and the three more of this file's theory."""

    __hash__ = object.__hash__

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741  # the RFC's name
    J = "J"
    K = "K"
    L = "L"
    M = "M"
    TRY = "TRY"
    CANCELLED = "CANCELLED"
    ABANDONED = "ABANDONED"


class Input(Enum):
    """What moves a transaction, besides its timers."""

    __hash__ = object.__hash__

    REQUEST = "request repeated"
    ACK = "ACK received"
    R1XX = "1xx received"
    R2XX = "2xx received"
    R3XX = "3xx-6xx received"
    SEND_1XX = "1xx from user"
    SEND_2XX = "2xx from user"
    SEND_3XX = "3xx-6xx from user"
    FAILED = "transport failed"


class Do(Enum):
    """What a move does."""

    SEND = "send the request"
    ACK = "send ACK"
    CANCEL = "send CANCEL"
    HURRY = "start timer C again"
    TRY = "send 100"
    REPLY = "send the last response"
    AGAIN = "start the timer again"
    DELIVER = "give the message to the user"
    TIMEOUT = "tell the user of the time-out"
    FAIL = "tell the user of the transport's failure"


Moves = dict[tuple[State, Input | Timer], tuple[State, tuple[Do, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """One of the four: where it begins, how it moves, which timers each state starts."""

    name: str
    initial: State
    moves: Moves
    timers: dict[State, tuple[Timer, ...]]


CLIENT_INVITE: Final = Machine(
    "client INVITE",
    State.CALLING,
    {
        (State.CALLING, Timer.A): (State.CALLING, (Do.SEND, Do.AGAIN)),
        (State.CALLING, Timer.B): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.CALLING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.CALLING, Input.R1XX): (State.PROCEEDING, (Do.DELIVER,)),
        (State.CALLING, Input.R2XX): (State.ACCEPTED, (Do.DELIVER,)),
        (State.CALLING, Input.R3XX): (State.COMPLETED, (Do.ACK, Do.DELIVER)),
        (State.PROCEEDING, Input.R1XX): (State.PROCEEDING, (Do.HURRY, Do.DELIVER)),
        (State.PROCEEDING, Input.R2XX): (State.ACCEPTED, (Do.DELIVER,)),
        (State.PROCEEDING, Input.R3XX): (State.COMPLETED, (Do.ACK, Do.DELIVER)),
        (State.PROCEEDING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.PROCEEDING, Timer.C): (State.PROCEEDING, (Do.CANCEL,)),
        (State.PROCEEDING, Timer.CANCELLED): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.COMPLETED, Input.R3XX): (State.COMPLETED, (Do.ACK,)),
        (State.COMPLETED, Timer.D): (State.TERMINATED, ()),
        (State.ACCEPTED, Input.R2XX): (State.ACCEPTED, (Do.DELIVER,)),
        (State.ACCEPTED, Timer.M): (State.TERMINATED, ()),
    },
    {
        State.CALLING: (Timer.A, Timer.B),
        State.PROCEEDING: (Timer.C,),
        State.COMPLETED: (Timer.D,),
        State.ACCEPTED: (Timer.M,),
    },
)

CLIENT_OTHER: Final = Machine(
    "client non-INVITE",
    State.TRYING,
    {
        (State.TRYING, Timer.E): (State.TRYING, (Do.SEND, Do.AGAIN)),
        (State.TRYING, Timer.F): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.TRYING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.TRYING, Input.R1XX): (State.PROCEEDING, (Do.DELIVER,)),
        (State.TRYING, Input.R2XX): (State.COMPLETED, (Do.DELIVER,)),
        (State.TRYING, Input.R3XX): (State.COMPLETED, (Do.DELIVER,)),
        (State.PROCEEDING, Timer.E): (State.PROCEEDING, (Do.SEND, Do.AGAIN)),
        (State.PROCEEDING, Timer.F): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.PROCEEDING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.PROCEEDING, Input.R1XX): (State.PROCEEDING, (Do.DELIVER,)),
        (State.PROCEEDING, Input.R2XX): (State.COMPLETED, (Do.DELIVER,)),
        (State.PROCEEDING, Input.R3XX): (State.COMPLETED, (Do.DELIVER,)),
        (State.COMPLETED, Timer.K): (State.TERMINATED, ()),
    },
    {
        State.TRYING: (Timer.E, Timer.F),
        State.PROCEEDING: (Timer.E, Timer.F),
        State.COMPLETED: (Timer.K,),
    },
)

SERVER_INVITE: Final = Machine(
    "server INVITE",
    State.PROCEEDING,
    {
        (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Do.REPLY,)),
        (State.PROCEEDING, Timer.TRY): (State.PROCEEDING, (Do.TRY,)),
        (State.PROCEEDING, Input.SEND_1XX): (State.PROCEEDING, (Do.REPLY,)),
        (State.PROCEEDING, Input.SEND_2XX): (State.ACCEPTED, (Do.REPLY,)),
        (State.PROCEEDING, Input.SEND_3XX): (State.COMPLETED, (Do.REPLY,)),
        (State.PROCEEDING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Do.REPLY,)),
        (State.COMPLETED, Timer.G): (State.COMPLETED, (Do.REPLY, Do.AGAIN)),
        (State.COMPLETED, Timer.H): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.COMPLETED, Input.ACK): (State.CONFIRMED, ()),
        (State.COMPLETED, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.CONFIRMED, Timer.I): (State.TERMINATED, ()),
        (State.ACCEPTED, Input.ACK): (State.ACCEPTED, (Do.DELIVER,)),
        (State.ACCEPTED, Input.SEND_2XX): (State.ACCEPTED, (Do.REPLY,)),
        (State.ACCEPTED, Timer.L): (State.TERMINATED, ()),
    },
    {
        State.PROCEEDING: (Timer.TRY,),
        State.COMPLETED: (Timer.G, Timer.H),
        State.CONFIRMED: (Timer.I,),
        State.ACCEPTED: (Timer.L,),
    },
)

SERVER_OTHER: Final = Machine(
    "server non-INVITE",
    State.TRYING,
    {
        (State.TRYING, Input.SEND_1XX): (State.PROCEEDING, (Do.REPLY,)),
        (State.TRYING, Input.SEND_2XX): (State.COMPLETED, (Do.REPLY,)),
        (State.TRYING, Input.SEND_3XX): (State.COMPLETED, (Do.REPLY,)),
        (State.TRYING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.TRYING, Timer.ABANDONED): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (Do.REPLY,)),
        (State.PROCEEDING, Input.SEND_1XX): (State.PROCEEDING, (Do.REPLY,)),
        (State.PROCEEDING, Input.SEND_2XX): (State.COMPLETED, (Do.REPLY,)),
        (State.PROCEEDING, Input.SEND_3XX): (State.COMPLETED, (Do.REPLY,)),
        (State.PROCEEDING, Input.FAILED): (State.TERMINATED, (Do.FAIL,)),
        (State.PROCEEDING, Timer.ABANDONED): (State.TERMINATED, (Do.TIMEOUT,)),
        (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Do.REPLY,)),
        (State.COMPLETED, Timer.J): (State.TERMINATED, ()),
    },
    {
        State.TRYING: (Timer.ABANDONED,),
        State.PROCEEDING: (Timer.ABANDONED,),
        State.COMPLETED: (Timer.J,),
    },
)

MACHINES: Final = (CLIENT_INVITE, CLIENT_OTHER, SERVER_INVITE, SERVER_OTHER)

_ONLY_UNRELIABLE: Final = frozenset((Timer.A, Timer.E, Timer.G))
_NO_TIME_IF_RELIABLE: Final = frozenset((Timer.D, Timer.I, Timer.J, Timer.K))

TRY_AFTER: Final = 0.2
"""Seconds that the user may be silent before 100 goes out (RFC 3261 17.2.1)."""
LINGER: Final = 32.0
"""Seconds, at least, of timer D on UDP (RFC 3261 17.1.1.2)."""
RETRY_AFTER: Final = 5
"""Seconds that those are asked to wait who come when the table is full."""


class Transaction:
    """What both sides share. Made by the layer; `owner` is the user's to set."""

    __slots__ = ("_indexed", "_interval", "_key", "_running", "hop", "machine", "owner", "request", "state")

    def __init__(self, machine: Machine, request: Request, hop: Hop) -> None:
        self.machine = machine
        self.request = request
        self.hop = hop
        """Client: where the request goes. Server: where the responses go, which need not be whence it came."""
        self.state = machine.initial
        self.owner: object | None = None
        self._key: tuple[object, ...] = ()
        self._interval = 0.0
        self._indexed = False
        self._running: set[Timer] = set()

    @property
    def is_invite(self) -> bool:
        return self.machine is CLIENT_INVITE or self.machine is SERVER_INVITE

    def __repr__(self) -> str:
        return f"<{self.machine.name} {self.request.method} {self.state.value} {self.hop}>"


class ClientTransaction(Transaction):
    """A request of ours on its way."""

    __slots__ = ("_ack", "_cancel", "_internal", "_wire")

    def __init__(self, machine: Machine, request: Request, hop: Hop) -> None:
        super().__init__(machine, request, hop)
        self._wire = b""
        self._ack = b""
        self._cancel: tuple[tuple[str, str], ...] | None = None
        self._internal = False

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was asked for; the CANCEL itself may still wait for a provisional response."""
        return self._cancel is not None


class ServerTransaction(Transaction):
    """A request to us, being answered."""

    __slots__ = ("_merge", "_wire", "is_cancelled", "status", "to_tag")

    def __init__(self, machine: Machine, request: Request, hop: Hop, to_tag: str) -> None:
        super().__init__(machine, request, hop)
        self.to_tag = to_tag
        """A fresh tag for the To of our responses; the layer uses it in what it answers by itself."""
        self.status = 0
        """Of the last response sent; 0 before the first."""
        self.is_cancelled = False
        self._wire = b""
        self._merge: tuple[str, str, int, str] | None = None


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request, once: neither repetitions nor ACK nor CANCEL come so. Answer with `send_response`."""

    transaction: ServerTransaction
    request: Request
    """Its top Via says already where it came from (`received`, `rport`)."""
    hop: Hop
    """Where it came from."""


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """The caller gives up an INVITE that has no final response yet; answer that with 487 (RFC 3261 9.2)."""

    transaction: ServerTransaction
    """Of the INVITE."""
    request: Request
    """The CANCEL, answered already: it may say why (Reason, RFC 3326)."""


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The ACK of a 2xx; each time it comes. Those of refusals stay in their transactions."""

    request: Request
    hop: Hop


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """Every provisional and the final response; after a 2xx to INVITE every 2xx that still comes, repeated or
    from another fork: each wants an ACK (RFC 3261 13.2.2.4)."""

    transaction: ClientTransaction
    response: Response


@dataclass(frozen=True, slots=True)
class TransactionTimedOut:
    """Client: nobody answered (B, F), or a cancelled INVITE never ended: treat as 408. Server: the refusal of
    an INVITE was never acknowledged (H), or the user never answered. The transaction is gone."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The hop cannot be reached any more; client: treat as 503 (RFC 3261 8.1.3.1). The transaction is gone."""

    transaction: Transaction


TransactionEvent = (
    RequestReceived | CancelReceived | AckReceived | ResponseReceived | TransactionTimedOut | TransportFailed
)


class TransactionLayer:
    """Owns all transactions, what they have to send and what they have to tell.

    Bytes in: `receive`. Bytes out: `messages_to_send`. Time: `next_timer`, `handle_timer`. News: `next_event`.
    After each call of the first three kinds take what there is from the others. Times are seconds of one
    monotonic clock.
    """

    def __init__(
        self,
        *,
        random: Callable[[], str] = lambda: secrets.token_hex(8),
        sent_by: Callable[[Hop], tuple[str, int | None]] | None = None,
        t1: float = 0.5,
        t2: float = 4.0,
        t4: float = 5.0,
        timer_c: float = 600.0,
        limit: int = 20_000,
    ) -> None:
        """`random` gives tokens nobody can guess, for branches and tags. `sent_by` gives the host and port that
        others should answer to when we send to a hop; without it that is the hop's `local`. `timer_c`: how long
        an INVITE of ours may go without any response after its last provisional one, before it is cancelled.
        `limit`: beyond so many transactions new calls are refused with 503, without remembering them; what
        belongs to existing dialogs is let in up to a quarter more.
        """
        self._random = random
        self._sent_by = sent_by
        self._t2 = t2
        self._durations: dict[Timer, float] = {
            Timer.A: t1,
            Timer.B: 64 * t1,
            Timer.C: timer_c,
            Timer.D: max(LINGER, 64 * t1),
            Timer.E: t1,
            Timer.F: 64 * t1,
            Timer.G: t1,
            Timer.H: 64 * t1,
            Timer.I: t4,
            Timer.J: 64 * t1,
            Timer.K: t4,
            Timer.L: 64 * t1,
            Timer.M: 64 * t1,
            Timer.TRY: TRY_AFTER,
            Timer.CANCELLED: 64 * t1,
            Timer.ABANDONED: 64 * t1,
        }
        self._limit = limit
        self._hard_limit = limit + limit // 4
        self._secret = random().encode()
        self._clients: dict[tuple[object, ...], ClientTransaction] = {}
        self._servers: dict[tuple[object, ...], ServerTransaction] = {}
        self._merged: dict[tuple[str, str, int, str], ServerTransaction] = {}
        self._by_hop: dict[Hop, set[Transaction]] = {}
        self._timers: Deadlines[tuple[Transaction, Timer]] = Deadlines()
        self._outbox: list[tuple[bytes, Hop]] = []
        self._events: deque[TransactionEvent] = deque()

    def __len__(self) -> int:
        """How many transactions there are."""
        return len(self._clients) + len(self._servers)

    @property
    def timers_stored(self) -> int:
        """How many timers are kept, dead ones too: for statistics."""
        return self._timers.stored

    def new_branch(self) -> str:
        return BRANCH_COOKIE + self._random()

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called; None: not before something else happens."""
        return self._timers.next()

    def handle_timer(self, now: float) -> None:
        while (due := self._timers.pop_due(now)) is not None:
            transaction, timer = due
            transaction._running.discard(timer)
            self._move(transaction, timer, now)

    def messages_to_send(self) -> list[tuple[bytes, Hop]]:
        """In their order; they are handed over once."""
        outbox = self._outbox
        self._outbox = []
        return outbox

    @property
    def messages_waiting(self) -> bool:
        """Whether `messages_to_send` has any."""
        return bool(self._outbox)

    def next_event(self) -> TransactionEvent | None:
        return self._events.popleft() if self._events else None

    # What comes from the wire

    def receive(self, data: bytes | Message, hop: Hop, now: float) -> None:
        """Take one message that came from `hop`. What is no SIP is answered if it can be, or dropped."""
        try:
            message = parse_message(data) if isinstance(data, bytes) else data
        except SipParseError as error:
            if error.request is not None and error.status:
                self._refuse(error.request, hop, error.status, str(error))
            return
        if isinstance(message, Response):
            self._receive_response(message, now)
        elif isinstance(message, Request):
            try:
                self._receive_request(message, hop, now)
            except SipParseError as error:
                if error.status:
                    self._refuse(message, hop, error.status, str(error))

    def _receive_response(self, response: Response, now: float) -> None:
        try:
            vias = response.vias
            transaction = self._clients.get((vias[0].branch, response.cseq.method))
            if transaction is None or len(vias) > 1:
                # With a second Via it was meant for somebody beyond us (RFC 3261 8.1.3.3).
                return
            _ = response.to
        except SipParseError:
            return
        status = response.status
        moved = Input.R1XX if status < 200 else Input.R2XX if status < 300 else Input.R3XX
        waiting = transaction.state is State.CALLING and moved is Input.R1XX and transaction._cancel is not None
        self._move(transaction, moved, now, response)
        if waiting:
            self._send_cancel(transaction, now)

    def _receive_request(self, request: Request, hop: Hop, now: float) -> None:
        via = request.top_via
        method = request.method
        key = self._server_key(request, via, "INVITE" if method == "ACK" else method)
        transaction = self._servers.get(key)
        if method == "ACK":
            self._receive_ack(request, hop, transaction, now)
            return
        if transaction is not None:
            self._move(transaction, Input.REQUEST, now, request)
            return
        request._note_source(via.seen_from(hop.host, hop.port))
        screen(request)
        in_dialog = request.to.tag is not None
        if len(self) >= (self._hard_limit if in_dialog else self._limit):
            self._refuse(request, hop, 503, "too many transactions", [("Retry-After", str(RETRY_AFTER))])
            return
        merge = None
        if method != "CANCEL" and not in_dialog and (from_tag := request.from_.tag) is not None:
            merge = (request.call_id, from_tag, request.cseq.number, method)
            other = self._merged.get(merge)
            if other is not None and other.status < 300:
                # The same request over another path (RFC 3261 8.2.2.2). A refused one does not count: a proxy
                # that tries its branches one after the other comes back here with good reason.
                self._refuse(request, hop, 482, "merged request")
                return
        machine = SERVER_INVITE if method == "INVITE" else SERVER_OTHER
        transaction = ServerTransaction(machine, request, _response_hop(via, hop), self._random())
        transaction._key = key
        self._servers[key] = transaction
        if merge is not None:
            transaction._merge = merge
            self._merged[merge] = transaction
        self._enter(transaction, machine.initial, now)
        if method == "CANCEL":
            self._receive_cancel(request, via, transaction, now)
        else:
            self._events.append(RequestReceived(transaction, request, hop))

    def _receive_ack(self, ack: Request, hop: Hop, transaction: ServerTransaction | None, now: float) -> None:
        _ = ack.from_, ack.to
        if transaction is not None:
            self._move(transaction, Input.ACK, now, ack, hop)
        elif ack.to.tag != self._stateless_tag(ack):
            self._events.append(AckReceived(ack, hop))

    def _receive_cancel(self, cancel: Request, via: Via, transaction: ServerTransaction, now: float) -> None:
        invite = self._servers.get(self._server_key(cancel, via, "INVITE"))
        if invite is None:
            self.send_response(transaction, cancel.respond(481, to_tag=transaction.to_tag), now)
            return
        self.send_response(transaction, cancel.respond(200, to_tag=invite.to_tag), now)
        if invite.state is State.PROCEEDING and not invite.is_cancelled:
            invite.is_cancelled = True
            self._events.append(CancelReceived(invite, cancel))

    def _server_key(self, request: Request, via: Via, method: str) -> tuple[object, ...]:
        """RFC 3261 17.2.3: the branch and who made it; without a branch to rely on, all that RFC 2543 has."""
        if via.is_unique:
            return (via.branch, via.host, via.port, method)
        cseq = request.cseq
        return (
            request.uri_text,
            request.from_.tag,
            request.call_id,
            cseq.number,
            via.host,
            via.port,
            via.branch,
            method,
        )

    def _refuse(
        self, request: Request, hop: Hop, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Answer without remembering (RFC 3261 8.2.7), if the request has what an answer needs."""
        if request.method == "ACK" or not all(name in request.headers for name in _NEEDED):
            return
        request.headers._drop_repeated()
        try:
            via = request.top_via
            to_hop = _response_hop(via, hop)
            request._note_source(via.seen_from(hop.host, hop.port))
        except SipParseError:
            # Its Via is what is wrong: back to where it came from.
            to_hop = hop
        try:
            tag = self._stateless_tag(request) if request.to.tag is None else None
        except SipParseError:
            tag = None
        # The words are ours, never the sender's, but they may quote what it wrote.
        details = [("Warning", f'399 gateway "{reason}"')] if reason.isascii() and reason.isprintable() else []
        response = request.respond(status, to_tag=tag, headers=[*headers, *details])
        self._outbox.append((response.encode(), to_hop))

    def _stateless_tag(self, request: Request) -> str:
        """The same for every repetition of a request and for its ACK, and known to nobody else."""
        branch = request.headers.get("via") or ""
        text = f"{request.call_id}\n{branch.partition('branch=')[2].partition(';')[0]}"
        return blake2b(text.encode("utf-8", "surrogateescape"), key=self._secret[:64], digest_size=8).hexdigest()

    # What comes from the user

    def send_request(self, request: Request, hop: Hop, now: float) -> ClientTransaction:
        """Send any request but ACK and CANCEL. A Via is put on top if there is none, and Max-Forwards if
        missing: a request is sent once, its repetition with credentials or to another hop is a new one.

        ValueError if it cannot be sent so: a Via without branch, no address of ours for that hop.
        """
        if request.method in ("ACK", "CANCEL"):
            raise ValueError(f"{request.method} is not sent as a request of its own")
        self._complete(request, hop)
        transaction = ClientTransaction(CLIENT_INVITE if request.method == "INVITE" else CLIENT_OTHER, request, hop)
        self._start(transaction, now)
        return transaction

    def _start(self, transaction: ClientTransaction, now: float) -> None:
        request = transaction.request
        transaction._key = (request.top_via.branch, request.method)
        transaction._wire = request.encode()
        self._clients[transaction._key] = transaction
        self._outbox.append((transaction._wire, transaction.hop))
        self._enter(transaction, transaction.machine.initial, now)

    def send_ack(self, ack: Request, hop: Hop) -> None:
        """Send the ACK of a 2xx: no transaction, to be sent again for each repetition of the 2xx. The Via, with
        a branch of its own, is put on it the first time."""
        self._complete(ack, hop)
        self._outbox.append((ack.encode(), hop))

    def _complete(self, request: Request, hop: Hop) -> None:
        if "via" in request.headers:
            if not request.top_via.is_unique:
                raise ValueError("a request of ours needs a branch that is its own")
        else:
            if self._sent_by is not None:
                host, port = self._sent_by(hop)
            elif hop.local is not None:
                host, port = hop.local
            else:
                raise ValueError(f"no address of ours is known for {hop}")
            via = Via.build(hop.transport, host, port, self.new_branch())
            request.headers.prepend("Via", str(via))
        if "max-forwards" not in request.headers:
            request.headers.add("Max-Forwards", "70")

    def send_response(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Send a response, provisional or final. After a final one only the repetition of a 2xx to INVITE goes
        out; anything else comes too late and does nothing."""
        status = response.status
        given = Input.SEND_1XX if status < 200 else Input.SEND_2XX if status < 300 else Input.SEND_3XX
        self._move(transaction, given, now, response)

    def cancel(self, transaction: ClientTransaction, now: float, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Give up an INVITE of ours (RFC 3261 9.1). The CANCEL waits for a provisional response; after a final
        one, and for anything but INVITE, nothing happens. The INVITE's own final response (487, or a 2xx that
        crossed) comes as ever; if none comes within 64*T1, TransactionTimedOut."""
        if transaction.machine is not CLIENT_INVITE or transaction._cancel is not None:
            return
        if transaction.state is State.CALLING:
            transaction._cancel = tuple(headers)
        elif transaction.state is State.PROCEEDING:
            transaction._cancel = tuple(headers)
            self._send_cancel(transaction, now)

    def _send_cancel(self, invite: ClientTransaction, now: float) -> None:
        if invite.state is not State.PROCEEDING:
            return
        cancel = self._same_hop_request(invite, "CANCEL", invite.request.headers.get("to") or "")
        for name, value in invite._cancel or ():
            cancel.headers.add(name, value)
        transaction = ClientTransaction(CLIENT_OTHER, cancel, invite.hop)
        transaction._internal = True
        self._start(transaction, now)
        self._run(invite, Timer.CANCELLED, now, self._durations[Timer.CANCELLED])

    def _same_hop_request(self, invite: ClientTransaction, method: str, to: str) -> Request:
        """CANCEL (9.1) and the ACK of a refusal (17.1.1.3) go the INVITE's way under the INVITE's branch."""
        request = invite.request
        fields = [("Via", str(request.top_via))]
        fields += [("Route", line) for line in request.headers.get_all("route")]
        fields += [
            ("From", request.headers.get("from") or ""),
            ("To", to),
            ("Call-ID", request.call_id),
            ("CSeq", f"{request.cseq.number} {method}"),
            ("Max-Forwards", "70"),
        ]
        return Request(method, request.uri, fields)

    def transport_failed(self, hop: Hop, now: float) -> None:
        """A connection broke or could not be made: what depends on it moves on or ends. (What was lost on UDP
        is not known to be lost; timers see to that.)"""
        for transaction in list(self._by_hop.get(hop, ())):
            if isinstance(transaction, ServerTransaction) and self._reroute(transaction):
                continue
            self._move(transaction, Input.FAILED, now)

    def _reroute(self, transaction: ServerTransaction) -> bool:
        """A response whose connection is gone may go over a new one to the address in Via (RFC 3261 18.2.2)."""
        hop = transaction.hop
        if hop.connection is None or hop.transport not in ("tcp", "tls"):
            return False
        via = transaction.request.top_via
        self._index(transaction, False)
        default = 5061 if hop.transport == "tls" else 5060
        transaction.hop = Hop(hop.transport, hop.host, via.port or default, None, hop.local)
        self._index(transaction, True)
        return True

    # The walk through the tables

    def _move(
        self,
        transaction: Transaction,
        cause: Input | Timer,
        now: float,
        message: Message | None = None,
        hop: Hop | None = None,
    ) -> None:
        move = transaction.machine.moves.get((transaction.state, cause))
        if move is None:
            return
        state, actions = move
        for action in actions:
            self._act(transaction, action, cause, now, message, hop)
        if state is not transaction.state:
            self._enter(transaction, state, now)

    def _act(
        self,
        transaction: Transaction,
        action: Do,
        cause: Input | Timer,
        now: float,
        message: Message | None,
        hop: Hop | None,
    ) -> None:
        if action is Do.TIMEOUT:
            self._tell(transaction, TransactionTimedOut(transaction))
        elif action is Do.FAIL:
            self._tell(transaction, TransportFailed(transaction))
        elif action is Do.AGAIN and isinstance(cause, Timer):
            self._run(transaction, cause, now, self._next_interval(transaction, cause))
        elif isinstance(transaction, ServerTransaction):
            if action is Do.REPLY:
                if isinstance(message, Response):
                    transaction._wire = message.encode()
                    transaction.status = message.status
                    # What the user said makes our own 100 needless.
                    self._stop(transaction, Timer.TRY)
                if transaction._wire:
                    self._outbox.append((transaction._wire, transaction.hop))
            elif action is Do.TRY:
                # With its Timestamp back the caller can tell how long the way is (RFC 3261 8.2.6.1).
                stamp = transaction.request.headers.get("timestamp")
                headers = [] if stamp is None or not stamp.isprintable() else [("Timestamp", stamp)]
                transaction._wire = transaction.request.respond(100, headers=headers).encode()
                transaction.status = 100
                self._outbox.append((transaction._wire, transaction.hop))
            elif action is Do.DELIVER and isinstance(message, Request):
                self._events.append(AckReceived(message, hop or transaction.hop))
        elif isinstance(transaction, ClientTransaction):
            if action is Do.DELIVER and isinstance(message, Response):
                self._tell(transaction, ResponseReceived(transaction, message))
            elif action is Do.SEND:
                self._outbox.append((transaction._wire, transaction.hop))
            elif action is Do.ACK:
                if isinstance(message, Response) and not transaction._ack:
                    to = str(message.to)
                    transaction._ack = self._same_hop_request(transaction, "ACK", to).encode()
                self._outbox.append((transaction._ack, transaction.hop))
            elif action is Do.HURRY:
                self._run(transaction, Timer.C, now, self._durations[Timer.C])
            elif action is Do.CANCEL:
                self.cancel(transaction, now)

    def _tell(self, transaction: Transaction, event: TransactionEvent) -> None:
        # A CANCEL of ours is this layer's affair: the user hears of the INVITE.
        if not (isinstance(transaction, ClientTransaction) and transaction._internal):
            self._events.append(event)

    def _enter(self, transaction: Transaction, state: State, now: float) -> None:
        transaction.state = state
        starting = transaction.machine.timers.get(state, ())
        for timer in [timer for timer in transaction._running if timer not in starting]:
            self._stop(transaction, timer)
        reliable = transaction.hop.reliable
        for timer in starting:
            if reliable and timer in _NO_TIME_IF_RELIABLE:
                state = State.TERMINATED
            elif timer not in transaction._running and not (reliable and timer in _ONLY_UNRELIABLE):
                transaction._interval = self._durations[timer] if timer in _ONLY_UNRELIABLE else transaction._interval
                self._run(transaction, timer, now, self._durations[timer])
        if state is State.TERMINATED:
            self._forget(transaction)
        elif not transaction._indexed:
            self._index(transaction, True)

    def _next_interval(self, transaction: Transaction, timer: Timer) -> float:
        interval = transaction._interval * 2
        if timer is not Timer.A:
            interval = min(interval, self._t2)
        if transaction.machine is CLIENT_OTHER and transaction.state is State.PROCEEDING:
            interval = self._t2
        transaction._interval = interval
        return interval

    def _run(self, transaction: Transaction, timer: Timer, now: float, seconds: float) -> None:
        transaction._running.add(timer)
        self._timers.start((transaction, timer), now + seconds)

    def _stop(self, transaction: Transaction, timer: Timer) -> None:
        if timer in transaction._running:
            transaction._running.discard(timer)
            self._timers.stop((transaction, timer))

    def _index(self, transaction: Transaction, wanted: bool) -> None:
        """Keep the list of what depends on a connection; UDP has none that could break."""
        hop = transaction.hop
        transaction._indexed = wanted
        if not hop.reliable:
            return
        if wanted:
            self._by_hop.setdefault(hop, set()).add(transaction)
        elif (group := self._by_hop.get(hop)) is not None:
            group.discard(transaction)
            if not group:
                del self._by_hop[hop]

    def _forget(self, transaction: Transaction) -> None:
        transaction.state = State.TERMINATED
        for timer in list(transaction._running):
            self._stop(transaction, timer)
        self._index(transaction, False)
        if isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction._key, None)
            merge = transaction._merge
            if merge is not None and self._merged.get(merge) is transaction:
                del self._merged[merge]
        else:
            self._clients.pop(transaction._key, None)


_NEEDED: Final = ("via", "from", "to", "call-id", "cseq")


def _response_hop(via: Via, hop: Hop) -> Hop:
    """Where responses go (RFC 3261 18.2.2, RFC 3581 section 4): the connection it came on; on UDP the address it
    came from, at that port if the sender asked so and at the Via's otherwise.

    `maddr` is not followed: it would let anybody aim our responses at anybody.
    """
    if hop.reliable or via.wants_rport:
        return hop
    return Hop(hop.transport, hop.host, via.port or 5060, None, hop.local)
