"""What people say on the telephone: voices, lines, menus, and what is in none of them.

The voices are not those that the engines' confidences were fitted to, and neither are the English phrases.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
import wave
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from ivr.speech.espeak_driver import SAMPLE_RATE as ESPEAK_RATE
from ivr.speech.espeak_driver import espeak

RATE = 8000
Samples = NDArray[np.float32]
SPEECH_LEVEL = 0.1
"""RMS; 1 is full scale."""


@dataclass(frozen=True, slots=True)
class Line:
    """A telephone line: 200 to 3,500 Hz and mu-law, and what is wrong with it."""

    name: str
    noise_db: float | None = None
    """White noise, against the speech."""
    lost: float = 0.0
    """Share of the packets of 20 ms that do not arrive."""


LINES = (Line("clean"), Line("noise -30 dB", -30), Line("noise -20 dB", -20), Line("3 % lost", lost=0.03))


@dataclass(frozen=True, slots=True)
class TestSet:
    """Of one language. A menu is what somebody is asked; its phrases have one form or several."""

    voices: Sequence[str]
    menus: Mapping[str, Sequence[Sequence[str]]]
    others: Sequence[str]
    """Said into any menu, and in none of them."""


def _each(phrases: str) -> list[list[str]]:
    return [phrase.split("/") for phrase in phrases.split(", ")]


ENGLISH = TestSet(
    ("flite:awb", "flite:rms", "flite:slt", "flite:kal16", "espeak:en-gb-scotland+f2", "espeak:en-us+m7"),
    {
        "clinic": _each(
            "appointments, prescriptions, test results, emergency, pharmacy, referrals, vaccination, nurse, dentist, "
            "new patient"
        ),
        "flights": _each(
            "book a flight, change a booking, flight status, baggage, loyalty program, refund, upgrade, check in, "
            "special assistance, group travel"
        ),
        "pizza": _each(
            "small, medium, large, pepperoni, margherita, vegetarian, extra cheese, garlic bread, delivery, pick up"
        ),
        "digits": _each("zero, one, two, three, four, five, six, seven, eight, nine"),
        "confirm": _each("yes/yeah/sure/of course/that's right, no/nope/not really/never/that's wrong"),
    },
    (
        "I have no idea",
        "could you say that again",
        "just a moment please",
        "this is Mary speaking",
        "are you a real person",
        "I bought it last year in Manchester",
        "er",
        "hmm let me see",
        "we had dinner at my place",
        "nothing of that works",
        "the parcel never came",
        "and",
        "thanks",
        "excuse me",
        "go straight on",
        "my son is ill",
        "tea",
        "am I talking to a computer",
        "wait there is someone at the window",
        "fifteen",
        "purple",
        "one moment",
        "football",
    ),
)
KOREAN = TestSet(
    ("espeak:ko", "espeak:ko+f3", "espeak:ko+m3", "espeak:ko+f2"),
    {
        "answer": _each("네, 아니요/아닙니다"),
        "service": _each("상담원 연결, 비밀번호, 환불, 예약, 보험"),
        "all": _each("상담원 연결, 비밀번호, 환불, 예약, 메뉴, 일본어, 사람, 보험, 안녕하세요, 아닙니다"),
    },
    (
        "도와주세요 빨리",
        "날씨가 좋아요",
        "잔액 조회",
        "배송 문의",
        "주소 변경",
        "무슨 말인지 모르겠어요",
        "영업 시간",
        "취소",
    ),
)
SETS = {"en": ENGLISH, "ko": KOREAN}


def available(voices: Sequence[str]) -> list[str]:
    """Those that can speak here."""
    return [voice for voice in voices if not voice.startswith("flite:") or shutil.which("flite")]


@functools.lru_cache(maxsize=1)
def says(voice: str, text: str) -> Samples:
    """The text as that voice says it, at :data:`RATE`, without silence around it."""
    program, _, name = voice.partition(":")
    if program == "espeak":
        data, rate = espeak().synthesize(text, name, 150, 1.0, 50), ESPEAK_RATE
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "said.wav")
            subprocess.run(["flite", "-voice", name, "-t", text, "-o", str(file)], check=True, timeout=60)
            with wave.open(str(file)) as opened:
                data, rate = opened.readframes(opened.getnframes()), opened.getframerate()
    sound = soxr.resample(np.frombuffer(data, "<i2").astype(np.float32) / 32768, rate, RATE)
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    kept: Samples = sound[max(0, loud[0] - 160) : loud[-1] + 400]
    return kept


def heard(sound: Samples, line: Line, seed: int) -> bytes:
    """What the recogniser gets of it: 0.3 s before it, 0.7 s after it, 16 bits."""
    chance = np.random.default_rng(seed)
    sound = np.pad(sound, (round(0.3 * RATE), round(0.7 * RATE)))
    spectrum = np.fft.rfft(sound)
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    spectrum[(frequency < 200) | (frequency > 3500)] = 0
    sound = np.fft.irfft(spectrum, len(sound)).astype(np.float32)
    loud = np.abs(sound) > 0.05 * np.abs(sound).max()
    sound *= SPEECH_LEVEL / np.sqrt(np.mean(sound[loud] ** 2))
    if line.noise_db is not None:
        sound = sound + chance.normal(0, SPEECH_LEVEL * 10 ** (line.noise_db / 20), len(sound))
    sound = _mu_law(np.clip(sound, -1, 1))
    for first in range(160, len(sound) - 160, 160):
        if chance.random() < line.lost:
            # As a simple receiver conceals it: the packet before once more, half as loud.
            sound[first : first + 160] = sound[first - 160 : first] * 0.5
    return (sound * 32767).astype(np.int16).tobytes()


def _mu_law(sound: Samples) -> Samples:
    """There and back (ITU-T G.711, as a curve)."""
    small = np.sign(sound) * np.log1p(255 * np.abs(sound)) / np.log(256)
    small = np.round((small + 1) * 127.5) / 127.5 - 1
    back: Samples = (np.sign(small) * np.expm1(np.abs(small) * np.log(256)) / 255).astype(np.float32)
    return back


def seed_of(*words: object) -> int:
    """The same in every run."""
    return zlib.crc32(" ".join(map(str, words)).encode())
