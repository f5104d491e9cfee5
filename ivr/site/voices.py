"""Checks of who speaks: the site's voices, languages that nobody speaks, tags of SSML that a voice passes over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ivr.flow.loader import FlowSet
from ivr.flow.model import Place
from ivr.flow.problem import Problem
from ivr.flow.template import Template
from ivr.run.preparation import sounds_in
from ivr.site.model import Site

if TYPE_CHECKING:
    # It loads speech engines, which most commands do without.
    from ivr.speech.checking import VoiceCheck


def check_voices(site: Site, voices: VoiceCheck) -> Iterator[Problem]:
    """A problem for every voice of the site that cannot speak."""
    for language, place in site.voice_places.items():
        fault = voices.fault(language, site.voices) if language in site.voices else None
        if fault is not None:
            yield Problem("E212", place, f"voice '{language}': {fault[0]}", fault[1], len(language))


def check_texts(site: Site, flow_set: FlowSet, voices: VoiceCheck) -> tuple[Problem, ...]:
    """A problem where flows speak a language for which there is no voice, and for every tag that one passes over."""
    mute: dict[str, Problem] = {}
    unread: dict[tuple[Place, str], Problem] = {}
    for step in flow_set.written:
        for text, place in sounds_in(step.settings):
            if not isinstance(text, Template):
                continue
            for language in step.languages or ("en",):
                fault = voices.fault(language, site.voices)
                if fault is None:
                    for problem in _unread(text, language, site, voices):
                        unread[problem.place, problem.message] = problem
                elif language not in site.voices:
                    # The site's own voices are told of where they stand.
                    mute.setdefault(language, Problem("E152", place or step.place, *fault, len(step.verb)))
    return flow_set.with_lines([*mute.values(), *unread.values()])


def _unread(text: Template, language: str, site: Site, voices: VoiceCheck) -> Iterator[Problem]:
    told: set[str] = set()
    for tag in text.ssml:
        said = voices.unread(language, site.voices, tag.name, dict(tag.attributes))
        # A voice that reads no tags at all says so once for a text.
        if said is not None and said[0] not in told:
            told.add(said[0])
            yield Problem("E152", tag.place, *said, len(tag.name) + 1)
