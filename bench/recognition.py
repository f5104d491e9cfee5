"""How well and how dearly an engine hears: phrases of menus of 2, 5 and 10, and speech that is in no menu.

Right: the phrase, with a confidence of at least 0.5. Wrong: another one, with such a confidence. Rejected: none. What
is in no menu should be rejected. CPU is that of the process, a call's share of a core while it listens; the floor is
the same engine hearing the same sound freely, without any phrases.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import typer
from spoken import LINES, RATE, SETS, TestSet, available, heard, says, seed_of

from ivr.hearing import Hypothesis, Phrase, Wanted
from ivr.speech.recognition.choice import choice_for, remedy
from ivr.speech.recognition.engines import load
from ivr.speech.recognition.port import Recogniser

SIZES = (2, 5, 10)
CHUNK = RATE // 10 * 2
"""Bytes of 100 ms, as calls bring them."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One sound in one menu."""

    voice: str
    line: str
    size: int
    said: str
    """The phrase's name; empty if it is in no menu."""
    phrases: tuple[Phrase, ...]
    pcm: bytes = field(repr=False)


@dataclass(slots=True)
class Tally:
    outcomes: Counter[str] = field(default_factory=Counter)

    def row(self) -> str:
        spoken = sum(self.outcomes[one] for one in ("right", "wrong", "rejected"))
        other = self.outcomes["accepted"] + self.outcomes["refused"]
        shares = [f"{self.outcomes[one] / max(1, spoken):8.1%}" for one in ("right", "wrong", "rejected")]
        return f"{''.join(shares)} of {spoken:4} {self.outcomes['accepted'] / max(1, other):9.1%} of {other:4}"


def trials(test_set: TestSet, language: str, share: float) -> Iterator[Trial]:
    """Every phrase and every other text in every voice, on one line each, in menus of all sizes."""
    for voice in available(test_set.voices):
        spoken = [
            (menu, tuple(forms), form)
            for menu, phrases in test_set.menus.items()
            for forms in phrases
            for form in forms
        ]
        strange = [("", (), text) for text in test_set.others]
        for menu, forms, text in [*spoken, *strange]:
            seed = seed_of(voice, menu, text)
            chance = np.random.default_rng(seed)
            if chance.random() >= share:
                continue
            line = LINES[chance.integers(len(LINES))]
            pcm = heard(says(voice, text), line, seed)
            asked = menu or list(test_set.menus)[chance.integers(len(test_set.menus))]
            others = [tuple(one) for one in test_set.menus[asked] if tuple(one) != forms]
            order = chance.permutation(len(others))
            for size in SIZES:
                if size > len(others) + bool(forms) + (not forms):
                    continue
                picked = [others[place] for place in order[: size - bool(forms)]] + ([forms] if forms else [])
                phrases = tuple(Phrase(one[0], one) for one in picked)
                yield Trial(voice, line.name, size, forms[0] if forms else "", phrases, pcm)


def recognise(recogniser: Recogniser, wanted: Wanted, pcm: bytes) -> tuple[Sequence[Hypothesis], float, float]:
    """What was heard; CPU seconds in all, and seconds from the end of the sound."""
    used = time.process_time()
    utterance = recogniser.utterance(wanted)
    for first in range(0, len(pcm), CHUNK):
        utterance.feed(pcm[first : first + CHUNK])
    ended = time.perf_counter()
    found = utterance.finish()
    return found, time.process_time() - used, time.perf_counter() - ended


def outcome(found: Sequence[Hypothesis], said: str) -> str:
    best = found[0] if found and found[0].confidence >= 0.5 else None
    if best is None:
        return "rejected" if said else "refused"
    return "accepted" if not said else "right" if best.name == said else "wrong"


def main(language: str = "en", engine: str = "", model: str = "", share: float = 0.4) -> None:
    """Print accuracy by menu, line and voice, and what it costs. ``share``: of the test set, 1 is all of it."""
    choice = choice_for(language, {})
    if not engine and choice is None:
        raise SystemExit(f"nothing hears {language} here: {remedy(language)}")
    recogniser = load(engine or (choice.engine if choice else ""), language, model or None)
    print(f"{recogniser.version}, {language}, voices: {', '.join(available(SETS[language].voices))}")
    tallies: dict[str, Tally] = {}
    costs: list[float] = []
    waits: list[float] = []
    free: list[float] = []
    seconds = 0.0
    for trial in trials(SETS[language], language, share):
        found, cpu, wait = recognise(recogniser, Wanted(language, trial.phrases), trial.pcm)
        for name in (f"{trial.size:3} phrases", trial.line, trial.voice, "all"):
            tallies.setdefault(name, Tally()).outcomes[outcome(found, trial.said)] += 1
        costs.append(cpu)
        waits.append(wait)
        if trial.size == SIZES[0]:
            seconds += len(trial.pcm) / 2 / RATE
        if trial.size == SIZES[1] and len(free) < 40:
            free.append(recognise(recogniser, Wanted(language, type="text"), trial.pcm)[1])
    print(f"{'':26}   right   wrong rejected            in no menu, accepted")
    for name, tally in sorted(tallies.items(), key=lambda one: (one[0] == "all", one[0])):
        print(f"{name:26}{tally.row()}")
    mean = sum(costs) / len(costs)
    length = seconds / max(1, len(costs) // len(SIZES))
    print(f"CPU {mean * 1000:.0f} ms an utterance of {length:.1f} s, {mean / length:.3f} s a second of sound")
    median, p95 = (np.quantile(waits, part) * 1000 for part in (0.5, 0.95))
    print(f"answer after the last sound: median {median:.0f} ms, p95 {p95:.0f} ms")
    if free:
        floor = sum(free) / len(free)
        print(f"heard freely: {floor * 1000:.0f} ms; phrases cost {mean / floor:.2f} of that")


if __name__ == "__main__":
    typer.run(main)
