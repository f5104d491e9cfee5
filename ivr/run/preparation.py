"""Which sounds a flow will need that are known before anybody calls: its recordings, and its texts without holes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from ivr.flow.model import Flow, Recording, Speech
from ivr.flow.nodes.speaking import Say
from ivr.flow.template import Template
from ivr.speech.prompts import PromptItem


def sounds_of(flows: Iterable[Flow]) -> list[PromptItem]:
    """Every recording and fixed text of the flows, once, in each of the flow's languages."""
    found: dict[PromptItem, None] = {}
    for flow in flows:
        for block in flow.blocks.values():
            for step in block.steps:
                for sound in _sounds(step.settings):
                    for language in flow.languages or ("en",):
                        if isinstance(sound, Recording):
                            found["recording", sound.name, language] = None
                        elif (text := sound.fixed) is not None:
                            found["text", text, language] = None
    return list(found)


def _sounds(settings: object) -> Iterator[Recording | Template]:
    """Walks the settings of any verb: a prompt is found wherever it stands, so a new verb needs nothing here."""
    if isinstance(settings, Recording):
        yield settings
    elif isinstance(settings, Say | Speech):
        yield settings.text
    elif dataclasses.is_dataclass(settings) and not isinstance(settings, type | Template):
        for field in dataclasses.fields(settings):
            yield from _sounds(getattr(settings, field.name))
    elif isinstance(settings, Mapping):
        for item in settings.values():
            yield from _sounds(item)
    elif isinstance(settings, Iterable) and not isinstance(settings, str):
        for item in settings:
            yield from _sounds(item)
