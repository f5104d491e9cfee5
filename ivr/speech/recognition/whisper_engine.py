"""Whisper through CTranslate2: of some phrases the one that fits the sound best, or what was said freely.

It hears when all is said: a sound is encoded once, in a window as short as it is, and every way to say a phrase is
scored by the probability that the decoder gives its words. How probable a phrase is without any sound is half taken off:
the decoder likes some words more than others, and a menu does not. What was said and is none of the phrases is known
by what the decoder would rather have written. The weights of :data:`_CONFIDENCE` were fitted to spoken menus and to
speech that is in no menu; docs/decisions/0017 has the figures.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
import soxr
import tokenizers
from numpy.typing import NDArray

from ivr.hearing import Hypothesis, SpokenType, Wanted
from ivr.speech.level import LINE_RATE
from ivr.speech.recognition.choice import PACKAGES, EngineChoice, folder_of, model_fault, package_folder, remedy
from ivr.speech.recognition.log_mel import FRAMES_PER_SECOND, SAMPLE_RATE, log_mel
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.spelling import spellings

__all__ = ["WhisperRecogniser"]

_WINDOWS: Final = (400, 600, 1000, 1500, 3000)
"""Frames that are encoded: the cost of an utterance is nearly that of its window."""
_SILENCE_BEHIND: Final = 40
"""Frames of silence in a window behind the sound, or its end is not understood."""
_LONGEST: Final = (_WINDOWS[-1] - _SILENCE_BEHIND) / FRAMES_PER_SECOND
"""Seconds; what is beyond is not heard."""
_BATCH: Final = 32
"""Phrases that are scored at a time."""
_MOST_FORMS: Final = 64
"""Ways to say the phrases that are scored; of more, those most like what was heard freely."""
_MOST_HYPOTHESES: Final = 5
_REMEMBERED: Final = 20_000
"""Texts whose probability without sound is kept."""
_TOKENS_PER_SECOND: Final = 6
"""Nobody speaks faster for long; a decoder in a short window likes to say everything twice."""


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to say a phrase, and the ways to write it that are scored."""

    name: str
    text: str
    spelt: tuple[tuple[int, ...], ...]


class WhisperRecogniser:
    """One model, loaded once. Its own threads compute, as many as there are cores; any thread may ask."""

    streams = False

    def __init__(self, language: str, model: Path | None = None) -> None:
        """Raises RecognitionError if there is no model of the language or it does not load."""
        folder = folder_of(language, EngineChoice("whisper", model))
        if folder is None:
            raise RecognitionError(f"no model of whisper for language {language!r} is installed: {remedy(language)}")
        fault = model_fault("whisper", folder)
        if fault is not None:
            raise RecognitionError(f"{fault[0]}: {fault[1]}")
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", intra_threads=1, inter_threads=os.cpu_count() or 1
            )
            self._tokens = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:
            raise RecognitionError(f"whisper cannot load {folder}: {error}") from error
        self._start = self._prompt(language, folder)
        self._language = language
        self._folder = folder
        self._silence: dict[int, Any] = {}
        self._unheard: OrderedDict[tuple[int, ...], float] = OrderedDict()
        self._lock = threading.Lock()

    def _prompt(self, language: str, folder: Path) -> list[int]:
        start = self._tokens.token_to_id("<|startoftranscript|>")
        if start is None:
            raise RecognitionError(f"{folder / 'tokenizer.json'} is not whisper's: take the model's own")
        base = language.lower().partition("-")[0]
        if not self._model.is_multilingual:
            if base != "en":
                raise RecognitionError(f"the model in {folder} hears English only: name another for {language!r}")
            return [start]
        spoken = self._tokens.token_to_id(f"<|{base}|>")
        if spoken is None:
            raise RecognitionError(f"the model in {folder} does not know the language {language!r}")
        return [start, spoken, self._tokens.token_to_id("<|transcribe|>")]

    @property
    def version(self) -> str:
        package = next((one for one in PACKAGES.values() if package_folder(one) == self._folder), None)
        name = package.module.replace("_", "-") if package is not None else None
        model = f"{name} {version(name)}" if name is not None else self._folder.resolve().name
        return f"ctranslate2 {ctranslate2.__version__}, {model}"

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        return [
            f"'{form}' cannot be heard: there is no word in it; write it as it is spoken"
            for phrase in wanted.phrases
            for form in phrase.forms
            if not any(character.isalnum() for character in form)
        ]

    def utterance(self, wanted: Wanted) -> _WhisperUtterance:
        forms = tuple(
            _Form(phrase.name, form, tuple(self._ids(text) for text in spellings(form, self._language)))
            for phrase in wanted.phrases
            for form in phrase.forms
            if any(character.isalnum() for character in form)
        )
        if wanted.phrases and not forms:
            raise RecognitionError("none of these phrases has a word in it: write them as they are spoken")
        # While the caller still speaks.
        self._likelihood_unheard([ids for form in forms[:_MOST_FORMS] for ids in form.spelt])
        return _WhisperUtterance(self, wanted, forms)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokens.encode(f" {text}", add_special_tokens=False).ids)

    # What follows is called by utterances, from their threads.

    def choose(self, sound: NDArray[np.float32], forms: Sequence[_Form]) -> Sequence[Hypothesis]:
        """The phrases by how well they fit, best first."""
        encoded, frames = self._encode(sound)
        free, ids = self._decode(encoded, len(sound) / SAMPLE_RATE)
        if len(forms) > _MOST_FORMS:
            forms = _most_alike(free, forms)[:_MOST_FORMS]
        spelt = [(form, ids) for form in forms for ids in form.spelt]
        heard = self._likelihood(encoded, frames, [*(ids for _, ids in spelt), ids])
        unheard = self._likelihood_unheard([*(ids for _, ids in spelt), ids])
        scored = [
            _Scored(form, likelihood, silent, len(ids))
            for (form, ids), likelihood, silent in zip(spelt, heard[:-1], unheard[:-1], strict=True)
        ]
        rival = _Scored(_Form("", free, ()), heard[-1], unheard[-1], len(ids))
        return _ranked(scored, rival)

    def transcribe(self, sound: NDArray[np.float32], wanted: Wanted) -> Sequence[Hypothesis]:
        raise NotImplementedError

    def _encode(self, sound: NDArray[np.float32]) -> tuple[Any, int]:
        needed = len(sound) * FRAMES_PER_SECOND // SAMPLE_RATE + _SILENCE_BEHIND
        frames = next((window for window in _WINDOWS if needed <= window), _WINDOWS[-1])
        return self._model.encode(ctranslate2.StorageView.from_array(log_mel(sound, frames))), frames

    def _decode(self, encoded: Any, seconds: float) -> tuple[str, tuple[int, ...]]:
        """What the decoder would write itself, word for word the likeliest, and its tokens; at least one."""
        prompt = [*self._start, self._tokens.token_to_id("<|notimestamps|>")]
        most = len(prompt) + max(6, math.ceil(seconds * _TOKENS_PER_SECOND))
        # The library takes half of it for the text.
        result = self._model.generate(encoded, [prompt], beam_size=1, max_length=2 * most)[0]
        ids = tuple(result.sequences_ids[0]) or self._ids(".")
        return self._tokens.decode(list(ids)).strip(), ids

    def _likelihood(self, encoded: Any, frames: int, texts: Sequence[Sequence[int]]) -> list[float]:
        """The logarithm of the probability of each text, given the sound."""
        found: list[float] = []
        one = np.asarray(encoded)
        for first in range(0, len(texts), _BATCH):
            some = [list(ids) for ids in texts[first : first + _BATCH]]
            sounds = ctranslate2.StorageView.from_array(np.ascontiguousarray(np.repeat(one, len(some), 0)))
            for result in self._model.align(sounds, self._start, some, frames):
                found.append(float(np.log(np.maximum(result.text_token_probs, 1e-12)).sum()))
        return found

    def _likelihood_unheard(self, texts: Sequence[tuple[int, ...]]) -> list[float]:
        """The same, given next to silence."""
        with self._lock:
            known = {ids: self._unheard[ids] for ids in texts if ids in self._unheard}
            for ids in known:
                self._unheard.move_to_end(ids)
        missing = [ids for ids in dict.fromkeys(texts) if ids not in known]
        if missing:
            known |= zip(missing, self._likelihood(*self._near_silence, missing), strict=True)
            with self._lock:
                self._unheard |= {ids: known[ids] for ids in missing}
                while len(self._unheard) > _REMEMBERED:
                    self._unheard.popitem(last=False)
        return [known[ids] for ids in texts]
