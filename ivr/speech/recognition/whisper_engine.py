"""Whisper through CTranslate2: of some phrases the one that fits the sound best, or what was said freely.

It hears when all is said: a sound is encoded once, in a window as short as it is, and every way to say a phrase is
scored by the probability that the decoder gives its words. How probable a phrase is without any sound is half taken
off: the decoder likes some words more than others, and a menu does not. What was said and is none of the phrases is
known by what the decoder would rather have written, and by how long it took. The weights of :data:`_CONFIDENCE` were
fitted to spoken menus and to speech that is in no menu; docs/decisions/0017 has the figures.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
import soxr
import tokenizers
from numpy.typing import NDArray

from ivr.hearing import Hypothesis, Phrase, SpokenType, Wanted
from ivr.speech.level import LINE_RATE
from ivr.speech.recognition.choice import PACKAGES, EngineChoice, folder_of, model_fault, package_folder, remedy
from ivr.speech.recognition.log_mel import FRAMES_PER_SECOND, SAMPLE_RATE, log_mel
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.spelling import alike, sounds_alike, spellings, syllables, without_repeats
from ivr.understanding.phrases import normalised
from ivr.understanding.values import meaning
from ivr.understanding.yes_no import usual_yes_no

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
_TOKENS_PER_SECOND: Final = 8
"""Nobody speaks faster for long; a decoder in a short window likes to say everything twice."""

_HALF: Final = 0.5
"""How much of a phrase's probability without sound is taken off."""
_FARTHEST: Final = 12.0
"""Beyond it the difference between two phrases says nothing more."""
_ALONE: Final = 6.0
"""The difference where there is one phrase only."""
_LEAST_FREE: Final = 1000
"""Frames of the window in which something is written freely; in shorter ones its end is often missed."""
_LONGEST_HINTS: Final = 100
"""Tokens."""
_MEANINGLESS: Final = 0.3
"""What a text is worth that means nothing of the type that was asked for."""
_FREE_BIAS: Final = 2.0
_FREE_LIKELIHOOD: Final = 2.5
"""Of what is said freely: half as sure as not if its words have a mean probability of 0.45."""


@dataclass(frozen=True, slots=True)
class _Weights:
    """Of a logistic regression: what speaks for a phrase."""

    bias: float
    likelihood: float
    """Its mean logarithm a token."""
    gain: float
    """What the sound adds to it, a token."""
    margin: float
    """Of the score over the next best phrase's."""
    written: float
    """How alike it is to what the decoder writes itself."""
    sounds: float
    """The same by consonants."""
    pace: float
    """How far, as a logarithm, the seconds of speech are from what its syllables take."""


_CONFIDENCE: Final = _Weights(0.351, 0.529, 0.468, 0.289, 2.423, 1.223, -3.521)


@dataclass(frozen=True, slots=True)
class _Form:
    """One way to say a phrase, and the ways to write it that are scored."""

    name: str
    text: str
    spelt: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    """A form in the spelling that fits best."""

    form: _Form
    ids: tuple[int, ...]
    likelihood: float
    unheard: float

    @property
    def score(self) -> float:
        return self.likelihood - _HALF * self.unheard


class WhisperRecogniser:
    """One model, loaded once. Its own threads compute, as many as there are cores; any thread may ask."""

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
        self._language = language
        self._folder = folder
        self._start = self._prompt(language, folder)
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
        return [start, spoken, self._token("<|transcribe|>")]

    streams: Final = False
    """Whether it recognises while it is fed."""

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
            for phrase in wanted.phrases or self._yes_and_no(wanted)
            for form in phrase.forms
            if any(character.isalnum() for character in form)
        )
        if wanted.phrases and not forms:
            raise RecognitionError("none of these phrases has a word in it: write them as they are spoken")
        # While the caller still speaks.
        self._likelihood_unheard([ids for form in forms[:_MOST_FORMS] for ids in form.spelt])
        return _WhisperUtterance(self, wanted, forms)

    def _yes_and_no(self, wanted: Wanted) -> tuple[Phrase, ...]:
        """What is said for them: better known than sought in what is heard freely."""
        usual = usual_yes_no(self._language) if wanted.type == "yes_no" else None
        return () if usual is None else (Phrase("yes", usual.yes), Phrase("no", usual.no))

    def _before(self, hints: Sequence[str]) -> list[int]:
        """The hints as what was said before: words that have been said are said again."""
        ids = self._ids(f"{', '.join(hints)}.")[:_LONGEST_HINTS]
        return [self._token("<|startofprev|>"), *ids] if hints else []

    def _token(self, name: str) -> int:
        found = self._tokens.token_to_id(name)
        if found is None:
            raise RecognitionError(f"the tokenizer.json in {self._folder} has no {name}: take the model's own")
        return int(found)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokens.encode(f" {text}", add_special_tokens=False).ids)

    # What follows is called by utterances, from their threads.

    def hear(self, sound: NDArray[np.float32], wanted: Wanted, forms: Sequence[_Form]) -> Sequence[Hypothesis]:
        """What was said, best first; ``sound`` at :data:`~ivr.speech.recognition.log_mel.SAMPLE_RATE`."""
        found: list[Hypothesis] = []
        if forms:
            found = self._choose(sound, forms)
            if not wanted.phrases:
                found = [replace(one, name=None) for one in found]
        if wanted.type is not None and (wanted.phrases or not forms):
            # Freely said is what is none of the phrases.
            left = 1 - max((one.confidence for one in found), default=0.0)
            freely = self._freely(sound, wanted.type, wanted.hints)
            found += [replace(one, confidence=one.confidence * left) for one in freely]
        return sorted(found, key=lambda one: -one.confidence)[:_MOST_HYPOTHESES]

    def _choose(self, sound: NDArray[np.float32], forms: Sequence[_Form]) -> list[Hypothesis]:
        """The phrases by how well they fit."""
        encoded, frames = self._encode(sound)
        seconds = _spoken_seconds(sound)
        written = without_repeats(self._decode(encoded, seconds), self._language)
        if len(forms) > _MOST_FORMS:
            forms = sorted(forms, key=lambda one: -alike(normalised(one.text, self._language), written))[:_MOST_FORMS]
        best = self._scored(encoded, frames, [(form, ids) for form in forms for ids in form.spelt])
        return [
            Hypothesis(one.form.text, self._confidence(one, best, written, seconds), name) for name, one in best.items()
        ]

    def _scored(self, encoded: Any, frames: int, spelt: Sequence[tuple[_Form, tuple[int, ...]]]) -> dict[str, _Scored]:
        """The best way to say and to write each phrase, by the phrase's name."""
        texts = [ids for _, ids in spelt]
        heard = self._likelihood(encoded, frames, texts)
        unheard = self._likelihood_unheard(texts)
        best: dict[str, _Scored] = {}
        for (form, ids), likelihood, silent in zip(spelt, heard, unheard, strict=True):
            scored = _Scored(form, ids, likelihood, silent)
            if form.name not in best or best[form.name].score < scored.score:
                best[form.name] = scored
        return best

    def _confidence(self, one: _Scored, best: Mapping[str, _Scored], written: str, seconds: float) -> float:
        """That this phrase was said, and none of the others, nor anything else."""
        others = [other.score for name, other in best.items() if name != one.form.name]
        margin = one.score - max(others) if others else _ALONE
        text = normalised(one.form.text, self._language)
        pace = abs(math.log(max(seconds, 0.05) / (0.18 + 0.17 * syllables(one.form.text))))
        return _sigmoid(
            _CONFIDENCE.bias
            + _CONFIDENCE.likelihood * one.likelihood / len(one.ids)
            + _CONFIDENCE.gain * (one.likelihood - one.unheard) / len(one.ids)
            + _CONFIDENCE.margin * max(-_FARTHEST, min(margin, _FARTHEST))
            + _CONFIDENCE.written * alike(text, written)
            + _CONFIDENCE.sounds * sounds_alike(text, written)
            + _CONFIDENCE.pace * pace
        )

    def _freely(self, sound: NDArray[np.float32], type: SpokenType, hints: Sequence[str]) -> list[Hypothesis]:
        """What the decoder writes itself; what means something of the type counts for more."""
        encoded, frames = self._encode(sound, _LEAST_FREE)
        # With times: in a window that is shorter than those it knows the decoder finds the end by them.
        several = 1 if type == "text" else _MOST_HYPOTHESES
        prompt = [*self._before(hints), *self._start]
        most = len(prompt) + max(16, math.ceil(_spoken_seconds(sound) * _TOKENS_PER_SECOND))
        result = self._model.generate(
            encoded, [prompt], beam_size=several, num_hypotheses=several, max_length=2 * most
        )[0]
        last = self._token("<|notimestamps|>")
        texts = [ids for some in result.sequences_ids if (ids := tuple(one for one in some if one < last))]
        likelihoods = self._likelihood(encoded, frames, texts) if texts else []
        found: dict[str, Hypothesis] = {}
        for ids, likelihood in zip(texts, likelihoods, strict=True):
            text = _said_once(self._tokens.decode(list(ids)).strip(), type)
            if any(character.isalnum() for character in text):
                confidence = _sigmoid(_FREE_BIAS + _FREE_LIKELIHOOD * likelihood / len(ids))
                means = type == "text" or meaning(text, type, self._language, date.today()) is not None
                found.setdefault(text, Hypothesis(text, confidence if means else confidence * _MEANINGLESS))
        return list(found.values())

    def _encode(self, sound: NDArray[np.float32], least: int = 0) -> tuple[Any, int]:
        """``least``: frames of the window."""
        needed = len(sound) * FRAMES_PER_SECOND // SAMPLE_RATE + _SILENCE_BEHIND
        frames = next((window for window in _WINDOWS if max(needed, least) <= window), _WINDOWS[-1])
        return self._model.encode(ctranslate2.StorageView.from_array(log_mel(sound, frames))), frames

    def _decode(self, encoded: Any, seconds: float) -> str:
        """What the decoder would write itself, word for word the likeliest."""
        prompt = [*self._start, self._token("<|notimestamps|>")]
        most = len(prompt) + max(8, math.ceil(seconds * _TOKENS_PER_SECOND))
        # The library takes half of it for the text.
        result = self._model.generate(encoded, [prompt], beam_size=1, max_length=2 * most)[0]
        return str(self._tokens.decode(result.sequences_ids[0])).strip()

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

    @cached_property
    def _near_silence(self) -> tuple[Any, int]:
        noise = np.random.default_rng(1).normal(0, 0.001, 3 * SAMPLE_RATE)
        return self._encode(noise.astype(np.float32))

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


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(value, 30.0))))


def _said_once(text: str, type: SpokenType) -> str:
    """``123. 123. 123.`` is ``123.``: a decoder that misses the end says it again. Digits may be meant so."""
    words = text.split()
    bare = [word.strip(".,!?").casefold() for word in words]
    least = 3 if type == "digits" else 2
    for length in range(3 if type == "digits" else 1, len(words) // least + 1):
        if all(word == bare[place % length] for place, word in enumerate(bare)):
            return " ".join(words[:length])
    return text


def _spoken_seconds(sound: NDArray[np.float32]) -> float:
    """From the first to the last 20 ms that are loud for this sound."""
    block = SAMPLE_RATE // 50
    whole = sound[: len(sound) // block * block].reshape(-1, block)
    levels = np.sqrt(np.mean(whole * whole, axis=1))
    loud = np.flatnonzero(levels > 0.1 * levels.max(initial=0))
    return float(loud[-1] - loud[0] + 1) / 50 if len(loud) else 0.0


class _WhisperUtterance:
    """Keeps the sound until all is said."""

    def __init__(self, recogniser: WhisperRecogniser, wanted: Wanted, forms: tuple[_Form, ...]) -> None:
        self._recogniser = recogniser
        self._wanted = wanted
        self._forms = forms
        self._heard = bytearray()

    def feed(self, pcm: bytes) -> str | None:
        room = round(_LONGEST * LINE_RATE) * 2 - len(self._heard)
        self._heard += pcm[: max(0, room)]
        return None

    def finish(self) -> Sequence[Hypothesis]:
        line = np.frombuffer(bytes(self._heard[: len(self._heard) // 2 * 2]), np.int16).astype(np.float32) / np.float32(
            32768
        )
        if len(line) < LINE_RATE // 50 or not line.any():
            return ()
        sound: NDArray[np.float32] = soxr.resample(line, LINE_RATE, SAMPLE_RATE)
        return self._recogniser.hear(sound, self._wanted, self._forms)
