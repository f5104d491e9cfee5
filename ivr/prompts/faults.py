"""What is wrong with the recordings of a site, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ivr.flow.loader import shown
from ivr.prompts.catalogue import Prompt
from ivr.speech.mastering import LOUDNESS
from ivr.speech.measuring import Measured
from ivr.speech.recordings import LONG_S, doubt

__all__ = ["OFF_LU", "Finding", "faults_in", "import_line", "missing"]

OFF_LU: Final = 3.0
"""What callers notice from one prompt to the next."""
BEFORE_S: Final = 0.5
"""Silence before the first word at which callers begin to speak themselves."""
AFTER_S: Final = 1.5
"""Silence after the last word in which callers wonder whether the line is dead."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    file: Path
    """The recording, or where it is missing."""
    fault: str
    """A word for programs."""
    message: str
    remedy: str
    prompts: tuple[Prompt, ...] = ()

    @property
    def grave(self) -> bool:
        """Whether callers hear nothing in its place."""
        return self.fault in ("missing", "unplayable", "silent")


def missing(prompt: Prompt) -> Finding:
    words = f"prompt '{prompt.name}' has no recording for {prompt.language}"
    return Finding(prompt.wanted, "missing", words, f"record it, then {import_line('FILE', prompt)}", (prompt,))


def import_line(file: str, prompt: Prompt) -> str:
    """What takes a recording in for a prompt."""
    return f"ivr prompts import {file} --language {prompt.language} --name {prompt.name}"


def faults_in(file: Path, found: Measured, prompts: Sequence[Prompt]) -> list[Finding]:
    """What callers may not like in a recording. ``prompts`` are those that play it."""
    again = f"ivr prompts import {shown(file)} --force"
    findings: list[Finding] = []

    def add(fault: str, message: str, remedy: str) -> None:
        findings.append(Finding(file, fault, message, remedy, tuple(prompts)))

    if found.silent:
        add("silent", "there is nothing to hear in it", "record it again, and look at the level of the microphone")
        return findings
    known = doubt(file)
    if known is not None:
        add("format", known[0].removeprefix(shown(file)).strip(), known[1])
    if found.seconds > LONG_S and not any(prompt.music for prompt in prompts):
        words = f"it lasts {found.seconds:.0f} s; callers listen for {LONG_S:.0f} s at most"
        add("long", words, "shorten it, or split it into several steps between which callers may choose")
    if found.cancels_out:
        words = "its two channels are each other's opposite: callers hear next to nothing"
        add("opposite", words, f"{again}, which takes one of them")
    off = found.loudness - LOUDNESS
    if abs(off) > OFF_LU:
        words = f"{abs(off):.1f} LU {'louder' if off > 0 else 'quieter'} than other prompts"
        add("loudness", f"{found.loudness:.1f} LUFS, {words} ({LOUDNESS:.0f} LUFS)", again)
    if found.clipped:
        times = "once" if found.clipped == 1 else f"{found.clipped} times"
        words = f"the wave is cut off at the end of the scale {times}: it crackles"
        add("clipped", words, "record it again with less gain; nothing brings back what was cut off")
    if found.before > BEFORE_S:
        add("silence", f"{found.before:.1f} s of silence before the first sound", again)
    if found.after > AFTER_S:
        add("silence", f"{found.after:.1f} s of silence after the last sound", again)
    return findings
