"""Whatever happens in a call, in whatever order, it comes to one end and leaves nobody ringing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.call import (
    Answered,
    CallEnded,
    CallerHeld,
    CallerLeft,
    CallerRetrieved,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegHeld,
    LegRinging,
    MediaStarted,
    PlayEnded,
)
from ivr.flow.model import Flow
from ivr.hearing import Hypothesis, Recognition
from ivr.run.actions import (
    Action,
    Answer,
    CancelRequest,
    Connect,
    Dial,
    Drop,
    Ended,
    Hangup,
    Listen,
    OfferEnded,
    OfferStarted,
    Play,
    Reject,
    Request,
    StepDone,
    StopListening,
    StopPlaying,
)
from ivr.run.events import Event, HearingFailed, PlayFailed, RequestDone, SpeechHeard, SpeechStarted
from ivr.run.flow_run import FlowRun, Limits
from ivr.run.requests import Delivered, HttpResponse, NoReply, PluginResult, TableRow
from ivr.run.script import A_CALLER
from tests.run.flows import ENVIRONMENT, OFFICE, SHOP, flow

LOOPS = """\
on_error: again
vars:
  count: {type: number, default: 0}
  pin: {type: digits, default: '12', secret: true}
blocks:
  welcome:
    - ringing
    - ring: {group: front_desk, strategy: order, ring: 5s, answered: welcome, busy: again, no_answer: again,
             failed: again}
  again:
    - set: {count: count + 1}
    - say: '{count} {count:digits} {pin:spell}'
    - goto: ask
  ask:
    - collect: {into: pin, prompt: [], digits: 1..4, tries: 2, type_ahead: keep, finish_key: none}
    - if: {when: pin == '0', then: seat}
    - play: {prompt: [one, two], loop: yes}
    - goto: welcome
  seat:
    - transfer: {to: 'tel:{pin}{call.did}', ring: 3s, answered: again, busy: ask, refused: seat, no_answer: welcome,
                 offline: ask}
"""

DULL = """\
on_hangup: gone
blocks:
  welcome:
    - answer
    - play: {prompt: legal, barge_in: no}
    - music: {recording: song, for: 5s}
    - pause: 1s
    - confirm: {prompt: sure, yes: bye, no: no_way, failed: no_way}
  bye:
    - hangup
  no_way:
    - reject: 603
  gone:
    - tag: {where: '{last.block}'}
    - end
"""

ASKING = """\
on_hangup: gone
on_error: again
vars: {row: json, n: {type: number, default: 1}}
blocks:
  welcome:
    - http: {get: 'https://a.example/{call.did}', while_waiting: [one], into: row, status: {'404': again},
             failed: continue}
    - answer
    - lookup: {table: t, key: '{n}', into: n, while_waiting: two, miss: continue}
    - plugin: {name: p, args: {n: n}, into: row, while_waiting: three, high: again}
    - notify: {webhook: w, data: {n: n}, failed: again}
    - play: four
    - goto: welcome
  again:
    - pause: 1s
    - goto: welcome
  gone:
    - notify: {webhook: w, data: {n: n}, failed: last}
    - end
  last:
    - end
"""

REPLIES = st.sampled_from(
    [
        NoReply("nobody is there"),
        HttpResponse(200, {"a": [1]}),
        HttpResponse(404),
        TableRow(None),
        TableRow({"a": "x"}),
        TableRow({"a": 2, "b": None}),
        Delivered(),
        PluginResult("high", 3),
        PluginResult("unheard_of"),
    ]
)

SAID = st.builds(
    Recognition,
    st.lists(
        st.builds(
            Hypothesis,
            st.sampled_from(["sales", "1 2 3 5", "yes", "no", "buy a bicycle", "1234", "", "hm"]),
            st.floats(0.0, 1.0),
            st.sampled_from([None, "1", "buy", "yes", "unheard_of"]),
        ),
        max_size=3,
    ).map(tuple),
    st.just(0),
    st.just(500),
    st.just(100),
)

LEGS = [f"leg{n}" for n in range(1, 6)]
EVENTS = st.one_of(
    st.builds(KeyPressed, st.sampled_from("012345*#"), st.sampled_from(["rfc4733", "info", "inband"])),
    st.builds(PlayEnded, st.integers(0, 8), st.integers(-5, 9_000), st.booleans()),
    st.builds(PlayFailed, st.integers(1, 8), st.just("it is missing")),
    st.builds(LegRinging, st.sampled_from(LEGS)),
    st.builds(LegAnswered, st.sampled_from(LEGS)),
    st.builds(
        LegFailed,
        st.sampled_from(LEGS),
        st.sampled_from(["busy", "refused", "no_answer", "offline", "failed"]),
    ),
    st.builds(LegEnded, st.sampled_from(LEGS), st.sampled_from(["agent", "network"])),
    st.builds(LegHeld, st.sampled_from(LEGS)),
    st.sampled_from([Answered(), MediaStarted(), CallerHeld(), CallerRetrieved()]),
    st.builds(RequestDone, st.integers(1, 4), REPLIES, st.floats(0.0, 5.0)),
    st.builds(SpeechStarted, st.integers(1, 5)),
    st.builds(SpeechHeard, st.integers(1, 5), SAID),
    st.builds(HearingFailed, st.integers(1, 5), st.just("it died")),
)
LAST = st.sampled_from([CallerLeft("caller", "bye"), CallerLeft("network", "lost"), CallEnded(None, ()), None])
MOMENTS = st.lists(
    st.tuples(st.floats(-1.0, 8.0), st.one_of(EVENTS, st.just("timer"), st.just("play ends"))), max_size=60
)

LIMITS = Limits(steps=200, call_seconds=600.0)


@dataclass
class Owner:
    """Does what the flow asks for, and looks whether it may ask it."""

    run: FlowRun
    now: float = 1000.0
    playing: int | None = None
    plays: set[int] = field(default_factory=set)
    legs: set[str] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    listening: int | None = None
    listenings: set[int] = field(default_factory=set)
    answer_asked: bool = False
    ended: Ended | None = None
    over: bool = False
    seq: int = 0

    def does(self, actions: list[Action]) -> None:
        for action in actions:
            assert self.ended is None, "nothing follows the end"
            self.one(action)
        assert self.run.finished == (self.ended is not None)
        timer = self.run.next_timer()
        assert (timer is None) == self.run.finished

    def one(self, action: Action) -> None:
        match action:
            case Answer():
                assert not self.answer_asked
                self.answer_asked = True
            case Play(play_id, items):
                assert self.playing is None, "one play at a time"
                assert play_id not in self.plays
                assert items
                self.playing = play_id
                self.plays.add(play_id)
            case StopPlaying():
                self.playing = None
            case Listen(listen_id, wanted):
                assert self.listening is None, "one listening at a time"
                assert listen_id not in self.listenings
                assert wanted.phrases or wanted.type, "there is something to listen for"
                self.listening = listen_id
                self.listenings.add(listen_id)
            case StopListening(listen_id):
                assert listen_id == self.listening
                self.listening = None
            case OfferStarted(leg_id):
                assert leg_id not in self.offered
                self.offered.add(leg_id)
            case Dial(leg_id):
                assert leg_id in self.offered
                self.legs.add(leg_id)
            case OfferEnded(leg_id):
                self.offered.remove(leg_id)
            case Drop(leg_id):
                self.legs.remove(leg_id)
            case Connect(leg_id):
                assert leg_id in self.legs
                assert self.answer_asked
            case Hangup() | Reject():
                assert not self.over
                self.over = True
            case Request(request_id, _, detached):
                assert request_id not in self.asked
                if not detached:
                    self.asked.add(request_id)
            case CancelRequest(request_id):
                self.asked.remove(request_id)
            case StepDone(record):
                self.seq += 1
                assert record.seq == self.seq
                assert record.began <= record.ended <= self.now
                assert "1234" not in (record.input or "")
            case Ended():
                self.ended = action
                self.playing = None

    def happens(self, event: Event) -> None:
        match event:
            case Answered():
                self.answer_asked = True
            case RequestDone(request_id=request_id):
                if request_id not in self.asked:
                    return
                self.asked.remove(request_id)
            case SpeechHeard(listen_id=listen_id) | HearingFailed(listen_id=listen_id) if listen_id == self.listening:
                self.listening = None
            case LegFailed(leg_id=leg) | LegEnded(leg_id=leg):
                self.legs.discard(leg)
            case PlayEnded(play_id=play_id) | PlayFailed(play_id=play_id) if play_id == self.playing:
                self.playing = None
        self.does(self.run.handle(event, self.now))

    def waits_for_the_timer(self) -> None:
        timer = self.run.next_timer()
        if timer is not None:
            self.now = max(self.now, timer)
            self.does(self.run.handle_timer(self.now))


@pytest.fixture(
    scope="module", params=[OFFICE, LOOPS, DULL, ASKING, SHOP], ids=["office", "loops", "dull", "asking", "shop"]
)
def sample(request: pytest.FixtureRequest) -> Flow:
    return flow(request.param)


@given(moments=MOMENTS, last=LAST)
@settings(max_examples=300, deadline=None)
def test_any_call_comes_to_one_end(sample: Flow, moments: list[tuple[float, Event | str]], last: Event | None) -> None:
    owner = Owner(FlowRun(sample, A_CALLER, environment=ENVIRONMENT, limits=LIMITS))
    owner.does(owner.run.start(owner.now))
    for seconds, what in moments:
        owner.now = max(owner.now, owner.now + seconds)
        match what:
            case "timer":
                owner.waits_for_the_timer()
            case "play ends":
                owner.happens(PlayEnded(owner.playing or 0, 1_000, True))
            case str():
                pass
            case event:
                owner.happens(event)
    if last is not None:
        owner.happens(last)
    for _ in range(2_000):
        if owner.ended is not None:
            break
        owner.waits_for_the_timer()
    assert owner.ended is not None, "a call that nobody ends is ended by the limits"
    assert owner.run.ended_by == owner.ended.by
    assert not owner.legs, "everybody who was dialled was dropped, failed or hung up"
    assert not owner.offered
    assert owner.listening is None, "nobody listens any more"
    assert not owner.asked, "nobody waits for an answer any more"
    assert owner.seq > 0 or owner.run.path == ()


@given(moments=MOMENTS)
@settings(max_examples=100, deadline=None)
def test_a_call_gone_through_twice_goes_the_same_way(sample: Flow, moments: list[tuple[float, Event | str]]) -> None:
    def through() -> list[Action]:
        run = FlowRun(sample, A_CALLER, environment=ENVIRONMENT, limits=LIMITS)
        now = 0.0
        actions = run.start(now)
        for seconds, what in moments:
            now += seconds
            actions += run.handle_timer(now) if isinstance(what, str) else run.handle(what, now)
        return actions

    assert through() == through()


@pytest.mark.parametrize(
    "broken",
    [
        lambda step: replace(step, settings=object()),
        lambda step: replace(step, exits={}),
        lambda step: replace(step, verb="teleport"),
    ],
    ids=["settings", "exits", "verb"],
)
def test_a_flow_that_slipped_through_the_checks_ends_all_the_same(
    sample: Flow, broken: Callable[[object], object]
) -> None:
    for name, block in sample.blocks.items():
        for index in range(len(block.steps)):
            steps = tuple(broken(step) if at == index else step for at, step in enumerate(block.steps))
            mutant = replace(sample, blocks={**sample.blocks, name: replace(block, steps=steps)})  # type: ignore[arg-type]
            owner = Owner(FlowRun(mutant, A_CALLER, environment=ENVIRONMENT, limits=LIMITS))
            owner.does(owner.run.start(owner.now))
            owner.happens(Answered())
            for _ in range(2_000):
                if owner.ended is None and owner.playing is not None:
                    owner.now += 1.0
                    owner.happens(PlayEnded(owner.playing, 1_000, True))
                if owner.ended is not None:
                    break
                owner.waits_for_the_timer()
            assert owner.ended is not None
            assert not owner.legs
