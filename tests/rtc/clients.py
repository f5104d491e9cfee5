"""Clients on a virtual clock, and the agent they talk to. Every frame goes through the agent's own text."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import jsonschema

from gateway.rtc.agent import RtcAgent
from gateway.rtc.answers import Failure, InviteOk, LoginOk, Ok, PresenceOk, StateOk
from gateway.rtc.asyncapi import message_schema
from gateway.rtc.events import Event, InvitationReceived
from gateway.rtc.limits import Limits
from gateway.rtc.logins import TokenRefused
from gateway.rtc.notifications import NOTIFICATIONS
from gateway.rtc.rights import Claims, Rights
from gateway.rtc.values import IceServerInfo

E = TypeVar("E")

OFFER = {"type": "offer", "sdp": "v=0 offer"}
ANSWER = {"type": "answer", "sdp": "v=0 answer"}
EVERYTHING = Rights(call_in=True, be_called=True, call_out=("*",), peers=True)

_SCHEMAS: dict[type[Any], jsonschema.Draft202012Validator] = {}


def check(message: dict[str, Any]) -> None:
    """What the agent says is what the document says."""
    if message["type"] == "ok":
        shapes = {"session": LoginOk, "states": PresenceOk, "channel": InviteOk, "over": StateOk}
        shape: type[Any] = next((known for name, known in shapes.items() if name in message), Ok)
    else:
        shape = Failure if message["type"] == "error" else NOTIFICATIONS[message["type"]]
    if shape not in _SCHEMAS:
        _SCHEMAS[shape] = jsonschema.Draft202012Validator(message_schema(shape))
    _SCHEMAS[shape].validate(message)


class Exchange:
    """The agent, its clock and its connections. Tokens are the user's name, or ``expired:NAME``."""

    def __init__(self, limits: Limits | None = None, *, checked: bool = True) -> None:
        self.now = 1000.0
        self.rights: dict[str, Rights] = {}
        self.checked = checked
        self.agent = RtcAgent(
            verify=self._verify,
            clock=lambda: self.now,
            ice_servers=lambda user: (IceServerInfo(urls=("stun:192.0.2.1",)),),
            limits=limits,
        )
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] | None = None
        self.connections: dict[int, Client] = {}
        self._numbers = count(1)

    def _verify(self, token: str) -> Claims:
        word, _, user = token.partition(":")
        if word == "bad":
            raise TokenRefused("the signature does not fit")
        if word == "expired":
            raise TokenRefused("the token is over", expired=True, user=user)
        return Claims(token, token.title(), self.rights.get(token, EVERYTHING), 0.0)

    def client(self, user: str, device: str = "web") -> Client:
        """One that is logged in."""
        client = Client(self, user, device)
        client.connect()
        client.logs_in()
        return client

    def open(self, client: Client) -> None:
        client.connection = number = next(self._numbers)
        self.connections[number] = client
        self.agent.connection_opened(number, self.now)
        self.flush()

    def run(self, seconds: float) -> None:
        """Let the time go by; clients that are alive ping every two seconds."""
        end = self.now + seconds
        while True:
            moments = [client.ping_at for client in self.connections.values() if client.alive and client.session]
            due = self.agent.next_timer()
            if due is not None:
                moments.append(due)
            moment = min(moments, default=end + 1)
            if moment > end:
                break
            self.now = max(self.now, moment)
            for client in list(self.connections.values()):
                if client.alive and client.session and client.ping_at <= self.now:
                    client.ping_at = self.now + 2.0
                    client.asks("ping")
            self.agent.handle_timer(self.now)
            self.flush()
        self.now = end

    def flush(self) -> None:
        """Carry out what the agent wants."""
        while True:
            messages, closings = self.agent.messages_to_send(), self.agent.connections_to_close()
            for number, text in messages:
                client = self.connections.get(number)
                if client is not None:
                    client.hears(text)
            for closing in closings:
                gone = self.connections.pop(closing.connection, None)
                if gone is not None:
                    gone.closed(closing.connection, closing.code)
            event = self.agent.next_event()
            if event is not None:
                self.events.append(event)
                if self.on_event is not None:
                    self.on_event(event)
            elif not messages and not closings:
                return

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def act(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """What the gateway asks."""
        found = getattr(self.agent, name)(*arguments, **named)
        self.flush()
        return found

    def calls(self, user: str, **named: Any) -> Any:
        return self.act("invite", user, **{"caller": "4711", "sdp": "v=0 offer", **named})


class Client:
    """A client that does what its test says, and confirms what it gets."""

    def __init__(self, exchange: Exchange, user: str, device: str = "web") -> None:
        self.exchange = exchange
        self.user = user
        self.device = device
        self.connection: int | None = None
        self.session = ""
        self.seq = 0
        self.alive = True
        """Pings."""
        self.confirms = True
        self.ping_at = 0.0
        self.answers: dict[int, dict[str, Any]] = {}
        self.heard: list[dict[str, Any]] = []
        """Notifications, each once."""
        self.code: int | None = None
        self.ids = count(1)

    def connect(self) -> None:
        self.code = None
        self.exchange.open(self)

    def says(self, text: str) -> None:
        if self.connection is not None:
            self.exchange.agent.receive(self.connection, text, self.exchange.now)
            self.exchange.flush()

    def sends(self, **message: Any) -> None:
        self.says(json.dumps(message))

    def asks(self, kind: str, **fields: Any) -> int:
        number = next(self.ids)
        self.sends(type=kind, id=number, **fields)
        return number

    def gets(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Ask, and get an ok."""
        answer = self.answers[self.asks(kind, **fields)]
        assert answer["type"] == "ok", answer
        return answer

    def fails(self, kind: str, **fields: Any) -> str:
        """Ask, and get an error: its code."""
        answer = self.answers[self.asks(kind, **fields)]
        assert answer["type"] == "error", answer
        code = answer["code"]
        assert isinstance(code, str)
        return code

    def logs_in(self, token: str | None = None, **fields: Any) -> dict[str, Any]:
        answer = self.gets("login", token=token or self.user, device=self.device, **fields)
        if not answer["resumed"]:
            self.seq = 0
        self.session = answer["session"]
        self.ping_at = self.exchange.now + 2.0
        return answer

    def resumes(self, token: str | None = None) -> None:
        """Connect again and go on."""
        self.connect()
        answer = self.logs_in(token, resume={"session": self.session, "seq": self.seq})
        assert answer["resumed"]

    def loses_connection(self) -> None:
        assert self.connection is not None
        number, self.connection = self.connection, None
        del self.exchange.connections[number]
        self.exchange.agent.connection_lost(number, self.exchange.now)
        self.exchange.flush()

    def hears(self, text: str) -> None:
        message = json.loads(text)
        if self.exchange.checked:
            check(message)
        if "re" in message:
            if message["re"] is not None:
                self.answers[message["re"]] = message
            else:
                self.heard.append(message)
            return
        if message["seq"] > self.seq:
            self.seq = message["seq"]
            self.heard.append(message)
        if self.confirms:
            self.sends(type="ack", seq=message["seq"])

    def closed(self, connection: int, code: int) -> None:
        if connection == self.connection:
            self.connection = None
            self.code = code

    def takes(self, kind: str) -> dict[str, Any]:
        """The next notification it got, which must be of that kind."""
        assert self.heard, f"nothing came, {kind} was expected"
        message = self.heard.pop(0)
        assert message["type"] == kind, message
        return message

    def is_told(self, invitation: str, state: str, **more: Any) -> None:
        message = self.takes("invitation")
        assert message["invitation"] == invitation
        assert message["state"] == state, message
        assert {key: message.get(key) for key in ("error", "response", "status") if key in message} == more

    def invites(self, to: str = "1000", **fields: Any) -> str:
        """Call, as far as the gateway has it."""
        answer = self.gets("invite", to=to, description=OFFER, **fields)
        invitation = answer["invitation"]
        assert isinstance(invitation, str)
        self.is_told(invitation, "received_by_remote")
        assert self.exchange.told(InvitationReceived)[-1].invitation == invitation
        return invitation
