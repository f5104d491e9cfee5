"""A flow on a call: what it asks for is done, what happens is written down, and nothing of it outlives the call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.call import (
    Answered,
    AudioHeard,
    CallEnded,
    CallerHeld,
    CallerLeft,
    Clip,
    DropReason,
    EarlyMedia,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegKind,
    LegReport,
    LegRinging,
    LegView,
    PlayEnded,
    Target,
)
from ivr.hearing import EarEvent, Hypothesis, NotHeard, Recognition, SpeechBegan, Wanted
from ivr.records.events import RecordEvent
from ivr.run.actions import PlayItem, PlayRecording, PlayText
from ivr.run.conversation import CallFacts
from ivr.run.flow_run import FlowRun
from ivr.run.live import LiveCall
from ivr.run.requests import Asked, HttpResponse, Notification, Reply
from tests.run.flows import ENVIRONMENT, flow

Story = Callable[["Stage"], Coroutine[Any, Any, None]]

MENU = """\
on_hangup: tidy_up
blocks:
  welcome:
    - answer
    - menu: {prompt: main_menu, keys: {'1': seat, '2': speak}, failed: bye}
  seat:
    - ring: {group: front_desk, ring: 20s, answered: speak, busy: bye, no_answer: bye, failed: bye}
  speak:
    - say: 'It is {call.did}'
    - hangup
  bye:
    - hangup
  tidy_up:
    - tag: {left: '{last.block}'}
    - end
"""


class Telephone:
    """The call as the gateway would hold it; writes down what it is asked for."""

    call_id, caller, caller_name, caller_account, did = "c1", "anna", "", None, "1000"
    caller_kind: LegKind = "sip"
    pstn = False

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.breaks_at = ""
        self.clips: list[str] = []
        """Of the last play, by name, and whether there are no more."""
        self.whole = True

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.breaks_at and what.startswith(self.breaks_at):
            raise RuntimeError("the telephone is broken")

    def ringing(self) -> None:
        self._ask("ringing")

    def answer(self) -> None:
        self._ask("answer")

    def reject(self, status: int, text: str = "") -> None:
        self._ask(f"reject {status}")

    def hangup(self, cause: str = "normal") -> None:
        self._ask(f"hangup {cause}")

    def play(
        self,
        play_id: int,
        clips: Sequence[Clip],
        *,
        loop: bool = False,
        more: bool = False,
        leg_id: str | None = None,
    ) -> None:
        self.clips = [clip.name for clip in clips]
        self.whole = not more
        self._ask(f"play {play_id}" + ("" if leg_id is None else f" to {leg_id}"))

    def extend_play(self, play_id: int, clips: Sequence[Clip], *, more: bool) -> None:
        self.clips += [clip.name for clip in clips]
        self.whole = not more

    def stop_playing(self) -> None:
        self._ask("stop")

    def ringback(self, on: bool) -> None:
        self._ask(f"ringback {on}")

    def dial(
        self,
        leg_id: str,
        target: Target,
        *,
        caller_id: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._ask(" ".join([f"dial {leg_id} {target}", *(f"{name}={value}" for name, value in headers)]))

    def refer(self, leg_id: str, target: Target, *, wait: bool = True, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._ask(f"refer {leg_id} {target}" + ("" if wait else " blind"))

    def drop(self, leg_id: str, reason: DropReason) -> None:
        self._ask(f"drop {leg_id} {reason}")

    def connect(self, leg_id: str) -> None:
        self._ask(f"connect {leg_id}")

    def disconnect(self) -> None:
        self._ask("disconnect")

    def early(self) -> None:
        self._ask("early")

    def legs(self) -> tuple[LegView, ...]:
        return ()

    def send_keys(self, keys: str, *, duration_ms: int = 100, gap_ms: int = 100) -> None:
        self._ask(f"send_keys {keys}")

    def listen(self, on: bool) -> None:
        self._ask(f"listen {on}")


class ListensTo:
    """One caller, for one utterance; the test says what is heard."""

    def __init__(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> None:
        self.wanted = wanted
        self.tell = tell
        self.heard: list[bytes] = []
        self.closed = False

    def feed(self, pcm: bytes) -> None:
        self.heard.append(pcm)

    def close(self) -> None:
        self.closed = True


class Stage:
    """One call, its flow, its sounds and its journal."""

    def __init__(self, text: str) -> None:
        self.telephone = Telephone()
        self.journal: list[RecordEvent] = []
        self.over: list[LiveCall] = []
        self.made = asyncio.Event()
        """The first sentences of texts are spoken once this is set, and the others once this is:"""
        self.made_more = asyncio.Event()
        self.cannot_speak: Exception | None = None
        self.missing: set[str] = set()
        self.replies: list[Reply] = []
        self.ears: list[ListensTo] = []
        self.sent: list[tuple[Asked, str]] = []
        """What was asked without an answer being awaited, and for which call."""
        sample = flow(text)
        facts = CallFacts("c1", "anna", "", None, "1000", datetime(2026, 1, 5, 12, tzinfo=UTC))
        self.run = FlowRun(sample, facts, environment=ENVIRONMENT)
        self.live = LiveCall(
            self.telephone,
            self.run,
            flow="sample",
            flow_version="v",
            language="en",
            node_id="n",
            sounds=self,
            outside=self,
            ears=self,
            journal=self,
            loop=asyncio.get_running_loop(),
            on_over=self.over.append,
        )

    def append(self, event: RecordEvent) -> None:
        self.journal.append(event)

    def ready(self, item: PlayItem) -> Clip | None:
        if isinstance(item, PlayRecording):
            if item.name in self.missing:
                raise LookupError(f"there is no recording '{item.name}'")
            return Clip(b"\xff" * 160, item.name)
        return None

    async def make(self, item: PlayItem) -> AsyncIterator[Clip]:
        assert isinstance(item, PlayText)
        for number, sentence in enumerate(item.text.split(". ")):
            await (self.made if not number else self.made_more).wait()
            if self.cannot_speak is not None:
                raise self.cannot_speak
            yield Clip(b"\xff" * 160, sentence)

    def listen(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> ListensTo:
        self.ears.append(ListensTo(wanted, tell))
        return self.ears[-1]

    def send(self, asked: Asked, call_id: str) -> None:
        self.sent.append((asked, call_id))

    async def perform(self, asked: Asked) -> Reply:
        await self.made.wait()
        return self.replies.pop(0)

    def happens(self, *events: Any) -> None:
        for event in events:
            self.live.call_event(event)

    def in_menu(self) -> None:
        self.live.begin()
        self.happens(Answered())

    def ends(self, cause: str = "normal", *reports: LegReport) -> dict[str, Any]:
        self.happens(CallEnded(200, reports, cause))
        return self.last("call.ended")

    def kinds(self) -> list[str]:
        return [event.type for event in self.journal]

    def last(self, kind: str, leg: str | None = None) -> dict[str, Any]:
        found = [e for e in self.journal if e.type == kind and leg in (None, (e.leg_id or "").removeprefix("c1-"))]
        return dict(found[-1].data)


def acted(story: Story, text: str = MENU) -> Stage:
    """Act it, and see that nothing is left running."""
    stages: list[Stage] = []

    async def act() -> None:
        loop = asyncio.get_running_loop()
        troubles: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: troubles.append(context))
        stage = Stage(text)
        stages.append(stage)
        await story(stage)
        await asyncio.sleep(0)
        assert not troubles
        assert stage.over == [stage.live]
        assert stage.live._timer is None
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert all(task.cancelling() for task in others)
        assert stage.kinds().count("call.ended") == 1
        assert stage.kinds()[-1] == "call.ended"

    asyncio.run(act())
    return stages[0]


def test_a_call_through_the_menu_to_a_seat_and_back() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(KeyPressed("1"), LegRinging("leg1"), LegAnswered("leg1"))
        assert "connect leg1" in stage.telephone.asked
        stage.happens(LegEnded("leg1", "agent"))
        assert stage.last("leg.ended", "leg1") == {"hangup_by": "remote"}
        stage.made.set()
        await asyncio.sleep(0)
        stage.happens(PlayEnded(2, 900, True))
        assert stage.ends()["ended_by"] == "agent" or stage.telephone.asked[-1] == "hangup normal"

    stage = acted(story)
    # The other seat rings on until the two are connected, and its end is written down when it is.
    kinds = [(event.type, (event.leg_id or "").removeprefix("c1-")) for event in stage.journal]
    assert kinds.index(("leg.ended", "leg2")) < kinds.index(("bridge.leave", "leg1"))
    assert kinds.index(("bridge.join", "leg1")) < kinds.index(("bridge.leave", "leg1"))
    assert kinds.count(("bridge.leave", "leg1")) == 1
    # The leg first: who talked did so to its last millisecond.
    assert kinds.index(("leg.ended", "leg1")) < kinds.index(("bridge.leave", "leg1"))


def test_the_caller_gives_up_before_the_first_step() -> None:
    async def story(stage: Stage) -> None:
        stage.happens(CallerLeft("caller", "cancel"))
        assert stage.telephone.asked == ["hangup cancel"]
        stage.live.begin()
        assert stage.ends("cancel") | {"last_block": ""} == {
            "ended_by": "caller",
            "end_cause": "cancel",
            "sip_status": 200,
            "last_block": "",
        }
        stage.live.begin()

    stage = acted(story)
    assert stage.telephone.asked == ["hangup cancel"]
    assert "flow.step" not in stage.kinds()


def test_the_caller_goes_while_a_text_is_being_spoken() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(KeyPressed("2"))
        await asyncio.sleep(0)
        stage.happens(CallerLeft("caller", "bye"))
        stage.made.set()
        await asyncio.sleep(0)
        assert stage.ends()["ended_by"] == "caller"

    stage = acted(story)
    assert not [asked for asked in stage.telephone.asked if asked == "play 2"]
    assert stage.last("tag") == {"name": "left", "value": "speak"}
    assert stage.last("leg.ended", "caller")["hangup_by"] == "remote"


@pytest.mark.parametrize("error", [OSError("no voice"), ValueError("bad text"), TimeoutError()])
def test_a_text_that_cannot_be_spoken_is_the_flows_affair(error: Exception) -> None:
    async def story(stage: Stage) -> None:
        stage.cannot_speak = error
        stage.made.set()
        stage.in_menu()
        stage.happens(KeyPressed("2"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert stage.ends()["ended_by"] == "system"

    assert acted(story).telephone.asked[-1] == "hangup error"


LONG = """\
blocks:
  welcome:
    - answer
    - play: [welcome, {say: 'You called {call.did}. Thank you. Goodbye'}]
    - hangup
"""


async def until(happened: Callable[[], bool]) -> None:
    """Let the tasks go on: what is waited for takes a few turns of the loop."""
    for _ in range(50):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not happen")


async def sentence_by_sentence(stage: Stage) -> None:
    """The recording is heard at once and the first sentence as soon as it is made; the others are not yet made."""
    stage.in_menu()
    assert (stage.telephone.clips, stage.telephone.whole) == (["welcome"], False)
    await asyncio.sleep(0)
    stage.made.set()
    await until(lambda: len(stage.telephone.clips) == 2)
    assert (stage.telephone.clips, stage.telephone.whole) == (["welcome", "You called 1000"], False)


def test_a_long_text_is_heard_while_it_is_made() -> None:
    async def story(stage: Stage) -> None:
        await sentence_by_sentence(stage)
        stage.made_more.set()
        await until(lambda: stage.telephone.whole)
        assert stage.telephone.clips == ["welcome", "You called 1000", "Thank you", "Goodbye"]
        stage.happens(PlayEnded(1, 3000, True))
        assert stage.ends()["ended_by"] == "flow"

    stage = acted(story, LONG)
    assert [asked for asked in stage.telephone.asked if "play" in asked or "stop" in asked] == ["play 1"]
    (step,) = [event.data for event in stage.journal if event.type == "flow.step" and event.data["verb"] == "play"]
    assert step["heard_ms"] == 3000


def test_the_rest_of_a_text_that_cannot_be_made_is_the_flows_affair_once_it_is_silent() -> None:
    async def story(stage: Stage) -> None:
        await sentence_by_sentence(stage)
        stage.cannot_speak = OSError("no voice")
        stage.made_more.set()
        await until(lambda: stage.telephone.asked[-1] == "stop")
        assert "hangup" not in " ".join(stage.telephone.asked)
        stage.happens(PlayEnded(1, 1200, False))
        assert stage.ends()["ended_by"] == "system"

    stage = acted(story, LONG)
    (step,) = [event.data for event in stage.journal if event.type == "flow.step" and event.data["verb"] == "play"]
    assert (step["heard_ms"], step["error"]) == (1200, "no voice")


@pytest.mark.parametrize("end", ["key", "gone", "nobody hears"])
def test_the_rest_of_a_text_is_not_made_any_more(end: str) -> None:
    async def story(stage: Stage) -> None:
        await sentence_by_sentence(stage)
        if end == "key":
            stage.happens(KeyPressed("1"), PlayEnded(1, 700, False))
            assert "stop" in stage.telephone.asked
        elif end == "gone":
            stage.happens(CallerLeft("caller", "bye"))
        else:
            stage.happens(PlayEnded(1, 0, True))
        stage.made_more.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert stage.telephone.clips == ["welcome", "You called 1000"]
        stage.ends()

    acted(story, LONG)


def test_a_recording_that_is_missing() -> None:
    async def story(stage: Stage) -> None:
        stage.missing = {"main_menu"}
        stage.in_menu()
        await asyncio.sleep(0)
        errors = [event.data["error"] for event in stage.journal if event.type == "flow.step"]
        assert any("main_menu" in str(error) for error in errors)
        stage.ends()

    acted(story)


@pytest.mark.parametrize("breaks_at", ["answer", "play", "dial", "ringback", "connect", "stop", "drop"])
def test_a_telephone_side_that_fails_ends_the_call(breaks_at: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(stage: Stage) -> None:
        stage.telephone.breaks_at = breaks_at
        stage.in_menu()
        stage.happens(KeyPressed("1"), LegAnswered("leg1"))
        assert stage.telephone.asked[-1] == "hangup error"
        ended = stage.ends("error")
        assert (ended["ended_by"], ended["end_cause"]) == ("system", "error")

    with caplog.at_level(logging.ERROR):
        acted(story)
    assert "call c1: given up" in caplog.text


def test_a_flow_that_fails_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[object]:
        raise RuntimeError("a fault of ours")

    async def story(stage: Stage) -> None:
        stage.in_menu()
        monkeypatch.setattr(stage.run, "handle", broken)
        stage.happens(KeyPressed("1"))
        assert stage.telephone.asked[-1] == "hangup error"
        assert stage.ends("error")["ended_by"] == "system"

    acted(story)


def test_a_timer_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        monkeypatch.setattr(stage.run, "handle_timer", lambda _: 1 / 0)
        stage.live._timer_due()
        assert stage.telephone.asked[-1] == "hangup error"
        stage.ends("error")

    acted(story)


@pytest.mark.parametrize("phase", ["before", "menu", "speaking", "ringing", "talking"])
def test_a_shutdown_in_every_phase(phase: str) -> None:
    async def story(stage: Stage) -> None:
        if phase != "before":
            stage.in_menu()
        if phase == "speaking":
            stage.happens(KeyPressed("2"))
        if phase in ("ringing", "talking"):
            stage.happens(KeyPressed("1"))
        if phase == "talking":
            stage.happens(LegAnswered("leg1"))
        ended = stage.ends("shutdown", LegReport("caller", "sip", "caller", None, "", "", 200, "local", "PCMU"))
        assert (ended["ended_by"], ended["end_cause"]) == ("system", "shutdown")

    stage = acted(story)
    assert ("tag" in stage.kinds()) == (phase != "before")


def test_a_call_ends_once() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.ends("shutdown")
        stage.happens(CallEnded(200, ()), CallerLeft("caller", "bye"), KeyPressed("1"), PlayEnded(1, 5, True))
        stage.journal[:] = [e for e in stage.journal if e.type not in ("key", "leg.ended")]

    stage = acted(story)
    assert not [asked for asked in stage.telephone.asked if asked.startswith("dial")]


def test_every_end_of_a_leg_is_written_down_when_it_happens() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(KeyPressed("1"), LegFailed("leg1", "busy", 486, "Busy"), LegFailed("leg2", "offline", None, ""))
        assert [e.leg_id for e in stage.journal if e.type == "leg.ended"] == ["c1-leg1", "c1-leg2"]
        stage.ends()

    acted(story)


def test_early_media_is_written_down_for_its_leg() -> None:
    async def story(stage: Stage) -> None:
        stage.live.begin()
        stage.happens(EarlyMedia(), EarlyMedia("leg1"), CallerLeft("caller", "cancel"))
        stage.ends()

    stage = acted(story)
    assert [event.leg_id for event in stage.journal if event.type == "leg.early_media"] == ["c1-caller", "c1-leg1"]


def test_the_caller_goes_while_two_seats_ring() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(KeyPressed("1"), CallerHeld(), CallerLeft("network", "media_timeout"))
        ended = stage.ends()
        assert (ended["ended_by"], ended["end_cause"]) == ("network", "media_timeout")

    stage = acted(story)
    drops = [asked for asked in stage.telephone.asked if asked.startswith("drop")]
    assert drops == ["drop leg1 cancelled", "drop leg2 cancelled"]
    assert stage.last("leg.ended", "caller")["hangup_by"] == "network"
    assert stage.last("leg.ended", "leg1")["hangup_by"] == "local"


def test_keys_without_end_do_not_fill_the_records() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(*(KeyPressed("9") for _ in range(5000)))
        stage.ends()

    assert acted(story).kinds().count("key") == 500


def test_nothing_to_play() -> None:
    async def story(stage: Stage) -> None:
        stage.live.begin()
        stage.happens(Answered(), KeyPressed("5"))
        stage.ends()

    silent = """\
vars: {x: {type: digits}}
blocks:
  welcome:
    - collect: {into: x, prompt: [], digits: 1, failed: bye}
    - goto: bye
  bye:
    - hangup
"""
    acted(story, silent)


ASKING = """\
on_error: bye
on_hangup: gone
blocks:
  welcome:
    - http: {get: 'https://crm.example/{call.did}', into: info, status: {'404': none}, failed: bye}
    - hangup
  none:
    - pause: 60s
    - hangup
  bye: [hangup]
  gone:
    - notify: {webhook: crm, data: {event: "'gone'"}}
    - end
"""


def test_what_came_of_a_question_is_in_the_record() -> None:
    async def story(stage: Stage) -> None:
        stage.live.begin()
        stage.replies.append(HttpResponse(404))
        stage.made.set()
        for _ in range(3):
            await asyncio.sleep(0)
        stage.happens(CallerLeft("caller", "bye"))
        assert stage.sent == [(Notification("crm", {"call": "c1", "event": "gone"}), "c1")]
        stage.ends()

    stage = acted(story, ASKING)
    details = [event.data.get("detail") for event in stage.journal if event.type == "flow.step"]
    first = details[0]
    assert isinstance(first, dict)
    assert (first["url"], first["status"]) == ("https://crm.example/{call.did}", 404)
    assert details[2:] == [{"webhook": "crm"}, None]


def test_a_question_does_not_outlive_its_call() -> None:
    async def story(stage: Stage) -> None:
        stage.live.begin()
        await asyncio.sleep(0)
        stage.happens(CallerLeft("caller", "bye"))
        stage.ends()

    acted(story, ASKING)


# Whispers and callers who are handed over. ----------------------------------------------------------------

ASKED_FIRST = """\
blocks:
  welcome:
    - answer
    - transfer: {to: 'sip:2001', whisper: WHISPER, accept_key: '1', headers: {X-Order: a}, answered: bye, busy: bye,
                 refused: bye, no_answer: bye, offline: bye, failed: bye}
  bye:
    - hangup
"""
RECORDED, SPOKEN = (ASKED_FIRST.replace("WHISPER", words) for words in ("new_call", "{say: 'Press 1.'}"))


def test_a_whisper_and_its_key() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(LegRinging("leg1"), LegAnswered("leg1"))
        assert stage.telephone.asked[-1] == "play 1 to leg1"
        stage.happens(PlayEnded(1, 900, True, "leg1"), KeyPressed("1", leg_id="leg1"))
        assert stage.telephone.asked[-2:] == ["ringback False", "connect leg1"]
        stage.happens(LegEnded("leg1", "agent"))
        stage.ends()

    stage = acted(story, RECORDED)
    assert "dial leg1 sip:2001 X-Order=a" in stage.telephone.asked
    assert stage.last("prompt.end", "leg1") == {"heard_ms": 900, "completed": True}
    kinds = [event.type for event in stage.journal]
    assert kinds.index("offer.end") < kinds.index("bridge.join")
    assert stage.last("flow.step")["verb"] == "hangup"


def test_one_who_refuses_by_a_key_is_written_down() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(LegAnswered("leg1"), KeyPressed("5", leg_id="leg1"))
        assert "drop leg1 refused" in stage.telephone.asked
        stage.ends()

    stage = acted(story, RECORDED)
    assert stage.last("leg.ended", "leg1") == {"hangup_by": "local", "outcome": "refused"}
    assert stage.last("offer.end") == {"outcome": "refused"}


@pytest.mark.parametrize("end", ["it hangs up", "the caller leaves", "it presses the key", "the call is over"])
def test_a_whisper_that_is_still_being_spoken_is_not_played_any_more(end: str) -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(LegAnswered("leg1"))
        await asyncio.sleep(0)
        match end:
            case "it hangs up":
                stage.happens(LegEnded("leg1", "agent"))
            case "the caller leaves":
                stage.happens(CallerLeft("caller", "bye"))
            case "it presses the key":
                stage.happens(KeyPressed("1", leg_id="leg1"))
            case _:
                stage.ends()
        stage.made.set()
        for _ in range(3):
            await asyncio.sleep(0)
        if end != "the call is over":
            stage.ends()

    stage = acted(story, SPOKEN)
    assert not [asked for asked in stage.telephone.asked if asked.startswith("play")]


@pytest.mark.parametrize("trouble", [None, OSError("no voice")])
def test_a_whisper_that_is_spoken(trouble: Exception | None) -> None:
    async def story(stage: Stage) -> None:
        stage.cannot_speak = trouble
        stage.made.set()
        stage.in_menu()
        stage.happens(LegAnswered("leg1"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert ("play 1 to leg1" in stage.telephone.asked) == (trouble is None)
        stage.happens(KeyPressed("1", leg_id="leg1"))
        assert stage.telephone.asked[-1] == "connect leg1"
        stage.ends()

    stage = acted(story, SPOKEN)
    assert ("error" in stage.kinds()) == (trouble is not None)


def test_a_whisper_whose_recording_is_missing() -> None:
    async def story(stage: Stage) -> None:
        stage.missing = {"new_call"}
        stage.in_menu()
        stage.happens(LegAnswered("leg1"))
        await asyncio.sleep(0)
        assert "new_call" in stage.last("error")["text"]
        stage.ends()

    acted(story, RECORDED)


@pytest.mark.parametrize("mode", ["refer", "blind"])
def test_a_caller_who_is_handed_over(mode: str) -> None:
    wires = "offline: bye, failed: bye" + (", busy: bye, refused: bye, no_answer: bye" if mode == "refer" else "")
    text = f"""\
blocks:
  welcome:
    - answer
    - transfer: {{to: 'sip:2001', mode: {mode}, {wires}}}
  bye:
    - hangup
"""

    async def story(stage: Stage) -> None:
        stage.in_menu()
        assert stage.telephone.asked[-1] == "refer leg1 sip:2001" + (" blind" if mode == "blind" else "")
        assert stage.last("leg.created", "leg1")["transfer_kind"] == mode
        stage.happens(LegAnswered("leg1"))
        assert stage.telephone.asked[-1] == "hangup transferred"
        ended = stage.ends("transferred")
        assert (ended["ended_by"], ended["end_cause"]) == ("flow", "transferred")

    stage = acted(story, text)
    assert stage.last("flow.step")["detail"] == {"mode": mode, "outcome": "answered"}


# Speech. --------------------------------------------------------------------------------------------------

SPEECH_MENU = """\
blocks:
  welcome:
    - answer
    - menu:
        prompt: main_menu
        keys: {'1': {say: [sales, the shop], go: bye}, '2': {say: repairs, go: bye}}
        failed: bye
  bye:
    - hangup
"""
SALES = Recognition((Hypothesis("the shop", 0.91, "1"),), 1000, 1600, 42)


def said(stage: Stage) -> list[dict[str, Any]]:
    return [dict(event.data) for event in stage.journal if event.type == "speech"]


def test_a_caller_speaks_over_the_prompt() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        (ear,) = stage.ears
        assert stage.telephone.asked[-2:] == ["play 1", "listen True"]
        assert [phrase.forms for phrase in ear.wanted.phrases] == [("sales", "the shop"), ("repairs",)]
        stage.happens(AudioHeard(b"\1\0" * 800), AudioHeard(b"\2\0" * 800))
        assert ear.heard == [b"\1\0" * 800, b"\2\0" * 800]
        ear.tell(SpeechBegan(1000))
        assert stage.telephone.asked[-1] == "stop"
        stage.happens(PlayEnded(1, 900, False))
        ear.tell(SALES)
        assert ear.closed
        assert "listen False" in stage.telephone.asked
        # What is still on its way is for nobody, and neither is a word more of that ear.
        stage.happens(AudioHeard(b"\3\0" * 800))
        assert len(ear.heard) == 2
        ear.tell(SALES)
        (speech,) = said(stage)
        assert speech["until_at"] - speech["from_at"] == 600
        expected = {"took_ms": 42, "hypotheses": 1, "confidence": 0.91, "barged_in": True}
        assert {key: speech[key] for key in expected} == expected
        stage.ends()

    stage = acted(story, SPEECH_MENU)
    step = next(event.data for event in stage.journal if event.type == "flow.step" and event.data["verb"] == "menu")
    assert (step["input_mode"], step["exit"], step["confidence"]) == ("speech", "1", 0.91)


def test_neither_sound_nor_words_are_among_the_events_of_a_call() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(*[AudioHeard(b"\1\0" * 800)] * 50)
        stage.ears[0].tell(SALES)
        stage.ends()

    stage = acted(story, SPEECH_MENU)
    kinds = stage.kinds()
    assert kinds.count("speech") == 1
    assert len(kinds) < 15
    assert not any("the shop" in str(event.data) for event in stage.journal if event.type != "flow.step")


def test_nobody_listens() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        ear = stage.ears[0]
        ear.tell(NotHeard("no capacity: 32 callers are being listened to in en"))
        assert ear.closed
        assert said(stage) == [{"error": "no capacity: 32 callers are being listened to in en"}]
        # Keys go on being possible.
        stage.happens(KeyPressed("1"))
        assert stage.telephone.asked[-1] == "hangup normal"
        stage.ends()

    acted(story, SPEECH_MENU)


def test_a_key_ends_listening() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.happens(KeyPressed("1"))
        assert stage.ears[0].closed
        assert "listen False" in stage.telephone.asked
        stage.ears[0].tell(SALES)
        assert not said(stage)
        stage.ends()

    acted(story, SPEECH_MENU)


def test_a_caller_who_hangs_up_while_he_speaks() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        ear = stage.ears[0]
        ear.tell(SpeechBegan(500))
        stage.happens(CallerLeft("caller", "bye"))
        assert ear.closed
        ear.tell(SALES)
        stage.happens(AudioHeard(b"\1\0" * 800))
        stage.ends()
        ear.tell(SALES)
        assert not said(stage)

    acted(story, SPEECH_MENU)


def test_a_call_that_is_ended_from_elsewhere_while_somebody_listens() -> None:
    async def story(stage: Stage) -> None:
        stage.in_menu()
        stage.ends("shutdown")
        assert stage.ears[0].closed

    acted(story, SPEECH_MENU)


def test_ears_that_fail_cost_their_call_only() -> None:
    async def story(stage: Stage) -> None:
        def fails(wanted: Wanted, tell: Callable[[EarEvent], None]) -> ListensTo:
            raise RuntimeError("the ears are broken")

        stage.listen = fails  # type: ignore[method-assign]
        stage.in_menu()
        assert stage.telephone.asked[-1] == "hangup error"
        stage.ends("error")

    acted(story, SPEECH_MENU)
