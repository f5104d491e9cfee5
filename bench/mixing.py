"""What mixing and coding cost, as ratios: mixed legs to bridged ones, and all to the least that a leg's packets cost.

Legs in mixes of four, all of whom speak, and the same number of legs in bridged pairs take turns under the load of
native/load.c; what codecs and larger mixes cost by themselves is from native/coding.c.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from engine import HERE, PHONE_PORT, SERVER_PORT, compile_native, measure, serve
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.media import opus

TARGET_RATIO = 1.5
MEMBERS = 4

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def compile_coding(folder: Path) -> Path:
    program = folder / "coding"
    sources = [HERE / "native" / "coding.c", *sorted((HERE.parent / "gateway/media/native").glob("*.c"))]
    command = ["cc", "-std=gnu11", "-O2", "-pthread", "-o", str(program), *map(str, sources), "-lm", "-ldl"]
    subprocess.run(command, check=True)
    return program


def speech(folder: Path) -> Path:
    """Ten seconds with the loudness and the pauses of speech: what Opus takes for a voice."""
    chance = np.random.default_rng(1)
    when = np.arange(80_000) / 8000
    pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * when)) / 8000
    voice = sum(np.sin(n * pitch) / n for n in range(1, 25)) + chance.normal(0, 0.1, len(when))
    words = np.maximum(0.0, np.sin(2 * np.pi * 1.5 * when)) * (when % 3 < 2.4)
    path = folder / "speech.raw"
    (4000 * voice * words).astype(np.int16).tofile(path)
    return path


def coding(folder: Path) -> dict[str, Any]:
    library = opus.library()
    if library is None:
        raise SystemExit("libopus is needed: pip install av")
    out = subprocess.check_output([compile_coding(folder), library, speech(folder)])
    report: dict[str, Any] = json.loads(out)
    return report


def table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    out = Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        out.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        out.add_row(*row)
    return out


@app.command(help=__doc__)
def bench(
    legs: Annotated[int, typer.Option(help="Legs in one run.")] = 200,
    seconds: Annotated[int, typer.Option(help="Length of one run.")] = 5,
    rounds: Annotated[int, typer.Option(help="Comparisons, taken in turn; ratios are of the medians.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    serve_legs: Annotated[int, typer.Option("--serve", hidden=True)] = 0,
    mixed: Annotated[bool, typer.Option("--mixed", hidden=True)] = False,
) -> None:
    if serve_legs:
        serve(serve_legs, not mixed, True, False, mixed=MEMBERS if mixed else 0)
        return
    with tempfile.TemporaryDirectory() as folder:
        programs = compile_native(Path(folder))
        floor = [str(programs["floor"]), str(legs), str(SERVER_PORT), str(PHONE_PORT)]
        own = [sys.executable, __file__, "--serve", str(legs)]
        commands = {"floor": floor, "bridged": own, "mixed": [*own, "--mixed"]}
        costs: dict[str, list[float]] = {subject: [] for subject in commands}
        for _ in range(rounds):
            for subject, command in commands.items():
                run = measure(subject, command, programs["load"], legs, seconds)
                costs[subject].append(run.cpu_ms_per_leg)
        alone = coding(Path(folder))
    medians = {subject: median(values) for subject, values in costs.items()}
    ratio = medians["mixed"] / medians["bridged"]
    if as_json:
        print(json.dumps({"ratio": ratio, "target": TARGET_RATIO, "costs": costs, **alone}, indent=2))
    else:
        console = Console()
        rows = [(subject, f"{cost:.3f}", f"{cost / medians['floor']:.2f}") for subject, cost in medians.items()]
        console.print(table(f"{legs} legs, mixes of {MEMBERS}", ("", "ms/s/leg", "to the floor"), rows))
        verdict = "within" if ratio <= TARGET_RATIO else "beyond"
        console.print(f"mixed to bridged: {ratio:.2f}, {verdict} the target of {TARGET_RATIO}")
        rows = [
            (
                name,
                *(f"{cost[way]:.3f}" for way in ("encode", "decode")),
                f"{sum(cost.values()) / medians['floor']:.2f}",
            )
            for name, cost in alone["codecs"].items()
        ]
        console.print(table("Codecs by themselves", ("", "encode ms/s", "decode ms/s", "to the floor"), rows))
        rows = [
            (mix["codec"], *(str(mix[key]) for key in ("members", "speakers")), f"{mix['cost']:.3f}",
             f"{mix['cost'] / medians['floor']:.2f}")
            for mix in alone["mixes"]
        ]  # fmt: skip
        console.print(table("Mixes by themselves", ("", "members", "speaking", "ms/s/leg", "to the floor"), rows))
    if ratio > TARGET_RATIO:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
