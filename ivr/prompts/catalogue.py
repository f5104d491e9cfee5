"""Every prompt that the flows of a site name: recordings with their files, texts that are spoken, and where they are
used. Nothing here looks into a sound file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ivr.flow.kinds import NAME
from ivr.flow.loader import FlowSet
from ivr.flow.model import Place, Recording
from ivr.flow.nodes.speaking import Music
from ivr.flow.ssml import words_of
from ivr.prompts.numbers import numbered
from ivr.run.preparation import sounds_in
from ivr.site import Site

__all__ = ["Prompt", "languages_of", "prompts_of", "recordings_of"]

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Prompt:
    """One recording or one spoken text, in one language."""

    kind: Literal["recording", "text"]
    name: str
    """Of the recording; of a text, the one its recording could have."""
    language: str
    text: str = ""
    """What is spoken, as written in the flow but without tags; empty for a recording."""
    places: tuple[Place, ...] = ()
    """Where flows name it, in order."""
    music: bool = False
    """Whether it is played as music, in one place at least."""
    has_values: bool = False
    """Whether values are put into the text: one recording cannot take its place."""
    file: Path | None = field(default=None)
    """What is played; None for a text, and for a recording that is missing."""
    wanted: Path = field(default=Path())
    """Where its recording belongs."""
    number: int | None = None
    """What is entered at a telephone to record it; None for a text."""

    @property
    def missing(self) -> bool:
        return self.kind == "recording" and self.file is None


def prompts_of(site: Site, flow_set: FlowSet) -> list[Prompt]:
    """All prompts, recordings first, each in every language of the flows that name it; of broken flows, those that
    could be read."""
    found: dict[tuple[str, str, str], Prompt] = {}
    blocks: dict[str, str] = {}
    for draft in flow_set.drafts.values():
        for block in draft.blocks.values():
            for step in block.steps:
                for sound, place in sounds_in(step.settings):
                    if isinstance(sound, Recording):
                        one = Prompt("recording", sound.name, "", music=isinstance(step.settings, Music))
                    elif not sound.text.strip():
                        continue
                    else:
                        words = words_of(sound.text) if sound.ssml else sound.text
                        one = Prompt("text", "", "", words, has_values=sound.fixed is None)
                        blocks.setdefault(words, f"{draft.name.text}_{block.name.text}")
                    for language in draft.languages or ("en",):
                        _add(found, replace(one, language=language, places=(place or step.place,)))
    names = _names(blocks, {one.name for one in found.values() if one.kind == "recording"})
    numbers = numbered((one.language, one.name) for one in found.values() if one.kind == "recording")
    prompts = [
        _at_home(site, replace(one, name=one.name or names[one.text], number=numbers.get((one.language, one.name))))
        for one in found.values()
    ]
    return sorted(prompts, key=lambda one: (one.kind, one.places[0] if one.kind == "text" else one.name, one.language))


def recordings_of(prompts: Iterable[Prompt]) -> dict[Path, list[Prompt]]:
    """The sound files there are, each once, and the prompts that play it: one may serve several languages."""
    found: dict[Path, list[Prompt]] = {}
    for prompt in prompts:
        if prompt.file is not None:
            found.setdefault(prompt.file, []).append(prompt)
    return found


def languages_of(flow_set: FlowSet) -> list[str]:
    """Every language that a flow speaks."""
    return sorted({language for draft in flow_set.drafts.values() for language in draft.languages or ("en",)})


def _add(found: dict[tuple[str, str, str], Prompt], one: Prompt) -> None:
    key = (one.kind, one.name or one.text, one.language)
    before = found.get(key)
    if before is not None:
        places = tuple(sorted({*before.places, *one.places}))
        one = replace(before, places=places, music=before.music or one.music)
    found[key] = one


def _at_home(site: Site, one: Prompt) -> Prompt:
    wanted = site.prompts / one.language / f"{one.name}.wav"
    if one.kind == "text":
        return replace(one, wanted=wanted)
    return replace(one, wanted=wanted, file=site.recording(one.language, one.name))


def _names(blocks: dict[str, str], taken: set[str]) -> dict[str, str]:
    """For each text a name that none has yet, made of its flow and block; ``blocks`` gives both by text."""
    taken, names = set(taken), {}
    for text, block in blocks.items():
        stem = block if NAME.match(block) else f"prompt_{block}"
        number, name = 1, stem[:_LONGEST_NAME]
        while name in taken:
            number += 1
            name = f"{stem[: _LONGEST_NAME - 6]}_{number}"
        taken.add(name)
        names[text] = name
    return names
