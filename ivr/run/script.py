"""A telephone call told step by step, in virtual time: the same interpreter, with a caller and seats that are acted.

Prompts last as long as they are said to, nobody waits for a real second, and all that happened is in the transcript::

    call = Script(flow, groups={"front_desk": (Target("sip", "2001"),)})
    call.hears("main_menu")
    call.presses("0")
    call.seat("2001").answers()
    call.seat("2001").hangs_up()
    assert call.ended_by == "agent"
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Literal

from gateway.call import (
    Answered,
    CallerLeft,
    KeyPressed,
    KeySource,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegOutcome,
    LegRinging,
    PlayEnded,
    Target,
)
from ivr.flow.model import Flow
from ivr.flow.nodes.dialling import Acceptance
from ivr.hearing import Hypothesis
from ivr.run.actions import (
    Action,
    Answer,
    CancelRequest,
    Connect,
    Dial,
    Drop,
    Early,
    Ended,
    EndedBy,
    Hangup,
    Listen,
    Log,
    Mark,
    Play,
    PlayItem,
    PlayText,
    Refer,
    Reject,
    Request,
    Ringback,
    SendKeys,
    StepDone,
    StepRecord,
    StopListening,
    StopPlaying,
    Tag,
    Whisper,
)
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.events import Event, HearingFailed, PlayFailed, RequestDone, SpeechHeard, SpeechStarted
from ivr.run.flow_run import FlowRun, Limits
from ivr.run.hunt import Member
from ivr.run.requests import Asked, NoReply, Reply
from ivr.run.voice import Voice, seconds_of

Deed = Literal["answer", "accept", "busy", "refuse", "offline", "fail", "hangup"]
"""What a seat does that is rung, or talks."""

PATIENCE = 600.0
"""Seconds after which what a script waits for is taken not to come."""

Outside = Callable[[Asked], tuple[float, Reply]]
"""The world outside of an acted call: seconds until the answer, and the answer."""


def nobody_outside(asked: Asked) -> tuple[float, Reply]:
    """There is nobody to ask."""
    return 0.0, NoReply("nobody is there")


A_CALLER = CallFacts("call1", "+8613800000000", "", None, "4008200000", datetime(2026, 3, 2, 2, 0, tzinfo=UTC))


class DidNotHappen(AssertionError):
    """What a script waits for does not come. The text holds the transcript."""

    def __init__(self, what: str, transcript: Sequence[str]) -> None:
        super().__init__("\n".join([f"waited for: {what}", *transcript]))


def party_of(target: Target) -> str:
    """What somebody who is rung is called in a script: ``2001``, ``rtc:alice``."""
    return str(target) if target.scheme == "rtc" else target.name


@dataclass(slots=True)
class Heard:
    """One prompt, as the caller heard it."""

    at: float
    """When it began, seconds from the start of the call."""
    name: str
    """The recording's name, or the text."""
    seconds: float = 0.0
    """How much of it was heard."""
    cut: bool = False
    spoken: bool = False
    """Whether it is a text, not a recording."""


@dataclass(slots=True)
class _Playing:
    play: Play
    began: float


@dataclass(frozen=True, slots=True)
class _ItemBegins:
    play_id: int
    item: PlayItem


class Seat:
    """Somebody who can be rung: acts on the leg that rings or talks, or is told beforehand what to do with the next."""

    def __init__(self, script: Script, name: str) -> None:
        self._script = script
        self._name = name
        self._leg: str | None = None
        self._answered = False
        self._plan: Event | None = None
        self.rang = 0
        """How often it was rung."""
        self.talking = False
        self.whispered: list[str] = []
        """What it alone has heard, by recording or text."""
        self.dropped: list[str] = []
        """Why ringing or talking was ended, each time it was."""

    @property
    def ringing(self) -> bool:
        return self._leg is not None and not self._answered

    @property
    def asked(self) -> bool:
        """It has answered, and hears a whisper or is to press a key before it gets the caller."""
        return self._leg is not None and self._answered and not self.talking

    def answers(self) -> None:
        self._act(LegAnswered(""))

    def fails(self, outcome: LegOutcome) -> None:
        self._act(LegFailed("", outcome))

    def busy(self) -> None:
        self.fails("busy")

    def refuses(self) -> None:
        self.fails("refused")

    def offline(self) -> None:
        self.fails("offline")

    def presses(self, key: str) -> None:
        """Press a key, once it has answered."""
        if self._leg is not None and self._answered:
            self._script.happens(KeyPressed(key, leg_id=self._leg))

    def takes_call(self) -> None:
        """Press the key that it is asked for."""
        if self._script.accept_key is not None:
            self.presses(self._script.accept_key)

    def passes_up(self) -> None:
        """Press another key than the one it is asked for."""
        self.presses("0" if self._script.accept_key != "0" else "1")

    def hangs_up(self) -> None:
        self._act(LegEnded("", "agent"))

    def is_lost(self) -> None:
        """The network loses it."""
        self._act(LegEnded("", "network"))

    def does(self, deed: Deed) -> None:
        """One of these, by its word; who is asked for a key takes the call, or refuses it, by pressing one."""
        match deed:
            case "answer":
                self.answers()
            case "busy":
                self.busy()
            case "accept":
                self.takes_call()
            case "refuse" if self.asked:
                self.passes_up()
            case "refuse":
                self.refuses()
            case "offline":
                self.offline()
            case "fail":
                self.fails("failed")
            case "hangup":
                self.hangs_up()

    # The script's side.

    def rung(self, leg: str) -> Event:
        """A leg rings. Returns what the seat does."""
        self._leg, self._answered, self.talking = leg, False, False
        self.rang += 1
        plan, self._plan = self._plan, None
        return LegRinging(leg) if plan is None else self._on_leg(plan)

    def drop(self, leg: str, reason: str) -> bool:
        if leg != self._leg:
            return False
        self._leg, self._answered, self.talking = None, False, False
        self.dropped.append(reason)
        return True

    def whisper(self, leg: str, names: list[str]) -> bool:
        if leg != self._leg:
            return False
        self.whispered += names
        return True

    def connect(self, leg: str) -> None:
        self.talking = self.talking or leg == self._leg

    def _act(self, event: Event) -> None:
        if self._leg is None:
            self._plan = event
        else:
            self._script.happens(self._on_leg(event))

    def _on_leg(self, event: Event) -> Event:
        leg = self._leg or ""
        match event:
            case LegAnswered():
                self._answered = True
                return LegAnswered(leg)
            case LegFailed(outcome=outcome):
                self._leg = None
                return LegFailed(leg, outcome)
            case LegEnded(by=by):
                self._leg, self._answered, self.talking = None, False, False
                return LegEnded(leg, by)
            case _:
                return event


class Script:
    """Acts one call. Time passes only in :meth:`waits`, :meth:`hears` and :meth:`presses`; seconds from its start."""

    def __init__(
        self,
        flow: Flow,
        facts: CallFacts = A_CALLER,
        *,
        groups: Mapping[str, tuple[Member, ...]] | None = None,
        flows: Mapping[str, Flow] | None = None,
        outside: Outside = nobody_outside,
        environment: Environment | None = None,
        limits: Limits | None = None,
        lengths: Mapping[str, float] | None = None,
        prompt_seconds: float = 2.0,
        missing: Collection[str] = (),
        signed_in: Collection[str] | None = None,
    ) -> None:
        """``groups`` and ``flows`` are what the flow can refer to, or ``environment`` in their place; ``outside``
        answers what the flow asks of the world.

        ``lengths`` are seconds by recording or text, ``missing`` recordings that are not there.

        ``signed_in`` are the seats, and clients as ``rtc:USER``, that can be reached; unless given, every one that is
        rung.
        """
        self.run = FlowRun(
            flow,
            facts,
            environment=environment or Environment({flow.name: flow, **(flows or {})}, groups or {}),
            limits=limits,
        )
        self.asked: list[Asked] = []
        """What was asked of the world outside, in order."""
        self._outside = outside
        self._unanswered: set[int] = set()
        self.now = 0.0
        self.heard: list[Heard] = []
        self.records: list[StepRecord] = []
        self.tags: dict[str, str] = {}
        self.marks: dict[str, str] = {}
        """What the call's record says of it: language, variant, goal, disposition."""
        self.logs: list[str] = []
        self.actions: list[Action] = []
        self.left_at: int | None = None
        """How many actions there were when the caller left."""
        self.transcript: list[str] = []
        self.ringback = False
        self.silences: list[tuple[float, float]] = []
        """When the caller, his call taken, heard nothing: from, until. One that still lasts is not among them."""
        self._silent_from: float | None = None
        self._speaks = False
        self.voice = Voice()
        """The caller's, and whoever listens to it."""
        self.keys_sent = ""
        """Keys that the flow pressed."""
        self.ended: Ended | None = None
        self.ended_at: float | None = None
        """When; time can pass on after it."""
        self._lengths = lengths or {}
        self._seen = 0
        self._prompt_seconds = prompt_seconds
        self._missing = missing
        self._signed_in = signed_in
        self._rung: dict[str, str] = {}
        self._seats: dict[str, Seat] = {}
        self._playing: _Playing | None = None
        self._whispers: dict[str, int] = {}
        """What is being played to the parties of these legs."""
        self._referred: set[str] = set()
        """Legs that the caller's own telephone dials: he hears what that plays."""
        self._coming: list[tuple[float, int, Event | _ItemBegins]] = []
        self._order = count()
        self._at_once: deque[Event] = deque()
        self._do(self.run.start(self.now))
        self._settle()

    # What happens.

    def waits(self, seconds: float) -> None:
        """Let time pass."""
        self._waits_until(self.now + seconds)

    def _waits_until(self, until: float) -> None:
        while (due := self._due()) is not None and due <= until:
            self._step(due)
        self.now = until

    def hears(self, name: str) -> None:
        """Wait until that recording or text begins; none that began before the last call of this counts."""
        self.hears_where(lambda heard: heard.name == name, f"'{name}' is heard")

    def hears_where(self, fits: Callable[[Heard], bool], what: str) -> None:
        """The same for whatever fits; ``what`` says it in words."""
        self.until(lambda: self._heard_from(self._seen, fits), what)

    def hears_all(self) -> None:
        """Wait until what plays is over."""
        self.until(lambda: self._playing is None, "the prompt ends")

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Let time pass until something is so; ``what`` says it in words. Raises DidNotHappen."""
        limit = self.now + PATIENCE
        while not happened():
            due = self._due()
            if due is None or due > limit:
                raise DidNotHappen(what, self.transcript)
            self._step(due)

    def until_over(self) -> None:
        """Let time pass until the call has ended; one that nobody ends meets the limit of all calls."""
        while (due := self._due()) is not None:
            self._step(due)

    def presses(self, keys: str, *, after: str | None = None, gap: float = 0.2, source: KeySource = "rfc4733") -> None:
        """Press keys, one every ``gap`` seconds, the first that long from now, or from the beginning of a prompt."""
        if after is not None:
            self.hears(after)
        for key in keys:
            self.waits(gap)
            self.happens(KeyPressed(key, source))

    def says(self, text: str, confidence: float = 0.9, *alternatives: Hypothesis, seconds: float | None = None) -> None:
        """Say something, to whoever listens now, and wait until that is known; it may be taken for something else.

        ``seconds`` is how long it takes; by the number of words unless given.
        """
        self.speaks((Hypothesis(text, confidence), *alternatives), seconds)

    def mumbles(self, seconds: float = 1.0) -> None:
        """Say something that nobody understands."""
        self.speaks((), seconds)

    def speaks(self, hypotheses: Sequence[Hypothesis], seconds: float | None = None) -> None:
        """The same, for what it may be taken for, best first."""
        length = seconds_of(hypotheses) if seconds is None else seconds
        what = f'"{hypotheses[0].text}"' if hypotheses else "something unclear"
        if self.run.secret_input:
            what = "something secret"
        coming = list(self.voice.speaks(hypotheses, length, self.now))
        if coming:
            self._tell(f"the caller says {what}")
        else:
            why = "too short to be heard over the beginning of a prompt" if self.voice.listened_to else "nobody listens"
            self._tell(f"the caller says {what}: {why}")
        for at, event in coming:
            self._comes(at, event)
        ends = self.now + length
        self._speaks = True
        self._note_silence()
        self._waits_until(ends)
        self._speaks = False
        self._note_silence()
        self._waits_until(max([ends, *(at for at, _ in coming)]))

    def cannot_be_heard(self, *, fails: bool = True) -> None:
        """From now on nobody can listen; or somebody can again."""
        self.voice.fails = fails
        if (lost := self.voice.lost()) is not None:
            self.happens(lost)

    def hangs_up(self) -> None:
        """The caller does."""
        self.happens(CallerLeft("caller", "bye"))

    def is_lost(self) -> None:
        """The caller's network does."""
        self.happens(CallerLeft("network", "media_timeout"))

    def seat(self, name: str) -> Seat:
        """The one behind ``sip:NAME`` or ``tel:NAME``; ``rtc:USER`` is the RTC client of that name."""
        return self._seats.setdefault(name, Seat(self, name))

    def happens(self, event: Event) -> None:
        """Any event, now."""
        self._at_once.append(event)
        self._settle()

    # What can be looked at.

    @property
    def playing(self) -> bool:
        return self._playing is not None

    def longest_silence(self, since: float = 0.0) -> tuple[float, float]:
        """From when and how long the caller heard nothing at a stretch, seconds; the present silence counts too."""
        spans = [*self.silences, *([] if self._silent_from is None else [(self._silent_from, self.now)])]
        found = [(max(begin, since), end - max(begin, since)) for begin, end in spans if end > since]
        return max(found, key=lambda span: span[1], default=(since, 0.0))

    @property
    def ringing(self) -> list[str]:
        """The seats and numbers that are rung, in the order in which they were first rung."""
        return [name for name, seat in self._seats.items() if seat.ringing]

    @property
    def asked_parties(self) -> list[str]:
        """Those that have answered and do not have the caller yet."""
        return [name for name, seat in self._seats.items() if seat.asked]

    @property
    def accept_key(self) -> str | None:
        """The key that takes the call, if the present step asks those who answer for one."""
        acceptance = getattr(self.run.step.settings, "acceptance", None) if self.run.step is not None else None
        return acceptance.key if isinstance(acceptance, Acceptance) else None

    @property
    def talking(self) -> list[str]:
        """Those that talk to the caller."""
        return [name for name, seat in self._seats.items() if seat.talking]

    @property
    def ended_by(self) -> EndedBy | None:
        return self.run.ended_by

    @property
    def path(self) -> tuple[str, ...]:
        return self.run.path

    @property
    def names(self) -> list[str]:
        """What was heard, in order."""
        return [heard.name for heard in self.heard]

    # Time.

    def _heard_from(self, first: int, fits: Callable[[Heard], bool]) -> bool:
        for number, heard in enumerate(self.heard[first:], first + 1):
            if fits(heard):
                self._seen = number
                return True
        return False

    def _due(self) -> float | None:
        timer = self.run.next_timer()
        coming = self._coming[0][0] if self._coming else None
        return min((due for due in (timer, coming) if due is not None), default=None)

    def _step(self, due: float) -> None:
        self.now = max(self.now, due)
        if self._coming and self._coming[0][0] <= self.now:
            coming = heapq.heappop(self._coming)[2]
            if isinstance(coming, _ItemBegins):
                self._item_begins(coming)
            else:
                self._at_once.append(coming)
        else:
            self._do(self.run.handle_timer(self.now))
        self._settle()

    def _settle(self) -> None:
        while self._at_once:
            event = self._at_once.popleft()
            if isinstance(event, PlayEnded) and not self._play_over(event):
                continue
            if isinstance(event, LegAnswered | LegFailed | LegEnded):
                self._referred.discard(event.leg_id)
                self._whispers.pop(event.leg_id, None)
            if isinstance(event, RequestDone):
                if event.request_id not in self._unanswered:
                    continue
                self._unanswered.remove(event.request_id)
            if isinstance(event, SpeechStarted | SpeechHeard | HearingFailed) and not self.voice.told(event):
                continue
            if isinstance(event, CallerLeft):
                self.left_at = len(self.actions)
            self._tell_event(event)
            self._do(self.run.handle(event, self.now))
        self._note_silence()

    def _note_silence(self) -> None:
        """Who speaks himself does not miss hearing something."""
        talks = any(seat.talking for seat in self._seats.values())
        hears = self.playing or self.ringback or bool(self._referred) or talks or self._speaks
        silent = self.run.answered and not self.run.finished and not hears
        if silent and self._silent_from is None:
            self._silent_from = self.now
        elif not silent and self._silent_from is not None:
            if self.now > self._silent_from:
                self.silences.append((self._silent_from, self.now))
            self._silent_from = None

    # The telephone.

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self.actions.append(action)
            self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case Answer():
                self._at_once.append(Answered())
            case Early():
                self._tell("heard before the answer")
            case SendKeys(keys):
                self.keys_sent += keys
                self._tell(f"keys are sent: {keys}")
            case Play():
                self._play(action)
            case StopPlaying():
                self._stop()
            case Listen():
                self.voice.listen(action, self.now)
                if (lost := self.voice.lost()) is not None:
                    self._at_once.append(lost)
            case StopListening(listen_id):
                self.voice.stop(listen_id)
            case Ringback(on):
                self.ringback = on
            case Dial(leg_id, target):
                self._rung[leg_id] = party_of(target)
                if not self._is_there(target):
                    self._at_once.append(LegFailed(leg_id, "offline"))
                    return
                self._tell(f"{target} rings")
                self._at_once.append(self.seat(party_of(target)).rung(leg_id))
            case Refer(leg_id, target, wait):
                self._refer(leg_id, target, wait=wait)
            case Whisper(leg_id):
                self._whisper(action)
            case Drop(leg_id, reason):
                self._whispers.pop(leg_id, None)
                self._referred.discard(leg_id)
                for name, seat in self._seats.items():
                    if seat.drop(leg_id, reason):
                        self._tell(f"{name} is dropped: {reason}")
            case Connect(leg_id):
                self._whispers.pop(leg_id, None)
                for name, seat in self._seats.items():
                    seat.connect(leg_id)
                    if seat.talking:
                        self._tell(f"{name} talks to the caller")
            case Request(_, asked, True):
                self.asked.append(asked)
                self._outside(asked)
            case Request(request_id, asked):
                self._request(request_id, asked)
            case CancelRequest(request_id):
                self._unanswered.discard(request_id)
            case Log(text):
                self.logs.append(text)
                self._tell(f"log: {text}")
            case Tag(name, value):
                self.tags[name] = value
                self._tell(f"tag {name}: {value}")
            case Mark(kind, value):
                self.marks[kind] = value
                self._tell(f"{kind}: {value}")
            case StepDone(record):
                self.records.append(record)
                self._tell_step(record)
            case Hangup(cause):
                self._stop()
                self._tell(f"the flow hangs up: {cause}")
            case Reject(status, text):
                self._tell(f"the call is refused: {status} {text}".rstrip())
            case Ended():
                self.ended, self.ended_at = action, self.now
                self._tell(f"ended by {action.by}: {action.cause}")
            case _:
                pass

    def _play(self, play: Play) -> None:
        self._stop()
        gone = [_name(item) for item in play.items if _name(item) in self._missing]
        if gone:
            self._at_once.append(PlayFailed(play.play_id, f"'{gone[0]}' is missing"))
            return
        length = sum(self._length(item) for item in play.items)
        self._playing = _Playing(play, self.now)
        begins = self.now
        for item in play.items:
            self._comes(begins, _ItemBegins(play.play_id, item))
            begins += self._length(item)
        if not play.loop:
            self._comes(begins, PlayEnded(play.play_id, round(length * 1000), True))

    def _is_there(self, target: Target) -> bool:
        """Whether it can be reached at all; through a trunk everybody can."""
        return self._signed_in is None or target.scheme == "tel" or party_of(target) in self._signed_in

    def _refer(self, leg_id: str, target: Target, *, wait: bool) -> None:
        self._rung[leg_id] = party_of(target)
        if not self._is_there(target):
            self._at_once.append(LegFailed(leg_id, "offline"))
        elif not self.run.answered:
            self._tell(f"the caller is redirected to {target}")
            self._at_once.append(LegAnswered(leg_id))
        elif not wait:
            self._tell(f"the caller's telephone is told to call {target}")
            self._at_once.append(LegAnswered(leg_id))
        else:
            self._tell(f"{target} rings: the caller's telephone calls it")
            self._referred.add(leg_id)
            self._at_once.append(self.seat(party_of(target)).rung(leg_id))

    def _whisper(self, whisper: Whisper) -> None:
        names = [_name(item) for item in whisper.items]
        gone = [name for name in names if name in self._missing]
        if gone:
            self._at_once.append(PlayFailed(whisper.play_id, f"'{gone[0]}' is missing", whisper.leg_id))
            return
        for seat, one in self._seats.items():
            if one.whisper(whisper.leg_id, names):
                self._tell(f"♪ {', '.join(names)}, to {seat} alone")
        self._whispers[whisper.leg_id] = whisper.play_id
        seconds = sum(self._length(item) for item in whisper.items)
        heard_ms = round(seconds * 1000)
        self._comes(self.now + seconds, PlayEnded(whisper.play_id, heard_ms, True, whisper.leg_id))

    def _request(self, request_id: int, asked: Asked) -> None:
        self.asked.append(asked)
        self._unanswered.add(request_id)
        seconds, reply = self._outside(asked)
        self._comes(self.now + seconds, RequestDone(request_id, reply, seconds))

    def _comes(self, at: float, what: Event | _ItemBegins) -> None:
        heapq.heappush(self._coming, (at, next(self._order), what))

    def _item_begins(self, begins: _ItemBegins) -> None:
        if self._playing is not None and self._playing.play.play_id == begins.play_id:
            name = _name(begins.item)
            spoken = isinstance(begins.item, PlayText)
            self.heard.append(Heard(self.now, name, self._length(begins.item), spoken=spoken))
            self._tell(f"♪ {name}")

    def _stop(self) -> None:
        playing, self._playing = self._playing, None
        if playing is None:
            return
        if self.heard and not playing.play.loop:
            last = self.heard[-1]
            last.seconds, last.cut = self.now - last.at, True
        heard_ms = round((self.now - playing.began) * 1000)
        self._at_once.append(PlayEnded(playing.play.play_id, heard_ms, False))

    def _play_over(self, event: PlayEnded) -> bool:
        """Whether the event is true: the end of a play that was stopped before is not."""
        if event.leg_id is not None:
            ours = self._whispers.get(event.leg_id) == event.play_id
            if ours:
                del self._whispers[event.leg_id]
            return ours
        if not event.completed:
            return True
        if self._playing is None or self._playing.play.play_id != event.play_id:
            return False
        self._playing = None
        return True

    def _length(self, item: PlayItem) -> float:
        return self._lengths.get(_name(item), self._prompt_seconds)

    def _tell_event(self, event: Event) -> None:
        match event:
            case KeyPressed(key=key, leg_id=None):
                self._tell(f"key {key}")
            case KeyPressed(key=key, leg_id=str() as leg):
                self._tell(f"{self._rung.get(leg, leg)} presses {key}")
            case CallerLeft(by=by, cause=cause):
                self._stop()
                self._tell(f"the caller is gone: {by}, {cause}")
            case LegAnswered(leg_id=leg):
                self._tell(f"{self._rung[leg]} answers")
            case LegFailed(leg_id=leg, outcome=outcome):
                self._tell(f"{self._rung[leg]}: {outcome}")
            case LegEnded(leg_id=leg, by=by):
                self._tell(f"{self._rung[leg]} {'hangs up' if by == 'agent' else 'is lost'}")

    def _tell_step(self, record: StepRecord) -> None:
        if record.input_mode == "speech":
            self._tell(f"{heard_in(record)}: {record.exit}")

    def _tell(self, what: str) -> None:
        self.transcript.append(f"{self.now:7.1f}  {self.run.last_block:<16}  {what}")


def heard_in(record: StepRecord) -> str:
    """What was heard in a try, and how sure that is."""
    if record.input is None:
        return "what was heard is secret" if record.confidence is not None else "nothing was understood"
    return f'heard "{record.input}" {record.confidence or 0.0:.2f}'


def _name(item: PlayItem) -> str:
    return item.words if isinstance(item, PlayText) else item.name
