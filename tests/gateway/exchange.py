"""A gateway on loopback, with sockets and sound, whose calls the test owns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Literal, TypeVar

from gateway.call import (
    Arrival,
    Call,
    CallEvent,
    GatewayConfig,
    ListenAddress,
    Refusal,
    Seat,
    SignallingLine,
)
from gateway.server import Gateway
from tests.peers.patience import SLACK, until
from tests.peers.ports import free_range
from tests.peers.wire import Wire

__all__ = ["PASSWORD", "Exchange", "Owned"]

T = TypeVar("T")
PASSWORD = "secret"


class Owned:
    """A call and all it told; asked for things only on the gateway's loop."""

    def __init__(self, exchange: Exchange, call: Call) -> None:
        self._exchange = exchange
        self.call = call
        self.told: list[CallEvent] = []
        self.react: Callable[[CallEvent], None] = lambda event: None

    def call_event(self, event: CallEvent) -> None:
        self.told.append(event)
        self.react(event)

    def asks(self, do: Callable[[Call], object]) -> None:
        self._exchange.do(lambda: do(self.call))

    def hears(self, kind: type[T], within: float = SLACK) -> T:
        """Wait for the first event of that kind."""
        return until(
            lambda: next((event for event in list(self.told) if isinstance(event, kind)), None),
            lambda: f"no {kind.__name__} but {self.told}",
            within=within,
        )

    def has(self, kind: type[CallEvent]) -> bool:
        return any(isinstance(event, kind) for event in self.told)


class Exchange:
    """Owns the gateway and the thread it runs in. Its reception takes what ``screens`` says."""

    def __init__(self, **config: Any) -> None:
        ports = free_range(int(config.pop("media_port_count", 60)))
        usual: dict[str, Any] = {
            "listen": (ListenAddress("udp", "127.0.0.1", 0), ListenAddress("tcp", "127.0.0.1", 0)),
            "domain": "localhost",
            "media_address": "127.0.0.1",
            "media_ports": (ports.start, ports.stop - 1),
            "media_rest": 0.1,
            "realtime": False,
            "seats": {name: Seat(name, PASSWORD) for name in ("2001", "2002")},
        }
        self.screens: Callable[[Arrival], Refusal | Literal["authenticate"] | None] = lambda arrival: None
        self.arrivals: list[Arrival] = []
        self.owned: list[Owned] = []
        self.signalled: list[tuple[str, str, tuple[SignallingLine, ...]]] = []
        """Call, leg, what was said."""
        self.greets: Callable[[Owned], None] = lambda owned: None
        """What is done with a call before anything else."""
        self._loop = asyncio.new_event_loop()
        self.troubles: list[dict[str, Any]] = []
        self._loop.set_exception_handler(lambda _, context: self.troubles.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        trace = config.pop("trace", None)
        self.gateway = Gateway(GatewayConfig(**{**usual, **config}), self, trace=trace)
        self._stopped = False
        self._wires: list[Wire] = []
        self.awaits(self.gateway.start())
        first = self.gateway.addresses[0]
        self.address = f"{first.host}:{first.port}"

    # Reception --------------------------------------------------------------------------------------------

    def screen(self, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
        self.arrivals.append(arrival)
        return self.screens(arrival)

    def call_arrived(self, call: Call) -> Owned:
        owned = Owned(self, call)
        self._loop.call_soon(self.greets, owned)
        self.owned.append(owned)
        return owned

    def call_signalled(self, call_id: str, leg_id: str, lines: tuple[SignallingLine, ...]) -> None:
        self.signalled.append((call_id, leg_id, lines))

    # For tests --------------------------------------------------------------------------------------------

    def wire(self, user: str = "anna", *, host: str = "127.0.0.1") -> Wire:
        wire = Wire(self.address, host=host, user=user)
        self._wires.append(wire)
        return wire

    def seat(self, account: str = "2001", *, host: str = "127.0.0.1") -> Wire:
        """A registered telephone."""
        wire = self.wire(account, host=host)
        answer, _ = wire.registers(account, PASSWORD)
        assert answer.status == 200, answer.text
        return wire

    def takes(self, number: int = 1) -> Owned:
        """Wait for the call of that number, from 1."""
        return until(lambda: self.owned[number - 1] if len(self.owned) >= number else None, "no call arrived")

    def do(self, work: Callable[[], T]) -> T:
        """On the gateway's loop."""

        async def there() -> T:
            return work()

        result: T = self.awaits(there())
        return result

    def awaits(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SLACK)

    def soon(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """On the gateway's loop, by whoever is there already; ends with what it reads from."""
        return asyncio.get_running_loop().create_task(work)

    def begins(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Without waiting for its end."""
        self._stopped = True
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def sizes(self) -> dict[str, int]:
        """What the gateway holds for calls; all zero when there are none."""
        gateway = self.gateway
        sizes = gateway.sizes()
        return {
            "calls": len(gateway._calls),
            "parties": sizes["parties"],
            "media": len(gateway._by_media),
            "legs": gateway._engine.statistics().legs,
            "sessions": sizes["sessions"],
            "dialogs": sizes["dialogs"],
        }

    def is_clean(self) -> None:
        """Wait until nothing of any call is left."""
        until(lambda: not any(self.do(self.sizes).values()), lambda: f"left behind: {self.sizes()}", within=40)
        assert not self.troubles, self.troubles

    def stops(self) -> None:
        if not self._stopped:
            self._stopped = True
            self.awaits(self.gateway.stop())

    def close(self) -> None:
        self.stops()
        for wire in self._wires:
            wire.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SLACK)
        self._loop.close()
