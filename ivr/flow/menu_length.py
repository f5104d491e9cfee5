"""How long menus speak: who has to listen for too long has forgotten the first choice when the last is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ivr.flow.loader import FlowSet, WrittenStep
from ivr.flow.model import Prompt, Recording
from ivr.flow.nodes.questions import Menu
from ivr.flow.problem import Problem
from ivr.flow.site_checks import RecordingLookup
from ivr.flow.ssml import words_of
from ivr.flow.template import Template

MENU_SECONDS: Final = 20.0
"""What a menu may take from its first word to its last."""

_WORDS: Final = re.compile(r"(?P<character>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|[^\W_]+(?:['’-][^\W_]+)*")
_CHARACTER: Final = 0.6
"""Words in a character of a script that has none between its words: they are said that much faster."""


def check_menus(
    flow_set: FlowSet,
    lookup: RecordingLookup,
    length: Callable[[Path], float | None],
    rate: Callable[[str], int],
) -> tuple[Problem, ...]:
    """A warning for every menu that speaks for more than 20 s in a language of its flow.

    ``length`` gives the seconds of a recording, None if they cannot be told; ``rate`` the words a minute of a language.
    """
    found = (
        problem
        for step in flow_set.written
        if isinstance(step.settings, Menu)
        for problem in _too_long(step, step.settings, lookup, length, rate)
    )
    return flow_set.with_lines(found)


def _too_long(
    step: WrittenStep,
    menu: Menu,
    lookup: RecordingLookup,
    length: Callable[[Path], float | None],
    rate: Callable[[str], int],
) -> Iterator[Problem]:
    def seconds(language: str, prompt: Prompt) -> float:
        if isinstance(prompt, Recording):
            file = lookup(language, prompt.name)
            return 0.0 if file is None else length(file) or 0.0
        return words_in(prompt.text) * 60 / rate(language)

    for language in step.languages:
        whole = sum(seconds(language, prompt) for prompt in menu.prompt)
        if whole > MENU_SECONDS:
            message = f"this menu speaks for {whole:.0f} s in {language}; callers forget what came first"
            help = f"at most {MENU_SECONDS:.0f} s: make it shorter, or put some of the choices into a second menu"
            yield Problem("W303", step.place, message, help, len(step.verb))


def words_in(text: Template) -> float:
    """How many words are said, roughly: a hole counts as one."""
    written = " ".join(part if isinstance(part, str) else "" for part in text.parts)
    fixed = [words_of(written) if text.ssml else written]
    words = [found for part in fixed for found in _WORDS.finditer(part)]
    return len(text.holes) + sum(_CHARACTER if found["character"] else 1.0 for found in words)
