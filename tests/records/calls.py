"""Events of calls as the program sends them: one typical call, and any sequence at all."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from ivr.records.events import EventType, RecordEvent

T0 = 1_750_000_000_000


class Script:
    """Writes down a call, event by event, at seconds after ``start``."""

    def __init__(self, call_id: str, start: int = T0) -> None:
        self.call_id = call_id
        self.start = start
        self.events: list[RecordEvent] = []

    def at(self, seconds: float, kind: EventType, leg: str | None = None, /, **data: object) -> Script:
        self.events.append(RecordEvent(self.start + round(seconds * 1000), kind, self.call_id, leg, data))
        return self

    def step(self, seq: int, block: str, from_s: float, until_s: float, **data: object) -> Script:
        times = {"from_at": self.start + round(from_s * 1000), "until_at": self.start + round(until_s * 1000)}
        return self.at(until_s, "flow.step", **{"seq": seq, "flow": "main", "block": block, **times, **data})


def arrived(**more: object) -> Mapping[str, object]:
    return {
        "mode": "ivr",
        "node_id": "node1",
        "did": "1000",
        "caller": "+4930123456",
        "caller_name": "Zoë",
        "flow": "main",
        "flow_version": "a1b2c3d4",
        "language": "en",
        **more,
    }


def typical_call(call_id: str, start: int = T0, **more: object) -> list[RecordEvent]:
    """Twenty events: a menu, a wrong key, a seat that answers, a hold, and the caller hangs up after a minute."""
    call = Script(call_id, start)
    call.at(0, "call.arrived", **arrived(**more))
    call.at(0, "leg.created", "a", kind="sip", role="caller", account=None, remote="sip:1@x", sip_call_id="i")
    call.at(0.1, "call.answered").at(0.1, "leg.answered", "a", codec="PCMU")
    call.step(0, "welcome", 0.1, 3, step=0, verb="say", line=4, heard_ms=2900, exit="next", next_block="menu")
    call.at(5, "key", key="9", source="rfc4733")
    call.step(1, "menu", 3, 5, step=0, verb="menu", line=9, try_no=1, input_mode="key", input="9", exit="no_match")
    call.at(8, "key", key="1", source="rfc4733")
    call.step(2, "menu", 5, 8, step=0, verb="menu", try_no=2, input="1", barged_in=True, exit="1", next_block="sales")
    call.at(8, "offer.start", targets=["sip:seat1"])
    call.at(8, "leg.created", "b", kind="sip", role="agent", account="seat1", remote="sip:seat1@x", sip_call_id="j")
    call.at(8.2, "leg.ringing", "b").at(12, "leg.answered", "b", codec="PCMU")
    call.at(12, "bridge.join", leg="b")
    call.at(30, "leg.held", "b").at(40, "leg.retrieved", "b")
    quality = {"rx_pkts": 2400, "tx_pkts": 2400, "lost_pkts": 3, "jitter_ms": 1.25, "rtt_ms": 20.0}
    call.at(60, "leg.ended", "a", hangup_by="remote", sip_status=200, codec="PCMU", **quality)
    call.at(60, "leg.ended", "b", hangup_by="local", sip_status=200, codec="PCMU", **quality)
    call.step(3, "sales", 8, 60, step=0, verb="dial", exit="hangup")
    call.at(60, "call.ended", ended_by="caller", end_cause="bye", sip_status=200, last_block="sales")
    return call.events


# Any sequence. --------------------------------------------------------------------------------------------

_junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.lists(st.integers(), max_size=2),
)
_leg_ids = st.sampled_from([None, "a", "b", "c"])
_words = st.sampled_from(["caller", "agent", "sip", "flow", "ivr", "seat1", "menu", "main"])


def _words_of(line: str) -> st.SearchStrategy[str]:
    return st.sampled_from(line.split())


_keys = _words_of(
    "kind role account leg seq block flow from_at until_at mode caller node_id ended_by codec rx_pkts jitter_ms name"
    " value barged_in sip_status input"
)
_data = st.dictionaries(_keys, st.one_of(_words, _junk), max_size=5)
_types = _words_of(
    "call.arrived call.answered leg.created leg.ringing leg.answered leg.held leg.retrieved leg.ended flow.step key"
    " prompt.end offer.start offer.end bridge.join bridge.leave tag log error call.ended of.tomorrow"
)
_steps = st.integers(-2_000, 5_000)


@st.composite
def any_call(draw: st.DrawFn, call_id: str = "c1", *, whole: bool = False) -> list[RecordEvent]:
    """Events in any order with any data, the clock jumping; ``whole``: arrived first, ended last."""
    now = T0
    events: list[RecordEvent] = []
    kinds = draw(st.lists(_types, max_size=25))
    if whole:
        kinds = ["call.arrived", *(kind for kind in kinds if kind != "call.ended"), "call.ended"]
    for kind in kinds:
        now += draw(_steps)
        leg = draw(_leg_ids)
        data = draw(_data)
        if kind == "bridge.join" and leg is not None:
            data["leg"] = leg
        events.append(RecordEvent(now, kind, call_id, leg, data))  # type: ignore[arg-type]
    return events
