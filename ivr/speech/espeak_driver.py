"""A pyttsx3 driver for servers: eSpeak NG, synchronous, without a sound device, with errors that are raised.

The stock driver hands a text to a thread of the library and may return before the sound is there: in a process
that lives long, one prompt's sound gets into the next. Here a call returns when all of its sound is there. The
library and its data come with the package espeakng-loader; without it the system's ``libespeak-ng.so.1`` serves.

    register()
    engine = pyttsx3.init(DRIVER)
    engine.setProperty("voice", "en-us")
    engine.save_to_file("Welcome.", "welcome.wav")    # or a binary file object
    engine.runAndWait()

pyttsx3 reports errors through ``engine.connect("error", ...)`` and calls the method names below as they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import itertools
import os
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from pyttsx3.voice import Voice as ListedVoice

from ivr.speech.voice import nearest

__all__ = ["DRIVER", "SAMPLE_RATE", "Espeak", "buildDriver", "espeak", "register"]

DRIVER = "ivr_espeak"
"""The name to give to ``pyttsx3.init``."""
SAMPLE_RATE = 22050
"""Samples a second of everything that eSpeak NG says."""

# speak_lib.h
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_SSML = 0x10
_ENDPAUSE = 0x1000
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3}
_EE_OK = 0

# The library keeps its data's folder in 160 bytes and adds file names to it; longer ones are cut off silently.
_LONGEST_DATA_PATH = 120

T = TypeVar("T")

_Samples = ctypes.POINTER(ctypes.c_short)
_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, _Samples, ctypes.c_int, ctypes.c_void_p)


class _CVoice(ctypes.Structure):
    """``espeak_VOICE``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Espeak:
    """The C library, of which a process can have one: it keeps voice and parameters in globals.

    Every method holds one lock, so any thread may call any method. Make it with :func:`espeak`.
    """

    def __init__(self) -> None:
        """Load the library and its data. Raises OSError if either is missing or broken."""
        self._lock = threading.RLock()
        self._heard: list[bytes] = []
        library, data = _locate()
        self._library = _declare(ctypes.CDLL(library))
        rate = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT)
        if rate != SAMPLE_RATE:
            raise OSError(f"eSpeak NG did not start: {library} found no usable data ({rate})")
        # ctypes frees a callback that nobody refers to, and the library would call into nothing.
        self._callback = _SynthCallback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, events: int | None) -> int:
        if count > 0:
            self._heard.append(ctypes.string_at(samples, count * 2))
        return 0

    @property
    def version(self) -> str:
        return cast(bytes, self._library.espeak_Info(None)).decode()

    def voices(self) -> list[ListedVoice]:
        """The voices of all languages, with the languages each is for, most fitting first."""
        return self._listed(None, _listed_voice)

    def variants(self) -> list[str]:
        """What may follow a voice's name and a plus sign, such as ``f3``."""
        spec = _CVoice(languages=ctypes.cast(ctypes.c_char_p(b"variant"), ctypes.c_void_p))
        return [name.removeprefix("!v/") for name in self._listed(ctypes.byref(spec), _identifier)]

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """Everything a voice may be called, in small letters (``en-us``, ``zh``, ``gmw/en-us``), and its identifier.

        The library itself finds a voice by some of its languages and not by others.
        """
        voices = self._listed(None, lambda voice: (_identifier(voice), _languages(voice)))
        names = {identifier.lower(): identifier for identifier, _ in voices}
        ranked = [(rank, language, identifier) for identifier, known in voices for rank, language in known]
        # The sort is stable: of voices that fit a language equally well the first listed gets its name.
        for _, language, identifier in sorted(ranked, key=lambda entry: entry[0]):
            names.setdefault(language.lower(), identifier)
        return names

    def _listed(self, spec: Any, take: Callable[[_CVoice], T]) -> list[T]:
        """What ``take`` makes of every voice; the library frees the list at the next call for one."""
        with self._lock:
            array = self._library.espeak_ListVoices(spec)
            found = itertools.takewhile(bool, map(array.__getitem__, itertools.count()))
            return [take(voice.contents) for voice in found]

    def set_voice(self, name: str) -> None:
        """Speak with this voice of :attr:`names`, ``+VARIANT`` if wanted. Raises ValueError if there is none."""
        base, _, variant = name.partition("+")
        identifier = self.names.get(base.lower())
        if identifier is None:
            raise ValueError(f"eSpeak NG has no voice {base!r}{nearest(base, self.names)}")
        wanted = f"{identifier}+{variant}" if variant else identifier
        with self._lock:
            status = self._library.espeak_SetVoiceByName(wanted.encode())
            current = _identifier(self._library.espeak_GetCurrentVoice().contents)
        if status != _EE_OK:
            raise ValueError(f"eSpeak NG cannot load its voice {name!r}")
        # An unknown variant is ignored by the library: the wrong person would speak.
        if variant and not current.endswith(f"+{variant}"):
            raise ValueError(f"eSpeak NG has no variant {variant!r}{nearest(variant, self.variants())}")

    def synthesize(self, text: str, voice: str, rate: int, volume: float, pitch: int, ssml: bool = False) -> bytes:
        """16-bit samples of the text, one channel at :data:`SAMPLE_RATE`.

        ``rate`` in words a minute, ``volume`` 0 to 1, ``pitch`` 0 to 99. ``ssml`` reads the text as SSML.
        Raises ValueError for an unknown voice, RuntimeError if the library fails.
        """
        # To the library a zero byte is the end of the text.
        encoded = text.replace("\0", " ").encode("utf-8", "replace")
        flags = _CHARS_UTF8 | _ENDPAUSE | (_SSML if ssml else 0)
        with self._lock:
            # Everything is set every time: the last prompt's settings must not colour this one.
            self.set_voice(voice)
            for name, value in (("rate", rate), ("volume", round(volume * 100)), ("pitch", pitch)):
                if self._library.espeak_SetParameter(_PARAMETERS[name], value, 0) != _EE_OK:
                    raise RuntimeError(f"eSpeak NG refused {name} {value}")
            self._heard.clear()
            try:
                status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, flags, None, None)
                if status != _EE_OK:
                    raise RuntimeError(f"eSpeak NG failed with status {status}")
                return b"".join(self._heard)
            finally:
                self._heard.clear()


@functools.cache
def espeak() -> Espeak:
    """The process's eSpeak NG, loaded at the first call. Raises OSError if it cannot be."""
    return Espeak()


def _locate() -> tuple[str, bytes | None]:
    """The library's path and the folder that holds ``espeak-ng-data``; None leaves the folder to the library."""
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError:
        return "libespeak-ng.so.1", None
    data = os.fsencode(Path(loader.get_data_path()).parent)
    if len(data) > _LONGEST_DATA_PATH:
        # Left open as long as the process: the library opens more of its files with every new language.
        data = b"/proc/self/fd/%d" % os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    return loader.get_library_path(), data


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the types of the functions used, as speak_lib.h has them."""
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, arguments in (
        ("espeak_Initialize", number, [number, number, text, number]),
        ("espeak_Info", text, [pointer]),
        ("espeak_SetSynthCallback", None, [_SynthCallback]),
        ("espeak_ListVoices", ctypes.POINTER(ctypes.POINTER(_CVoice)), [pointer]),
        ("espeak_GetCurrentVoice", ctypes.POINTER(_CVoice), []),
        ("espeak_SetVoiceByName", number, [text]),
        ("espeak_SetParameter", number, [number, number, number]),
        (
            "espeak_Synth",
            number,
            [text, ctypes.c_size_t, ctypes.c_uint, number, ctypes.c_uint, ctypes.c_uint, pointer, pointer],
        ),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _identifier(voice: _CVoice) -> str:
    return cast(bytes, voice.identifier).decode()


def _languages(voice: _CVoice) -> list[tuple[int, str]]:
    """Rank (lower fits better) and code of every language the voice is for."""
    found: list[tuple[int, str]] = []
    at = voice.languages
    while at and (rank := ctypes.string_at(at, 1)) != b"\0":
        code = ctypes.string_at(at + 1)
        found.append((rank[0], code.decode()))
        at += len(code) + 2
    return found


def _listed_voice(voice: _CVoice) -> ListedVoice:
    return ListedVoice(
        id=_identifier(voice),
        name=voice.name.decode().strip(),
        languages=[code for _, code in sorted(_languages(voice), key=lambda entry: entry[0])],
        gender={1: "Male", 2: "Female"}.get(voice.gender),
        age=voice.age or None,
    )


class _Driver:
    """What pyttsx3 drives: keeps the properties of one engine and renders one text at a time."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy
        self._properties: dict[str, Any] = {
            "voice": "en-us",
            "rate": 150,
            "volume": 1.0,
            "pitch": 50,
            "ssml": False,
        }
        espeak()

    def destroy(self) -> None:
        """Nothing to free: the library stays for the process's other engines."""

    def stop(self) -> None:
        """Nothing to stop: no text is under way between two calls."""

    def say(self, text: str) -> None:
        raise RuntimeError("there is no sound device: use save_to_file")

    def save_to_file(self, text: str, target: str | os.PathLike[str] | IO[bytes]) -> None:
        """Render to a WAV file, given by its path or open for writing."""
        self._proxy.notify("started-utterance")
        pcm = espeak().synthesize(text, **self._properties)
        with (
            open(target, "wb") if isinstance(target, str | os.PathLike) else contextlib.nullcontext(target) as opened,
            wave.open(opened, "wb") as file,
        ):
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(pcm)
        self._proxy.notify("finished-utterance", completed=True)

    def getProperty(self, name: str) -> Any:
        return espeak().voices() if name == "voices" else self._properties[name]

    def setProperty(self, name: str, value: Any) -> None:
        if name not in self._properties:
            raise KeyError(f"no property {name!r}")
        if name == "voice":
            espeak().set_voice(value)
        self._properties[name] = value

    def startLoop(self) -> None:
        # Not being busy makes pyttsx3 work off its queue, here and now.
        self._proxy.setBusy(False)

    def endLoop(self) -> None:
        self._proxy.setBusy(False)

    def iterate(self) -> Iterator[None]:
        self._proxy.setBusy(False)
        yield


def buildDriver(proxy: Any) -> _Driver:
    """What pyttsx3 calls to get a driver."""
    return _Driver(proxy)


def register() -> str:
    """Make ``pyttsx3.init(DRIVER)`` find this module; returns the name. May be called again."""
    # pyttsx3 imports drivers from its own package only.
    sys.modules[f"pyttsx3.drivers.{DRIVER}"] = sys.modules[__name__]
    return DRIVER
