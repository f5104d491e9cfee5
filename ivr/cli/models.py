"""``ivr models``: what hears which language, whether it loads, and what it makes of a sound file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ivr.cli.loading import errors, site_or_exit
from ivr.flow.problem import did_you_mean
from ivr.hearing import Hypothesis, Phrase, SpokenType, Wanted
from ivr.speech.level import LINE_RATE, resample, to_int16
from ivr.speech.recognition.choice import (
    OFFICIAL_VOSK,
    PACKAGES,
    EngineChoice,
    choice_for,
    folder_of,
    remedy,
)
from ivr.speech.recognition.engines import load
from ivr.speech.recognition.port import Recogniser, RecognitionError
from ivr.speech.recordings import RecordingError, read_sound

_LONGEST_SAID: float = 60.0
"""Seconds of a sound file that is tried."""

_console = Console(highlight=False, soft_wrap=True, markup=False)


def models(
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    language: Annotated[str | None, typer.Option("--language", metavar="CODE", help="This language only.")] = None,
    say: Annotated[
        Path | None, typer.Option("--say", metavar="WAV", help="Recognise a sound file, as from a telephone.")
    ] = None,
    phrases: Annotated[
        str | None, typer.Option("--phrases", metavar="'A,B,…'", help="With --say: one of these was said.")
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help=f"With --say: {', '.join(get_args(SpokenType))}.")
    ] = None,
) -> None:
    """Show what hears which language, load it, and tell how to get more.

    The exit code is 1 if something does not load, or if nothing was recognised in the sound file.
    """
    chosen = site_or_exit(site).recognition if site.exists() or site != Path("site.yaml") else {}
    if say is not None:
        _try(say, language or "en", choice_for(language or "en", chosen), phrases, type_)
        return
    if phrases is not None or type_ is not None:
        errors.print("--phrases and --type go with --say WAV")
        raise typer.Exit(2)
    languages = [language] if language is not None else sorted({*chosen, *PACKAGES})
    rows = [(code, choice_for(code, chosen)) for code in languages]
    fine = _show([(code, choice) for code, choice in rows if choice is not None])
    for code, choice in rows:
        if choice is None:
            _console.print(f"{code}: nothing hears it. {remedy(code)}")
    if language is None:
        _console.print("\nMore models of vosk, from alphacephei.com/vosk/models:")
        for code, name in OFFICIAL_VOSK.items():
            _console.print(f"    {code}  {name}")
        _console.print("Unpack one, and name its folder in the site file:")
        _console.print("    recognition: {de: {engine: vosk, model: /path/to/vosk-model-small-de-0.15}}")
    if not fine or (language is not None and rows[0][1] is None):
        raise typer.Exit(1)


def _show(rows: list[tuple[str, EngineChoice]]) -> bool:
    """Each that hears, loaded once; whether all of it loads."""
    fine = True
    for code, choice in track(rows, "loading", console=errors, transient=True):
        folder = folder_of(code, choice)
        where = "" if folder is None else f"; {_size(folder)} in {folder}"
        began = time.monotonic()
        try:
            # Not kept: some hold half a gigabyte, and the next one comes.
            version = _load(code, choice).version
        except RecognitionError as error:
            _console.print(f"{code}  {choice.engine}  does not load: {error}", style="bold red")
            fine = False
        else:
            _console.print(f"{code}  {choice.engine}  ({version})")
            _console.print(f"    loads in {time.monotonic() - began:.1f} s{where}")
    return fine


def _load(language: str, choice: EngineChoice) -> Recogniser:
    return load(choice.engine, language, None if choice.model is None else str(choice.model))


def _size(folder: Path) -> str:
    return f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.0f} MB"


def _try(say: Path, language: str, choice: EngineChoice | None, phrases: str | None, type_: str | None) -> None:
    if (phrases is None) == (type_ is None):
        errors.print("say what may be in it: --phrases 'sales,support', or --type digits")
        raise typer.Exit(2)
    if type_ is not None and type_ not in get_args(SpokenType):
        errors.print(f"there is no type '{type_}': {did_you_mean(type_, get_args(SpokenType), 'types')}")
        raise typer.Exit(2)
    if choice is None:
        errors.print(f"nothing hears '{language}': {remedy(language)}")
        raise typer.Exit(1)
    forms = [form.strip() for form in (phrases or "").split(",") if form.strip()]
    spoken = next((one for one in get_args(SpokenType) if one == type_), None)
    wanted = Wanted(language, tuple(Phrase(form, (form,)) for form in forms), spoken)
    try:
        sound, rate = read_sound(say, longest_s=_LONGEST_SAID)
        recogniser = _load(language, choice)
        for complaint in recogniser.complaints(wanted):
            errors.print(complaint, style="bold yellow")
        began, used = time.monotonic(), time.process_time()
        utterance = recogniser.utterance(wanted)
        utterance.feed(to_int16(resample(sound.mean(axis=1), rate)).tobytes())
        found = utterance.finish()
    except (RecordingError, RecognitionError) as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    took, used = time.monotonic() - began, time.process_time() - used
    _console.print(_heard(found))
    seconds = len(sound) / rate
    _console.print(
        f"{seconds:.1f} s of sound, {took:.2f} s, {used:.2f} s of CPU, {choice.engine}, line at {LINE_RATE} Hz"
    )
    if not found:
        raise typer.Exit(1)


def _heard(found: Sequence[Hypothesis]) -> Table | str:
    if not found:
        return "nothing was recognised"
    table = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("confidence", "heard", *(("words",) if any(one.words for one in found) else ())):
        table.add_column(name, justify="right" if name == "confidence" else "left")
    for one in found:
        words = " ".join(f"{word.text}@{word.start_ms / 1000:.1f}s({word.confidence:.2f})" for word in one.words)
        table.add_row(f"{one.confidence:.2f}", one.text, *([words] if len(table.columns) > 2 else []))
    return table
