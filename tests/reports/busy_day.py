"""A day of a small company as its calls would be recorded: by chance, but the same each time.

``python -m tests.reports.busy_day sqlite:///FILE 2026-11-26`` fills a database with it, to look at reports.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from ivr.records.events import RecordEvent
from ivr.records.writer import RecordWriter
from tests.records.calls import Script, arrived

ZONE = ZoneInfo("Europe/Berlin")
_HOURS = {8: 30, 9: 62, 10: 70, 11: 55, 12: 30, 13: 38, 14: 52, 15: 46, 16: 40, 17: 24, 18: 9, 20: 3, 7: 6}
_SEATS = ("2001", "2002", "2003", "2004")


def busy_day(day: date) -> Iterator[list[RecordEvent]]:
    """The events of each call."""
    chance = random.Random(str(day))
    number = 0
    for hour, calls in sorted(_HOURS.items()):
        begins = datetime.combine(day, time(hour), ZONE).timestamp() * 1000
        for at in sorted(chance.random() for _ in range(chance.randint(calls * 3 // 4, calls))):
            number += 1
            yield _call(chance, f"{round(begins):x}-{number:04}", round(begins + at * 3_600_000))


def _call(chance: random.Random, call_id: str, start: int) -> list[RecordEvent]:
    caller = f"+49301{chance.randint(2000, 2400)}567"
    did, flow = chance.choices([("1000", "main"), ("1100", "repairs")], [7, 3])[0]
    call = Script(call_id, start)
    call.at(0, "call.arrived", **arrived(caller=caller, did=did, flow=flow))
    call.at(0, "leg.created", "caller", role="caller", kind="pstn", account="carrier")
    call.at(0.2, "call.answered").at(0.2, "leg.answered", "caller")
    menu = _Menu(call, chance, flow)
    end = menu.goes_through()
    # A rare far end that is not heard, and one line in twenty that loses packets.
    packets = round(end * 50)
    lost = round(packets * chance.uniform(0.03, 0.08)) if chance.random() < 0.05 else chance.randint(0, 4)
    heard = 0 if chance.random() < 0.008 else round(end * 1000)
    call.at(
        end,
        "leg.ended",
        "caller",
        account="carrier",
        rx_pkts=packets - lost,
        lost_pkts=lost,
        jitter_ms=round(chance.uniform(0.4, 3), 2),
        audio_rx_ms=heard,
        codec="PCMA",
    )
    call.at(end, "call.ended", ended_by=menu.ended_by, end_cause="bye", last_block=menu.block, goal=menu.goal)
    return call.events


class _Menu:
    """What the caller does."""

    def __init__(self, call: Script, chance: random.Random, flow: str) -> None:
        self._call, self._chance, self._flow = call, chance, flow
        self._seq = 0
        self._now = 0.2
        self.ended_by = "caller"
        self.goal: str | None = None
        self.block = "welcome"

    def goes_through(self) -> float:
        chance = self._chance
        self._step("welcome", 4.0, verb="say", exit="next", next_block="menu", heard_ms=4000)
        for try_no in (1, 2, 3):
            seconds, said = chance.uniform(3, 12), chance.random()
            row: dict[str, Any] = {"verb": "menu", "try_no": try_no, "heard_ms": round(seconds * 700)}
            if said < 0.1:
                return self._leaves("menu", seconds, **row)
            if said < 0.2:
                self._step("menu", 12, exit="no_input", barged_in=False, **row)
            elif said < 0.27:
                self._step("menu", seconds, exit="no_match", input_mode="keys", input="9", barged_in=True, **row)
            else:
                key = chance.choices(("1", "2", "3"), (55, 25, 20))[0]
                block = {"1": "sales", "2": "hours", "3": "repair_state"}[key]
                mode = "speech" if self._flow == "repairs" and chance.random() < 0.4 else "keys"
                barged = chance.random() < 0.45
                row |= {"input_mode": mode, "input": key, "barged_in": barged}
                self._step("menu", seconds, exit=key, next_block=block, **row)
                return self._people() if block == "sales" else self._told(block)
        return self._flow_ends("menu", None)

    def _told(self, block: str) -> float:
        if self._chance.random() < 0.15:
            return self._leaves(block, self._chance.uniform(1, 6), verb="say")
        self._step(block, self._chance.uniform(8, 20), verb="say", exit="end")
        return self._flow_ends(block, f"{block}_told")

    def _people(self) -> float:
        call, chance = self._call, self._chance
        begins = self._now
        seats = chance.sample(_SEATS, 2)
        patience = chance.expovariate(1 / 70)
        for number, seat in enumerate(seats):
            leg = f"seat{number}"
            rings = chance.uniform(2, 25)
            answers = rings < 19 and chance.random() > (0.35 if seat == "2003" else 0.1)
            rings = min(rings, 20)
            call.at(self._now, "offer.start", leg)
            call.at(self._now, "leg.created", leg, role="agent", kind="sip", account=seat)
            if self._now + rings - begins > patience:
                self._now = begins + max(patience, 0.3)
                call.at(self._now, "leg.ended", leg, hangup_by="local")
                return self._leaves("sales", 0, since=begins, verb="transfer")
            self._now += rings
            if answers:
                return self._talks(begins, leg)
            busy = chance.random() < 0.2
            call.at(self._now, "leg.ended", leg, outcome="busy" if busy else "no_answer")
            call.at(self._now, "offer.end", leg, outcome="no_answer")
        self._step("sales", 0, since=begins, verb="transfer", exit="no_answer", next_block="sorry")
        self._step("sorry", 5, verb="say", exit="end")
        return self._flow_ends("sorry", None)

    def _talks(self, begins: float, leg: str) -> float:
        call, chance = self._call, self._chance
        call.at(self._now, "offer.end", leg, outcome="answered").at(self._now, "leg.answered", leg)
        call.at(self._now, "bridge.join", leg=leg)
        if chance.random() < 0.2:
            call.at(self._now + 20, "leg.held", leg).at(self._now + 20 + chance.uniform(10, 50), "leg.retrieved", leg)
            self._now += 70
        self._now += chance.lognormvariate(4.6, 0.7)
        end = round(self._now * 50)
        call.at(self._now, "leg.ended", leg, rx_pkts=end, lost_pkts=0, jitter_ms=0.6, audio_rx_ms=end * 20)
        self.ended_by = chance.choice(("caller", "agent"))
        return self._leaves("sales", 0, since=begins, verb="transfer")

    def _step(self, block: str, seconds: float, *, since: float | None = None, **row: object) -> None:
        began = self._now if since is None else since
        self._now += seconds
        self.block = block
        self._call.step(self._seq, block, began, self._now, flow=self._flow, **row)
        self._seq += 1

    def _leaves(self, block: str, seconds: float, *, since: float | None = None, **row: object) -> float:
        self._step(block, seconds, since=since, **row)
        return self._now

    def _flow_ends(self, block: str, goal: str | None) -> float:
        self.ended_by, self.goal, self.block = "flow", goal, block
        return self._now


def fill(url: str, day: date) -> None:
    """Write the day into a database."""
    writer = RecordWriter(url)
    for events in busy_day(day):
        for event in events:
            writer.append(event)
        writer.flush(60)
    writer.close(60)


if __name__ == "__main__":
    fill(sys.argv[1], date.fromisoformat(sys.argv[2]))
