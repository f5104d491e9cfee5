"""Kaldi's models through vosk: a grammar of the phrases or of what makes a number, or free decoding; 8 kHz as it comes.

The library has traps, and they are all here: it crashes when a grammar is empty or malformed, leaves unknown words out
without a word, fetches models from the network unless it is given a folder, and takes a grammar for words that may
follow each other in any order and number. Without a word for "something else" it hears one of the phrases in any noise;
most models have ``[unk]`` for that, and for a language whose models lack it there are :data:`FILLERS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import vosk

from ivr.hearing import Hypothesis, Phrase, Wanted, Word
from ivr.speech.recognition.choice import PACKAGES, EngineChoice, folder_of, model_fault, package_folder, remedy
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.vocabulary import FILLERS, vocabulary
from ivr.speech.voice import nearest_code
from ivr.understanding.phrases import matches

__all__ = ["VoskRecogniser"]

_SAMPLE_RATE: Final = 8000
_UNKNOWN: Final = "[unk]"
_MOST_HYPOTHESES: Final = 5


class VoskRecogniser:
    """One model, loaded once; an utterance has a recogniser of its own, so threads share nothing that changes."""

    def __init__(self, language: str, model: Path | None = None) -> None:
        """Raises RecognitionError if there is no model or it does not load."""
        model = folder_of(language, EngineChoice("vosk", model))
        if model is None:
            raise RecognitionError(f"no model of vosk for language {language!r} is installed: {remedy(language)}")
        fault = model_fault("vosk", model)
        if fault is not None:
            raise RecognitionError(f"{fault[0]}: {fault[1]}")
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(model_path=str(model))
        except Exception as error:
            raise RecognitionError(
                f"vosk cannot load {model}: the files are incomplete or damaged ({error})"
            ) from error
        self._language = language
        self._folder = model
        self._takes_grammars = not (model / "graph" / "HCLG.fst").is_file()

    streams: Final = True
    """Whether it recognises while it is fed."""

    @property
    def version(self) -> str:
        return f"vosk {version('vosk')}, {_model_name(self._folder)}"

    @cached_property
    def rejects(self) -> bool:
        """Whether what is none of the phrases can be told from them."""
        return self._knows(_UNKNOWN) or bool(self._fillers)

    @cached_property
    def _fillers(self) -> tuple[str, ...]:
        return tuple(word for word in nearest_code(self._language, FILLERS) or () if self._knows(word))

    def _knows(self, word: str) -> bool:
        return bool(self._model.vosk_model_find_word(word) >= 0)

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        found = []
        for phrase in wanted.phrases:
            for form in phrase.forms:
                missing = [word for word in self._words(form) if not self._knows(word)]
                if missing:
                    words = ", ".join(f"'{word}'" for word in missing)
                    found.append(f"'{form}' cannot be heard: the model does not know {words}; write other words for it")
                elif not self._words(form):
                    found.append(f"'{form}' cannot be heard: there is no word in it; write it as it is spoken")
        if wanted.phrases and not self._takes_grammars:
            found.append(
                f"{_model_name(self._folder)} takes no grammar, so phrases are sought in what it hears freely: slower "
                "and less sure; a small model takes one"
            )
        return found

    def utterance(self, wanted: Wanted) -> _VoskUtterance:
        spelt = {
            (one.name, " ".join(self._words(form))): form
            for one in wanted.phrases
            for form in one.forms
            if self._hears(form)
        }
        names = dict.fromkeys(name for name, _ in spelt)
        phrases = [Phrase(name, tuple(words for one, words in spelt if one == name)) for name in names]
        if wanted.phrases and not phrases:
            raise RecognitionError(
                f"the model {_model_name(self._folder)} knows the words of none of these phrases: write other words"
            )
        words = self._grammar(wanted, phrases)
        if words is None:
            recogniser = vosk.KaldiRecognizer(self._model, _SAMPLE_RATE)
        else:
            recogniser = vosk.KaldiRecognizer(self._model, _SAMPLE_RATE, json.dumps(words, ensure_ascii=False))
        recogniser.SetWords(True)
        return _VoskUtterance(recogniser, phrases, spelt, self._language, freely=wanted.type is not None)

    def _hears(self, form: str) -> bool:
        words = self._words(form)
        return bool(words) and all(self._knows(word) for word in words)

    def _grammar(self, wanted: Wanted, phrases: Sequence[Phrase]) -> list[str] | None:
        """What may be said, never empty; None: anything."""
        if not self._takes_grammars or wanted.type == "text" or (phrases and wanted.type is not None):
            return None
        if phrases:
            said = [form for phrase in phrases for form in phrase.forms]
            theirs = {word for one in said for word in one.split()}
            others = [word for word in self._fillers if word not in theirs]
        else:
            said = [word for word in vocabulary(wanted.type or "text", self._language) if self._knows(word)]
            others = []
        if not said:
            return None
        return [*dict.fromkeys(said), *([_UNKNOWN] if self._knows(_UNKNOWN) else others)]

    def _words(self, form: str) -> list[str]:
        """A phrase in words as models have them: small letters, or as it is written if those are unknown."""
        words = re.findall(r"[0-9]+|[^\W_0-9]+(?:['’-][^\W_]+)*", form)
        return [word for written in words for word in self._spelt(written)]

    def _spelt(self, written: str) -> list[str]:
        small = written.casefold().replace("’", "'")
        for word in (small, written, small.replace("'", ""), written.title()):
            if self._knows(word):
                return [word]
        parts = re.split("[-']", small)
        if len(parts) > 1 and all(self._knows(part) for part in parts):
            return parts
        if small.isascii() and small.isdecimal():
            return _numeral(small, self._language) or [small]
        # Chinese is written without spaces, and models have words.
        return list(_cut(small, self._knows)) or [small]


def _numeral(digits: str, language: str) -> list[str]:
    """``42`` as it is spoken."""
    import num2words

    try:
        said = num2words.num2words(int(digits), lang=language.replace("-", "_"))
    except (NotImplementedError, OverflowError):
        return []
    return re.findall(r"[^\W_]+", str(said).casefold())


def _cut(text: str, knows: Any) -> Iterator[str]:
    """Words of the model, the longest first, that make the text; nothing if there are none."""
    words, at = [], 0
    while at < len(text):
        size = next((size for size in range(min(8, len(text) - at), 0, -1) if knows(text[at : at + size])), 0)
        if not size:
            return
        words.append(text[at : at + size])
        at += size
    if len(text) > 1:
        yield from words


def _model_name(folder: Path) -> str:
    """Of a package's model the package with its version, else the folder's name."""
    for package in PACKAGES.values():
        if package_folder(package) == folder:
            name = package.module.replace("_", "-")
            try:
                return f"{name} {version(name)}"
            except PackageNotFoundError:
                break
    return folder.resolve().name


class _VoskUtterance:
    """Hears while it is spoken. The library ends an utterance where it hears a pause; its parts are put together."""

    def __init__(
        self,
        recogniser: Any,
        phrases: Sequence[Phrase],
        written: Mapping[tuple[str, str], str],
        language: str,
        *,
        freely: bool,
    ) -> None:
        """The phrases in words of the model, and how the operator wrote each; ``freely``: whether it may be another."""
        self._written = written
        self._recogniser = recogniser
        self._freely = freely
        self._phrases = phrases
        self._language = language
        self._words: list[Word] = []
        self._partial = ""

    def feed(self, pcm: bytes) -> str | None:
        if self._recogniser.AcceptWaveform(bytes(pcm)):
            self._take(self._recogniser.Result())
            partial = ""
        else:
            partial = json.loads(self._recogniser.PartialResult())["partial"]
        heard = " ".join([*(word.text for word in self._words), *partial.split()])
        heard = " ".join(word for word in heard.split() if word != _UNKNOWN)
        if heard == self._partial:
            return None
        self._partial = heard
        return heard

    def finish(self) -> Sequence[Hypothesis]:
        self._take(self._recogniser.FinalResult())
        words = tuple(word for word in self._words if word.text != _UNKNOWN)
        if not words:
            return ()
        found = self._phrase_hypotheses()
        if self._freely:
            # Freely said is what is none of the phrases.
            left = 1 - max((one.confidence for one in found), default=0.0)
            confidence = left * _mean(words) * len(words) / len(self._words)
            found.append(Hypothesis(" ".join(word.text for word in words), confidence, words=words))
        return sorted(found, key=lambda one: -one.confidence)[:_MOST_HYPOTHESES]

    def _phrase_hypotheses(self) -> list[Hypothesis]:
        """What of the phrases is in it. What else was heard speaks against each of them."""
        said = " ".join("∅" if word.text == _UNKNOWN else word.text for word in self._words)
        confidence = _mean(self._words)
        return [
            Hypothesis(
                self._written[one.phrase.name, one.form], confidence * one.share, one.phrase.name, tuple(self._words)
            )
            for one in matches(said, self._phrases, self._language)[:_MOST_HYPOTHESES]
        ]

    def _take(self, result: str) -> None:
        for word in json.loads(result).get("result", ()):
            times = round(word["start"] * 1000), round(word["end"] * 1000)
            self._words.append(Word(word["word"], min(1.0, word["conf"]), *times))


def _mean(words: Sequence[Word]) -> float:
    return sum(word.confidence for word in words) / len(words)
