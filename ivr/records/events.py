"""The events a call leaves behind: what happened, when, to which call and leg. Rows of every table derive from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

EventType = Literal[
    "call.arrived",
    "call.answered",
    "call.marked",
    "call.ended",
    "leg.created",
    "leg.ringing",
    "leg.early_media",
    "leg.answered",
    "leg.held",
    "leg.retrieved",
    "leg.ended",
    "leg.signalling",
    "flow.step",
    "key",
    "speech",
    "prompt.end",
    "offer.start",
    "offer.end",
    "bridge.join",
    "bridge.leave",
    "tag",
    "log",
    "error",
    "flow.live",
    "flow.rejected",
]


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """One thing that happened. ``at`` is UTC epoch milliseconds; ``data`` holds JSON values only.

    What ``data`` may hold, by type; a value that is missing or None is unknown. Times are UTC epoch milliseconds.

    ================  ==============================================================================================
    call.arrived      mode, node_id, did, caller, caller_name, language, flow, flow_version (number-digest),
                      conversation_id, variant, trace_id
    call.answered     nothing
    call.marked       language, variant, goal, disposition: those that changed
    call.ended        ended_by, end_cause, sip_status, last_block, goal, disposition, language (the last one spoken)
    leg.created       kind, role, account, remote, sip_call_id, rtc_channel, parent_leg, transfer_of, transfer_kind
    leg.ringing       nothing
    leg.early_media   nothing: sound is heard although the leg is not answered
    leg.answered      codec
    leg.held          nothing; no leg_id: the caller's leg
    leg.retrieved     as leg.held
    leg.ended         hangup_by, outcome (if never answered), sip_status, q850, codec, rx_pkts, tx_pkts, lost_pkts,
                      jitter_ms, rtt_ms, mos, audio_rx_ms, audio_tx_ms; kind, role, account, remote, sip_call_id if
                      better known by now; of an RTC leg, invitation (its id), invitation_state, invitation_error,
                      rtc_channel. May come twice: when the leg ends, and again with what was measured
    leg.signalling    lines: a list for each message of [at, "in" or "out", peer, words, CSeq, sound]; comes once, when
                      the leg is over, and perhaps after call.ended; nothing derives from it
    flow.step         seq, flow, flow_version, block, step, verb, line, from_at, until_at, try_no, input_mode (keys or
                      speech), input (None if secret), confidence (of speech), barged_in, heard_ms, exit, next_block
                      (None unless another visit of a block begins), error, detail (what came of it outside; of speech
                      took_ms and, unless secret, speech_ms and alternatives: text, confidence, name of the choice where
                      the recogniser chose; not_heard: why nobody could listen; nothing derives from it)
    offer.start       targets
    offer.end         outcome
    bridge.join       leg (or the event's leg_id)
    bridge.leave      nothing
    tag               name, value
    flow.live         author, origin, live (versions), removed, differences by flow, tests; belongs to no call
    flow.rejected     author, complaints, tests; belongs to no call
    prompt.end        heard_ms, completed: of what the party of that leg alone heard; nothing derives from it
    speech            from_at, until_at (of the speech), took_ms (until it was recognised), hypotheses (how many),
                      confidence (of the best), barged_in; or error. What was said stands in flow.step, if it may stand
                      anywhere; nothing derives from it
    key, log, error   anything; kept, nothing derives from it
    ================  ==============================================================================================
    """

    at: int
    type: EventType
    call_id: str
    """Never used for another call; empty if the event belongs to none. At most 200 characters count."""
    leg_id: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)


_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def as_json(data: dict[str, object] | Sequence[object] | None) -> str | None:
    """As it is written down, in ASCII; None if there is nothing in it.

    Raises TypeError, ValueError or RecursionError if that cannot be said in JSON.
    """
    return _encode(data) if data else None
