"""What a step listens for, as recognisers are told it: made of its settings and the language of the call."""

from __future__ import annotations

from ivr.flow.model import SpokenChoice
from ivr.flow.nodes.questions import Ask, Collect, Confirm, Menu
from ivr.hearing import Phrase, SpokenType, Wanted


def choices_of(settings: object) -> tuple[SpokenChoice, ...]:
    """What can be said for the choices of a step; none if it does not listen, or for something else."""
    match settings:
        case Menu() | Confirm():
            return settings.speech
        case Ask():
            return settings.choices
        case _:
            return ()


def listens(settings: object) -> bool:
    """Whether a step listens to what its caller says."""
    return isinstance(settings, Ask) or bool(choices_of(settings)) or _type_of(settings) is not None


def wanted_of(settings: object, language: str) -> Wanted | None:
    """What a step listens for in that language; None if it does not listen.

    With phrases and a type, both count: what is none of the phrases is taken as the type.
    """
    if not isinstance(settings, Menu | Confirm | Ask | Collect):
        return None
    spoken = ((one.name, one.spoken(language)) for one in choices_of(settings))
    phrases = tuple(Phrase(name, forms) for name, forms in spoken if forms)
    type_ = _type_of(settings)
    if not phrases and type_ is None:
        return None
    hints = settings.hints if isinstance(settings, Ask) else ()
    return Wanted(language, phrases, type_, hints, settings.input.speech_timeout, settings.input.longest_speech)


def _type_of(settings: object) -> SpokenType | None:
    if isinstance(settings, Collect):
        return settings.speech
    return "text" if isinstance(settings, Ask) and settings.into is not None else None
