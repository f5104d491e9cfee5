"""Letting the caller hear something, or nothing, without asking.

A key pressed meanwhile is kept for the next question. Where keys may cut (``barge_in``), it also ends what is heard;
keys that were typed ahead before are as good as pressed now, so that one who knows the way is not held up.
"""

from __future__ import annotations

from collections.abc import Sequence

from ivr.flow.model import Speech, Step
from ivr.flow.nodes import speaking
from ivr.flow.nodes.kinds import KEYS, KEYS_SENT
from ivr.run.actions import PlayItem, SendKeys
from ivr.run.activity import Activity, Exit, Outcome
from ivr.run.conversation import Conversation, Row, StepError
from ivr.run.verbs.behaviour import Behaviour


class Speaking(Activity):
    """Plays items to their end, or until a key cuts them."""

    def __init__(
        self, talk: Conversation, step: Step, items: Sequence[PlayItem], *, loop: bool, barge_in: bool
    ) -> None:
        super().__init__(talk, step)
        self._items = items
        self._loop = loop
        self._barge_in = barge_in
        self._cut = False
        self._play_id: int | None = None

    def start(self, now: float) -> Outcome | None:
        if self._barge_in and self.talk.typed_ahead:
            return Exit(row=Row(barged_in=True, heard_ms=0))
        self._play_id = self.talk.play(self._items, loop=self._loop)
        return None

    def key(self, key: str, now: float) -> Outcome | None:
        self.talk.typed_ahead.push(key)
        if not self._barge_in:
            return None
        self._cut = True
        row = self.row()
        self.talk.stop_playing()
        return Exit(row=row)

    def play_ended(self, now: float) -> Outcome | None:
        return Exit(row=self.row())

    def row(self) -> Row:
        return Row(barged_in=self._cut, play_id=self._play_id, heard_ms=self.talk.playing_for_ms())


class Waiting(Activity):
    """Waits for a time, with music or in silence."""

    def __init__(self, talk: Conversation, step: Step, seconds: float, music: Sequence[PlayItem] = ()) -> None:
        super().__init__(talk, step)
        self._seconds = seconds
        self._music = music
        self._until: float | None = None
        self._play_id: int | None = None

    def start(self, now: float) -> Outcome | None:
        self._until = now + self._seconds
        if self._music:
            self._play_id = self.talk.play(self._music, loop=True)
        return None

    def next_timer(self) -> float | None:
        return self._until

    def handle_timer(self, now: float) -> Outcome | None:
        row = self.row()
        self.talk.stop_playing()
        return Exit(row=row)

    def row(self) -> Row:
        if self._play_id is None:
            return Row()
        return Row(barged_in=False, play_id=self._play_id, heard_ms=self.talk.playing_for_ms())


def play(talk: Conversation, step: Step) -> Activity:
    settings: speaking.Play = step.settings
    return Speaking(talk, step, talk.items(settings.prompt), loop=settings.loop, barge_in=settings.barge_in)


def say(talk: Conversation, step: Step) -> Activity:
    settings: speaking.Say = step.settings
    items = talk.items((Speech(settings.text, step.place),))
    return Speaking(talk, step, items, loop=False, barge_in=settings.barge_in)


def music(talk: Conversation, step: Step) -> Activity:
    settings: speaking.Music = step.settings
    return Waiting(talk, step, settings.duration, talk.items((settings.recording,)))


def pause(talk: Conversation, step: Step) -> Activity:
    settings: speaking.Pause = step.settings
    return Waiting(talk, step, settings.duration)


def keys_out(talk: Conversation, step: Step) -> Activity:
    settings: speaking.KeysOut = step.settings
    keys = settings.keys.fill(talk.scope())
    if not KEYS.issuperset(keys) or not 0 < len(keys) <= KEYS_SENT:
        raise StepError(f"'{keys[:80]}' cannot be sent as keys")
    talk.stop_playing()
    talk.do(SendKeys(keys, round(settings.length * 1000), round(settings.gap * 1000)))
    return Waiting(talk, step, len(keys) * (settings.length + settings.gap))


def language(talk: Conversation, step: Step) -> Outcome:
    settings: speaking.Language = step.settings
    talk.speak(settings.code)
    return Exit()


BEHAVIOURS = {
    "play": Behaviour(play, needs_answer=True),
    "say": Behaviour(say, needs_answer=True),
    "music": Behaviour(music, needs_answer=True),
    "pause": Behaviour(pause),
    "keys_out": Behaviour(keys_out, needs_answer=True),
    "language": Behaviour(language),
}
