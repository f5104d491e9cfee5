"""Piper: neural voices from files, natural and dear. Some 100 times the processor time of eSpeak NG, so for prompts
that are made before they are heard; the package comes with the extra ``piper``, voices do not come with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from piper import PiperConfig, PiperVoice, SynthesisConfig

from gateway.call import Clip
from ivr.speech.level import NoSound, for_telephone
from ivr.speech.synthesis import Fault, check_length
from ivr.speech.voice import NothingToSay, SpeechError, UnknownVoice, Voice, nearest

__all__ = ["PiperSynthesizer", "find_model"]

_OWN_RATE: Final = 150
"""Words a minute in a site's words, at which a voice speaks as its maker meant it to."""
_OWN_PITCH: Final = 50
_POINTER: Final = b"version https://git-lfs"


def find_model(name: str) -> tuple[Path, str]:
    """The model that a voice's name stands for, and the speaker in it that is wanted; empty: its first.

    The name is the path of a ``.onnx`` file with its ``.onnx.json`` beside it, or of a folder that holds one such
    voice; ``+SPEAKER`` after it is one of the speakers of a model of several. Raises UnknownVoice.
    """
    path, speaker = Path(name), ""
    if not path.exists() and "+" in path.name:
        before, _, speaker = name.rpartition("+")
        path = Path(before)
    if path.is_dir():
        models = sorted(path.glob("*.onnx"))
        if len(models) != 1:
            found = f"{len(models)}: {', '.join(one.name for one in models[:5])}" if models else "none"
            raise UnknownVoice(f"{path} should hold one voice of Piper (a .onnx file) and holds {found}; name the file")
        path = models[0]
    if not path.is_file():
        raise UnknownVoice(f"there is no voice of Piper at {path}; name a .onnx file, or a folder that holds one")
    config = path.with_name(f"{path.name}.json")
    if not config.is_file():
        raise UnknownVoice(f"{config} is missing; it comes with {path.name} and belongs beside it")
    return path, speaker


class PiperSynthesizer:
    """Voices of Piper by path, each loaded once; one thread of the processor each."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[Path, int, int], PiperVoice] = {}

    def voices(self) -> Sequence[str]:
        return ()

    def prepare(self, voice: Voice) -> str:
        self._settings(voice, self._model(voice))
        path, _ = find_model(voice.voice)
        status = path.stat()
        return f"piper-tts {version('piper-tts')} {path.name} {status.st_size} {status.st_mtime_ns}"

    def unread(self, element: str, attributes: Mapping[str, str]) -> Fault | None:
        # It would read the tags to the caller.
        return "voices of Piper read no SSML", "write the text without tags, or let espeak speak this language"

    def render(self, text: str, voice: Voice, *, ssml: bool = False) -> Clip:
        if ssml:
            raise SpeechError("voices of Piper read no SSML")
        check_length(text)
        model = self._model(voice)
        spoken = [chunk.audio_int16_array for chunk in model.synthesize(text, self._settings(voice, model))]
        try:
            sound = for_telephone(
                np.concatenate(spoken) if spoken else np.zeros(1, np.int16), model.config.sample_rate, voice.volume
            )
        except NoSound:
            raise NothingToSay(f"voice {Path(voice.voice).name} has no sound for the text {text[:60]!r}") from None
        return Clip.from_pcm(sound, text[:60])

    def _model(self, voice: Voice) -> PiperVoice:
        path, _ = find_model(voice.voice)
        status = path.stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in self._loaded:
            # A model that was replaced gives way to the one in its place.
            self._loaded = {other: one for other, one in self._loaded.items() if other[0] != path}
            self._loaded[key] = _load(path)
        return self._loaded[key]

    def _settings(self, voice: Voice, model: PiperVoice) -> SynthesisConfig:
        if voice.pitch != _OWN_PITCH:
            raise SpeechError("voices of Piper cannot be tuned; leave pitch out, or take another voice")
        _, speaker = find_model(voice.voice)
        return SynthesisConfig(
            speaker_id=_speaker(speaker, model.config, voice.voice),
            length_scale=model.config.length_scale * _OWN_RATE / voice.rate,
        )


def _speaker(speaker: str, config: PiperConfig, name: str) -> int | None:
    if not speaker:
        return None
    speakers = config.speaker_id_map
    if speaker in speakers:
        return int(speakers[speaker])
    if speaker.isdecimal() and int(speaker) < config.num_speakers:
        return int(speaker)
    known = f"its speakers are 0 to {config.num_speakers - 1}" if config.num_speakers > 1 else "it has one speaker"
    raise UnknownVoice(f"{name} has no speaker {speaker!r}{nearest(speaker, speakers)}; {known}")


def _load(path: Path) -> PiperVoice:
    config = path.with_name(f"{path.name}.json")
    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise SpeechError(f"{path} is only a pointer of Git LFS; run git lfs pull, or download the voice")
        described = PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpeechError(f"{error.filename} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpeechError(f"{config} is damaged ({type(error).__name__}: {error}); take a fresh copy") from None
    options = onnxruntime.SessionOptions()
    # A second thread would take the core that signalling needs, and twice the time of both.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # Its exceptions have no class of their own.
        raise SpeechError(
            f"{path} is damaged, or no voice of Piper ({type(error).__name__}); take a fresh copy"
        ) from None
    return PiperVoice(session=session, config=described, download_dir=path.parent)
