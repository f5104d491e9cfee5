"""How soon a text that nobody could make ready begins to be heard: spoken as a whole, and sentence by sentence.

Every text is new, with a number in it, as live texts are. What is measured is from asking until there is sound to hand
to the media engine, whose next packet is 20 ms away at most. ``--piper`` names a voice of Piper to measure too.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from subject import percentile

from ivr.speech.prompts import PromptLibrary
from ivr.speech.recordings import RecordingLibrary
from ivr.speech.voice import Voice
from ivr.speech.worker import SpeechWorker

app = typer.Typer(add_completion=False, rich_markup_mode=None)

TEXT = (
    "Your order with the number {number} is ready. You can collect all {number} parts of it today until six. "
    "Bring the receipt {number}, or a copy of it. Shelf {number} is the one to ask for at the desk. "
    "Thank you for calling us {number} times, and goodbye."
)


@dataclass(frozen=True, slots=True)
class Measured:
    engine: str
    seconds_of_sound: float
    whole_ms: dict[str, float]
    first_sentence_ms: dict[str, float]
    last_sentence_ms: dict[str, float]


async def measure(engine: str, voice: Voice, texts: int, numbers: Iterator[int]) -> Measured:
    worker = SpeechWorker()
    with tempfile.TemporaryDirectory() as folder:
        library = PromptLibrary(RecordingLibrary(Path(folder)), worker, voices={"en": voice})
        whole: list[float] = []
        first: list[float] = []
        last: list[float] = []
        sound = 0.0
        try:
            await library.speak("The engine is warm.", "en")
            for _ in range(texts):
                began = time.perf_counter()
                sound = (await library.speak(TEXT.format(number=next(numbers)), "en", deadline=60)).duration_ms / 1000
                whole.append((time.perf_counter() - began) * 1000)
                began, times = time.perf_counter(), []
                async with aclosing(library.speak_on(TEXT.format(number=next(numbers)), "en")) as clips:
                    async for _clip in clips:
                        times.append((time.perf_counter() - began) * 1000)
                first.append(times[0])
                last.append(times[-1])
        finally:
            await library.close()
            await worker.close()
    return Measured(engine, sound, spread(whole), spread(first), spread(last))


def spread(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {name: round(percentile(ordered, share), 1) for name, share in (("p50", 0.5), ("max", 1.0))}


def table(measured: list[Measured]) -> Table:
    out = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("", "sound s", "whole ms", "max", "first sentence ms", "max", "last sentence ms", "max"):
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for one in measured:
        times = (one.whole_ms, one.first_sentence_ms, one.last_sentence_ms)
        out.add_row(
            one.engine,
            f"{one.seconds_of_sound:.1f}",
            *(f"{each[name]:.1f}" for each in times for name in ("p50", "max")),
        )
    return out


@app.command(help=__doc__)
def bench(
    texts: Annotated[int, typer.Option(help="Texts to measure each way.")] = 20,
    piper: Annotated[str | None, typer.Option(help="A voice of Piper: its .onnx file, or its folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    numbers = iter(range(1000, 10_000))
    found = [asyncio.run(measure("espeak", Voice(), texts, numbers))]
    if piper is not None:
        found.append(asyncio.run(measure("piper", Voice("piper", piper), max(texts // 4, 1), numbers)))
    if as_json:
        print(json.dumps({"texts": texts, "engines": [asdict(one) for one in found], "time": time.time()}, indent=2))
    else:
        Console().print(table(found))


if __name__ == "__main__":
    app()
