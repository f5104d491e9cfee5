"""Which sounds a flow will need that are known before anybody calls: its recordings, and its texts without holes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ivr.flow.draft import parts_of
from ivr.flow.expression import Expression
from ivr.flow.model import Flow, Place, Recording, Speech
from ivr.flow.nodes.speaking import Say
from ivr.flow.template import Template

if TYPE_CHECKING:
    from ivr.speech.prompts import PromptItem


def sounds_of(flows: Iterable[Flow]) -> list[PromptItem]:
    """Every recording and fixed text of the flows, once, in each of the flow's languages."""
    found: dict[PromptItem, None] = {}
    for flow in flows:
        for block in flow.blocks.values():
            for step in block.steps:
                for sound, _ in sounds_in(step.settings):
                    for language in flow.languages or ("en",):
                        if isinstance(sound, Recording):
                            found["recording", sound.name, language] = None
                        elif (text := sound.fixed) is not None:
                            found["ssml" if sound.ssml else "text", text, language] = None
    return list(found)


def sounds_in(settings: object) -> list[tuple[Recording | Template, Place | None]]:
    """What a step lets callers hear, and where it stands; None: where the step does.

    Walks the settings of any verb: a prompt is found wherever it stands, so a new verb needs nothing here.
    """
    found: list[tuple[Recording | Template, Place | None]] = []
    _add_sounds(settings, found)
    return found


def _add_sounds(one: object, found: list[tuple[Recording | Template, Place | None]]) -> None:
    if isinstance(one, Recording):
        found.append((one, one.place))
    elif isinstance(one, Say):
        found.append((one.text, None))
    elif isinstance(one, Speech):
        found.append((one.text, one.place))
    elif isinstance(one, tuple | list):
        for item in one:
            _add_sounds(item, found)
    elif isinstance(one, Mapping):
        for item in one.values():
            _add_sounds(item, found)
    elif not isinstance(one, Template | Expression):
        kind: Any = type(one)
        for name in parts_of(kind):
            _add_sounds(getattr(one, name), found)
