"""A flow on a real call: carries events to the interpreter and its actions to the telephone, sound and records.

One :class:`LiveCall` owns one call and everything it started: when the call ends, nothing of it is left running.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, assert_never

from gateway.call import (
    AudioHeard,
    Call,
    CallEnded,
    CallerLeft,
    CallEvent,
    Clip,
    LegEnded,
    PlayEnded,
)
from ivr.flow.model import Place, Step
from ivr.hearing import Ear, EarEvent, Ears, NotHeard, SpeechBegan
from ivr.records.words import CallMode
from ivr.run.actions import (
    Action,
    Answer,
    CancelRequest,
    Connect,
    Dial,
    Disconnect,
    Drop,
    Early,
    Ended,
    Hangup,
    Listen,
    Log,
    Mark,
    OfferEnded,
    OfferStarted,
    Play,
    PlayItem,
    Refer,
    Reject,
    Request,
    Ringback,
    Ringing,
    SendKeys,
    StepDone,
    StopListening,
    StopPlaying,
    Tag,
    Whisper,
)
from ivr.run.chronicle import Chronicle, Journal
from ivr.run.events import Event, HearingFailed, PlayFailed, RequestDone, SpeechHeard, SpeechStarted
from ivr.run.requests import Asked, NoReply, Reply
from ivr.run.view import CallState, CallView

log = logging.getLogger("ivr.call")


class Sounds(Protocol):
    """Where clips come from."""

    def ready(self, item: PlayItem) -> Clip | None:
        """What can be played at once, None if it must be made first. Raises LookupError if it cannot be made."""

    def make(self, item: PlayItem) -> AsyncIterator[Clip]:
        """Make it: the clips that are played for it one after the other, as they are ready. Raises an exception whose
        words an operator understands if that is impossible."""


class Run(Protocol):
    """What decides: a flow being done, or what stands for one. Sans-I/O; see :class:`ivr.run.flow_run.FlowRun`."""

    @property
    def answered(self) -> bool: ...
    @property
    def language(self) -> str: ...
    @property
    def block(self) -> str: ...
    @property
    def last_block(self) -> str: ...
    @property
    def step(self) -> Step | None: ...
    @property
    def place(self) -> Place: ...
    @property
    def step_began(self) -> float: ...
    def start(self, now: float) -> Sequence[Action]: ...
    def handle(self, event: Event, now: float) -> Sequence[Action]: ...
    def next_timer(self) -> float | None: ...
    def handle_timer(self, now: float) -> Sequence[Action]: ...


class Outside(Protocol):
    """The world outside the call."""

    async def perform(self, asked: Asked) -> Reply:
        """The answer; what goes wrong is one too (``NoReply``)."""

    def send(self, asked: Asked, call_id: str) -> None:
        """Perform it although nobody waits for the answer; never waits and never fails."""


class LiveCall:
    """Owns a call from arrival to :class:`~gateway.call.CallEnded`; ``on_over`` is called once, at the very end."""

    def __init__(
        self,
        call: Call,
        run: Run,
        *,
        flow: str,
        flow_version: str,
        mode: CallMode = "ivr",
        language: str,
        node_id: str,
        trace_id: str | None = None,
        sounds: Sounds,
        outside: Outside,
        ears: Ears,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        on_over: Callable[[LiveCall], None],
    ) -> None:
        self.call = call
        self._run = run
        self.flow = flow
        self._flow_version = flow_version
        self._chronicle = Chronicle(journal, call.call_id, flow_version, loop.time)
        self._sounds = sounds
        self._outside = outside
        self._ears = ears
        self._loop = loop
        self._on_over = on_over
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._making: asyncio.Task[None] | None = None
        self._whispers: dict[str, asyncio.Task[None]] = {}
        """What is being made for the parties of these legs."""
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._play_id: int | None = None
        self._growing = False
        """The play is heard already, and the rest of it is being made."""
        self._broken_off: dict[int, str] = {}
        """Plays whose rest cannot be made, and why, until they have stopped."""
        self._stopped: int | None = None
        """The play that the flow has stopped last; None: none since the caller began to speak."""
        self._listen: Listen | None = None
        """What the caller is listened to for."""
        self._ear: Ear | None = None
        self._listen_from = 0.0
        """Seconds of the loop's clock."""
        self._barged_in = False
        """What the caller says has cut a prompt."""
        self._offers: set[str] = set()
        self._connected: str | None = None
        self._mode = mode
        self._arrived_at = self._chronicle.epoch_ms(loop.time())
        self._ended: Ended | None = None
        self._begun = False
        self._broken = False
        self._over = False
        self._chronicle.write(
            "call.arrived",
            data={
                "mode": mode,
                "node_id": node_id,
                "did": call.did,
                "caller": call.caller,
                "caller_name": call.caller_name,
                "flow": flow,
                "flow_version": flow_version,
                "language": language,
                **({} if trace_id is None else {"trace_id": trace_id}),
            },
        )
        self._chronicle.write(
            "leg.created", "caller", {"role": "caller", "kind": call.caller_kind, "account": call.caller_account}
        )

    def begin(self) -> None:
        """Run the flow's first steps, unless the caller has given up before."""
        if self._ended is None and not self._over:
            self._begun = True
            self._do(lambda: self._run.start(self._loop.time()))

    def call_event(self, event: CallEvent) -> None:
        if isinstance(event, AudioHeard):
            # Neither the flow nor the records ever see sound.
            if self._ear is not None:
                self._ear.feed(event.pcm)
            return
        self._note(event)
        if isinstance(event, CallEnded):
            self._finish(event)
        else:
            if isinstance(event, PlayEnded) and event.play_id == self._play_id:
                # Over before the rest was made: it is not wanted any more.
                self._cancel_making()
                self._play_id = None
            if isinstance(event, PlayEnded) and event.play_id in self._broken_off:
                reason = self._broken_off.pop(event.play_id)
                failed = PlayFailed(event.play_id, reason, heard_ms=event.heard_ms)
                self._do(lambda: self._run.handle(failed, self._loop.time()))
                return
            self._take(event)

    def _take(self, event: CallEvent) -> None:
        if self._begun:
            self._do(lambda: self._run.handle(event, self._loop.time()))
        elif isinstance(event, CallerLeft):
            # Gave up in the same moment as he called: no step was taken, and there is nothing to tidy up.
            self._ended = Ended(event.by, event.cause, self._run.last_block)
            self.call.hangup(event.cause)

    def view(self) -> CallView:
        """What the call looks like now."""
        call, run, step = self.call, self._run, self._run.step
        return CallView(
            call_id=call.call_id,
            caller=call.caller,
            caller_name=call.caller_name,
            did=call.did,
            mode=self._mode,
            flow=self.flow,
            flow_version=self._flow_version,
            language=run.language,
            state=self._state(),
            block=run.block,
            verb=step.verb if step is not None else None,
            place=str(run.place),
            arrived_at=self._arrived_at,
            step_since=self._chronicle.epoch_ms(run.step_began) if self._begun else self._arrived_at,
            legs=call.legs(),
        )

    def _state(self) -> CallState:
        if self._connected is not None:
            return "on_hold" if any(leg.state == "held" for leg in self.call.legs()) else "talking"
        if self._offers:
            return "offering"
        return "in_flow" if self._run.answered else "ringing"

    # From the interpreter -----------------------------------------------------------------------------

    def _do(self, going_on: Callable[[], Sequence[Action]]) -> None:
        """Let the flow go on and do what it asks for. A fault of ours ends this call and harms no other."""
        if self._broken:
            return
        try:
            for action in going_on():
                self._act(action)
            self._arm()
        except Exception:
            log.exception("call %s: given up", self.call.call_id)
            self._broken = True
            self.call.hangup("error")

    def _arm(self) -> None:
        due = None if self._over else self._run.next_timer()
        # One that is early does no harm, and most deadlines are put off before they come.
        if due is None or due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
                self._timer, self._timer_at = None, math.inf
            if due is not None:
                self._timer, self._timer_at = self._loop.call_at(due, self._timer_due), due

    def _timer_due(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._do(lambda: self._run.handle_timer(self._loop.time()))

    def _act(self, action: Action) -> None:
        call = self.call
        match action:
            case Answer():
                call.answer()
            case Early():
                call.early()
            case SendKeys(keys, duration_ms, gap_ms):
                call.send_keys(keys, duration_ms=duration_ms, gap_ms=gap_ms)
            case Ringing():
                call.ringing()
            case Reject(status, text):
                call.reject(status, text)
            case Hangup(cause):
                call.hangup(cause)
            case Play():
                self._play(action)
            case StopPlaying():
                self._stop_playing()
            case Listen():
                self._begin_listening(action)
            case StopListening(listen_id):
                if self._listen is not None and self._listen.listen_id == listen_id:
                    self._stop_listening()
            case Ringback(on):
                call.ringback(on)
            case Whisper():
                self._whisper(action)
            case Dial(leg_id, target, caller_id, headers):
                self._chronicle.leg_begins(leg_id, target)
                call.dial(leg_id, target, caller_id=caller_id, headers=headers)
            case Refer(leg_id, target, wait, headers):
                self._chronicle.leg_begins(leg_id, target, transfer_kind="refer" if wait else "blind")
                call.refer(leg_id, target, wait=wait, headers=headers)
            case Drop(leg_id, reason):
                self._stop_whispering(leg_id)
                if leg_id == self._connected:
                    self._connected = None
                    self._chronicle.write("bridge.leave", leg_id)
                call.drop(leg_id, reason)
                self._chronicle.leg_over(
                    leg_id, "local", **({"outcome": reason} if reason in ("refused", "no_answer") else {})
                )
            case Connect(leg_id):
                self._stop_whispering(leg_id)
                call.connect(leg_id)
                self._connected = leg_id
                self._chronicle.write("bridge.join", leg_id)
            case Disconnect():
                call.disconnect()
                if self._connected is not None:
                    self._chronicle.write("bridge.leave", self._connected)
                    self._connected = None
            case Request(_, asked, True):
                self._outside.send(asked, call.call_id)
            case Request(request_id, asked):
                self._requests[request_id] = self._loop.create_task(self._perform(request_id, asked))
            case CancelRequest(request_id):
                self._cancel_request(request_id)
            case Log(text, place, error):
                (log.warning if error else log.info)("call %s %s: %s", call.call_id, place, text)
                self._chronicle.write("error" if error else "log", data={"text": text, "place": place})
            case Tag(name, value):
                self._chronicle.write("tag", data={"name": name, "value": value})
            case Mark(kind, value):
                self._chronicle.write("call.marked", data={kind: value})
            case StepDone(record):
                self._chronicle.step(record)
            case OfferStarted(leg_id, target):
                self._offers.add(leg_id)
                if len(self._offers) == 1:
                    self._chronicle.write("offer.start", leg_id, {"targets": [str(target)]})
            case OfferEnded(leg_id, outcome):
                self._offers.discard(leg_id)
                if not self._offers:
                    self._chronicle.write("offer.end", leg_id, {"outcome": outcome})
            case Ended():
                self._ended = action
                call.hangup(action.cause)
            case _:
                assert_never(action)

    def _play(self, action: Play) -> None:
        self._cancel_making()
        self._play_id = action.play_id
        try:
            clips = [self._sounds.ready(item) for item in action.items]
        except LookupError as error:
            self._loop.call_soon(self._play_failed, action.play_id, str(error))
            return
        ready: list[Clip] = []
        for clip in clips:
            if clip is None:
                break
            ready.append(clip)
        if len(ready) == len(clips):
            self.call.play(action.play_id, ready, loop=action.loop)
            return
        if ready and not action.loop:
            self._grow(action.play_id, ready)
        self._making = self._loop.create_task(self._make_and_play(action, ready))

    async def _make_and_play(self, action: Play, clips: list[Clip]) -> None:
        """``clips`` are those that lead and are ready."""
        try:
            async for clip in self._made(action.items[len(clips) :]):
                if action.loop:
                    clips.append(clip)
                elif self._play_id == action.play_id:
                    self._do(lambda clip=clip: self._grow(action.play_id, [clip]))  # type: ignore[misc]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Whatever a speech engine or a file can raise is the flow's to handle, never the server's.
            self._play_failed(action.play_id, str(error))
            return
        if self._play_id == action.play_id:
            self._making = None
            self._do(lambda: self._whole(action, clips))

    async def _made(self, items: Sequence[PlayItem]) -> AsyncIterator[Clip]:
        for item in items:
            ready = self._sounds.ready(item)
            if ready is not None:
                yield ready
                continue
            async for clip in self._sounds.make(item):
                yield clip

    def _grow(self, play_id: int, clips: Sequence[Clip]) -> tuple[Action, ...]:
        """Begin the play, or let these clips follow the others of it."""
        if self._growing:
            self.call.extend_play(play_id, clips, more=True)
        else:
            self._growing = True
            self.call.play(play_id, clips, more=True)
        return ()

    def _whole(self, action: Play, clips: Sequence[Clip]) -> tuple[Action, ...]:
        """Nothing follows; ``clips`` are all there are of a play that has not begun."""
        if self._growing:
            self._growing = False
            self.call.extend_play(action.play_id, (), more=False)
        else:
            self.call.play(action.play_id, clips, loop=action.loop)
        return ()

    def _play_failed(self, play_id: int, reason: str) -> None:
        if self._play_id != play_id or self._over:
            return
        self._making = None
        if self._growing:
            # Half of a text is no text: the flow learns of it once the rest is silent.
            self._growing = False
            self._broken_off[play_id] = reason
            self.call.stop_playing()
            return
        self._play_id = None
        self._do(lambda: self._run.handle(PlayFailed(play_id, reason), self._loop.time()))

    def _whisper(self, whisper: Whisper) -> None:
        self._stop_whispering(whisper.leg_id)
        try:
            clips = [self._sounds.ready(item) for item in whisper.items]
        except LookupError as error:
            self._loop.call_soon(self._whisper_failed, whisper, str(error))
            return
        ready = [clip for clip in clips if clip is not None]
        if len(ready) == len(clips):
            self.call.play(whisper.play_id, ready, leg_id=whisper.leg_id)
        else:
            self._whispers[whisper.leg_id] = self._loop.create_task(self._make_and_whisper(whisper))

    async def _make_and_whisper(self, whisper: Whisper) -> None:
        try:
            clips = [clip async for clip in self._made(whisper.items)]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # As of what the caller hears.
            self._whispers.pop(whisper.leg_id, None)
            self._whisper_failed(whisper, str(error))
            return
        if self._whispers.pop(whisper.leg_id, None) is not None and not self._over:
            self.call.play(whisper.play_id, clips, leg_id=whisper.leg_id)

    def _whisper_failed(self, whisper: Whisper, reason: str) -> None:
        if not self._over:
            failed = PlayFailed(whisper.play_id, reason, whisper.leg_id)
            self._do(lambda: self._run.handle(failed, self._loop.time()))

    def _stop_whispering(self, leg_id: str) -> None:
        making = self._whispers.pop(leg_id, None)
        if making is not None:
            making.cancel()

    def _stop_playing(self) -> None:
        self._stopped = self._play_id
        unheard = self._making is not None and not self._growing
        self._cancel_making()
        if not unheard:
            self.call.stop_playing()
        elif self._play_id is not None:
            self._loop.call_soon(self.call_event, PlayEnded(self._play_id, 0, False))

    def _cancel_making(self) -> None:
        if self._making is not None:
            self._making.cancel()
            self._making = None
        self._growing = False

    def _begin_listening(self, action: Listen) -> None:
        self._stop_listening()
        self._listen, self._listen_from, self._barged_in = action, self._loop.time(), False
        self._ear = self._ears.listen(action.wanted, lambda event: self._heard(action, event))
        self.call.listen(True)

    def _stop_listening(self) -> None:
        if self._ear is not None:
            self._ear.close()
            self._ear = None
            self.call.listen(False)
        self._listen = None

    def _heard(self, listen: Listen, event: EarEvent) -> None:
        if self._listen is not listen or self._over:
            return
        if isinstance(event, SpeechBegan):
            self._stopped = None
            self._hand_on(SpeechStarted(listen.listen_id))
            self._barged_in = self._stopped is not None
            return
        self._stop_listening()
        self._chronicle.spoke(event, since=self._listen_from, barged_in=self._barged_in)
        if isinstance(event, NotHeard):
            self._hand_on(HearingFailed(listen.listen_id, event.reason))
        else:
            self._hand_on(SpeechHeard(listen.listen_id, event))

    def _hand_on(self, event: Event) -> None:
        self._do(lambda: self._run.handle(event, self._loop.time()))

    async def _perform(self, request_id: int, asked: Asked) -> None:
        began = self._loop.time()
        try:
            reply = await self._outside.perform(asked)
        except Exception as error:
            # Whatever a library or a plug-in can raise is the flow's to handle, never the server's.
            log.exception("call %s: a request failed in an unforeseen way", self.call.call_id)
            reply = NoReply(f"{type(error).__name__}: {error}")
        if self._requests.pop(request_id, None) is not None and not self._over:
            done = RequestDone(request_id, reply, self._loop.time() - began)
            self._do(lambda: self._run.handle(done, self._loop.time()))

    def _cancel_request(self, request_id: int) -> None:
        task = self._requests.pop(request_id, None)
        if task is not None:
            task.cancel()

    def _note(self, event: CallEvent) -> None:
        if not isinstance(event, LegEnded):
            self._chronicle.happened(event)
            return
        leg_id = event.leg_id
        self._stop_whispering(leg_id)
        # First the leg, so that it and the talk end in the same millisecond.
        self._chronicle.leg_over(leg_id, "remote" if event.by == "agent" else "network")
        if leg_id == self._connected:
            self._connected = None
            self._chronicle.write("bridge.leave", leg_id)

    def _finish(self, event: CallEnded) -> None:
        if self._over:
            return
        if self._ended is None:
            # The telephone side ended the call of itself (a shutdown): let the flow's silent handlers run.
            self._take(CallerLeft("network", event.cause))
            self._ended = Ended("system", event.cause, self._run.last_block)
        self._over = True
        self._cancel_making()
        self._stop_listening()
        for leg_id in list(self._whispers):
            self._stop_whispering(leg_id)
        for request_id in list(self._requests):
            self._cancel_request(request_id)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for report in event.legs:
            self._chronicle.leg_measured(report)
        ended = self._ended
        self._chronicle.write(
            "call.ended",
            data={
                "ended_by": ended.by,
                "end_cause": ended.cause,
                "sip_status": event.status,
                "last_block": ended.last_block,
            },
        )
        log.info("call %s: ended by %s (%s)", self.call.call_id, ended.by, ended.cause)
        self._on_over(self)
