"""Engines that turn telephone sound into words, by name. They are slow and may crash: calls never load one themselves.

A new engine is one more entry of :data:`ENGINES`, or an entry point of the group :data:`ENTRY_POINTS` in another
package: a callable that takes a language code and a model folder (None: the engine's own for the language) and returns
a :class:`~ivr.speech.recognition.port.Recogniser`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from ivr.speech.recognition.port import Recogniser, RecognitionError

__all__ = ["ENGINES", "ENTRY_POINTS", "engine_names", "load"]

ENTRY_POINTS: Final = "ivr.recognisers"
ENGINES: Final = {
    "vosk": "ivr.speech.recognition.vosk_engine:VoskRecogniser",
    "whisper": "ivr.speech.recognition.whisper_engine:WhisperRecogniser",
}


def load(engine: str, language: str, model: str | None = None) -> Recogniser:
    """The engine of that name with its model of a language, loaded: seconds, and up to some gigabytes.

    ``model`` is the model's folder; None: the one that an installed package brings for the language.
    Raises :class:`RecognitionError` if there is no such engine or model, or it does not load.
    """
    factory = _factory(engine)
    try:
        return factory(language, None if model is None else Path(model))
    except RecognitionError:
        raise
    except Exception as error:
        raise RecognitionError(f"engine {engine!r} does not start: {type(error).__name__}: {error}") from error


def engine_names() -> list[str]:
    return sorted({*ENGINES, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def _factory(engine: str) -> Callable[[str, Path | None], Recogniser]:
    target = ENGINES.get(engine, engine)
    try:
        if ":" in target:
            point = EntryPoint(name=engine, value=target, group=ENTRY_POINTS)
        else:
            (point,) = entry_points(group=ENTRY_POINTS, name=engine)
    except ValueError:
        raise RecognitionError(f"no engine {engine!r} to hear with (there are: {', '.join(engine_names())})") from None
    try:
        factory: Callable[[str, Path | None], Recogniser] = point.load()
    except (ImportError, AttributeError) as error:
        raise RecognitionError(f"engine {engine!r} does not load: {error}") from error
    return factory
