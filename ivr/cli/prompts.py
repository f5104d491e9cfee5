"""``ivr prompts``: the prompts of a site, those that are missing, what is wrong with recordings, a sheet of texts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ivr.cli.loading import errors, flows_of, program, site_or_exit
from ivr.cli.prompts_import import import_files
from ivr.flow.loader import FlowSet, shown
from ivr.flow.problem import did_you_mean
from ivr.prompts.catalogue import Prompt, prompts_of, recordings_of
from ivr.prompts.faults import Finding, faults_in, missing
from ivr.prompts.sheet import SheetFault, as_csv, as_html, cell, texts_in
from ivr.site import Site
from ivr.speech.measuring import Measured, measure
from ivr.speech.recordings import RecordingError, RecordingLibrary

app = typer.Typer(no_args_is_help=False, rich_markup_mode="rich")
app.command("import")(import_files)

_SITE = Annotated[Path, typer.Option("--site", help="The site file.")]
_LANGUAGE = Annotated[str | None, typer.Option("--language", metavar="CODE", help="This language only.")]
_MISSING = Annotated[
    bool, typer.Option("--missing", help="Only recordings that are missing or cannot be played; exit code 1 if any.")
]
_FORMAT = Annotated[
    Literal["table", "json", "csv"], typer.Option("--format", help="table for people, json and csv for programs.")
]
_OTHER_WIDTH = 54
"""Of the columns that are always narrow, and what is between all of them."""
_LEAST_WIDTH = _OTHER_WIDTH + 24
_console = Console(highlight=False, soft_wrap=True, markup=False)


@app.callback(invoke_without_command=True)
def prompts(
    context: typer.Context,
    site: _SITE = Path("site.yaml"),
    language: _LANGUAGE = None,
    missing_only: _MISSING = False,
    output: _FORMAT = "table",
) -> None:
    """Look after the prompts of a site: list them, take recordings in, check them, write a sheet for a speaker.

    Without a command all prompts are listed, as by ivr prompts list.
    """
    if context.invoked_subcommand is None:
        list_prompts(site, language, missing_only, output)


@app.command("list")
def list_prompts(
    site: _SITE = Path("site.yaml"),
    language: _LANGUAGE = None,
    missing_only: _MISSING = False,
    output: _FORMAT = "table",
) -> None:
    """List every prompt that flows name, in each of their languages: is it there, how long, how loud, where used."""
    loaded, flow_set = _read(site)
    wanted = _in_language(prompts_of(loaded, flow_set), language)
    found = _measured(wanted)
    if missing_only:
        wanted = [one for one in wanted if _state(one, found) in ("missing", "no sound")]
    if output == "json":
        typer.echo(json.dumps([_as_json(one, found) for one in wanted], ensure_ascii=False, indent=2))
    elif output == "csv":
        written = io.StringIO(newline="")
        rows = csv.writer(written)
        rows.writerow(("kind", "name", "language", "number", "text", "state", "seconds", "loudness", "file", "used"))
        rows.writerows([cell(value) for value in _as_row(one, found)] for one in wanted)
        typer.echo(written.getvalue(), nl=False)
    else:
        _show(wanted, found, missing_only)
    if missing_only and wanted:
        raise typer.Exit(1)


@app.command("check")
def check_recordings(
    site: _SITE = Path("site.yaml"),
    language: _LANGUAGE = None,
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="json for programs.")] = "text",
) -> None:
    """Listen to every recording: too short or long, too loud or quiet, clipped, silent, muffled.

    The exit code is 1 if callers would hear nothing: a recording is missing, cannot be played, or is silent.
    """
    loaded, flow_set = _read(site)
    wanted = _in_language(prompts_of(loaded, flow_set), language)
    findings = [missing(one) for one in wanted if one.missing]
    files = recordings_of(wanted)
    for file, measured in _measured(wanted).items():
        if isinstance(measured, Measured):
            findings += faults_in(file, measured, files[file])
        else:
            words = str(measured).removeprefix(f"{file}: ")
            findings.append(
                Finding(file, "unplayable", words, "record it again, or save it as WAV", tuple(files[file]))
            )
    if output == "json":
        typer.echo(json.dumps([_finding_as_json(one) for one in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            _console.print(f"{shown(finding.file)}: {finding.message}", style="bold red" if finding.grave else "bold")
            _console.print(f"      {finding.remedy}")
            _console.print(f"      used in {', '.join(_used(finding.prompts))}")
        _console.print(_summary(len(files), findings))
    if any(finding.grave for finding in findings):
        raise typer.Exit(1)


@app.command("sheet")
def sheet(
    file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where it is written.")],
    site: _SITE = Path("site.yaml"),
    language: _LANGUAGE = None,
    missing_only: Annotated[bool, typer.Option("--missing", help="Without recordings that are there already.")] = False,
    texts: Annotated[
        Path | None,
        typer.Option("--texts", metavar="FILE", help="Texts of recordings: an earlier sheet that was filled in."),
    ] = None,
    output: Annotated[
        Literal["csv", "html"] | None,
        typer.Option("--format", help="csv for spreadsheets, html to print; unless given, by the ending of FILE."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Write a sheet for somebody who records the prompts: name, language, text, file wanted, where used."""
    loaded, flow_set = _read(site)
    wanted = _in_language(prompts_of(loaded, flow_set), language)
    if missing_only:
        wanted = [one for one in wanted if one.file is None]
    try:
        known = {} if texts is None else texts_in(texts)
    except SheetFault as error:
        _stop(str(error))
    html = output == "html" if output is not None else file.suffix.lower() in (".html", ".htm")
    content = (
        as_html(wanted, known, f"Prompts of {loaded.file.resolve().parent.name}") if html else as_csv(wanted, known)
    )
    try:
        with file.open("wb" if force else "xb") as stream:
            stream.write(content)
    except FileExistsError:
        _stop(f"{file} is there already, and may have been filled in: take another name, or --force")
    except OSError as error:
        _stop(f"{file} cannot be written: {error.strerror or error}")
    _console.print(f"written: {file} ({len(wanted)} prompts)")


@app.command("play")
def play(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recording that flows name.")],
    site: _SITE = Path("site.yaml"),
    language: Annotated[
        str | None, typer.Option("--language", metavar="CODE", help="Unless given, the first that has it.")
    ] = None,
) -> None:
    """Play a recording on this machine, as callers hear it. Ctrl-C ends it."""
    loaded, flow_set = _read(site)
    known = [one for one in prompts_of(loaded, flow_set) if one.kind == "recording"]
    languages = [one.language for one in known if one.name == name and one.file is not None]
    library = RecordingLibrary(loaded.prompts)
    try:
        spoken = language if language is not None else next(iter(languages), "")
        path = library.find(spoken, name)
        if path is None:
            help = did_you_mean(name, {one.name for one in known if one.file is not None}, "recordings")
            looked = ", ".join(shown(place) for place in library.looked_for(spoken, name))
            _stop(f"There is no recording '{name[:60]}' (looked for {looked}). {help}".rstrip())
        clip = library.load(spoken, name)
    except RecordingError as error:
        _stop(str(error))
    from ivr.cli.loudspeaker import NoLoudspeaker, SoundCard

    try:
        card = SoundCard()
        _console.print(f"{shown(path)}  {clip.duration_ms / 1000:.1f} s  on {card.name}")
        try:
            card.play(clip.to_pcm())
            card.wait()
        except KeyboardInterrupt:
            card.stop()
    except NoLoudspeaker as error:
        _stop(f"{shown(path)} is not heard: {error}")


def _read(path: Path) -> tuple[Site, FlowSet]:
    """The site and its flows, broken or not: prompts can be looked after before flows are whole."""
    site = site_or_exit(path)
    flow_set = flows_of(site)
    if not flow_set.ok:
        errors.print(f"There are mistakes in flows, whose prompts may not all be known: {program} check {path}")
    return site, flow_set


def _in_language(prompts: list[Prompt], language: str | None) -> list[Prompt]:
    if language is None:
        return prompts
    found = [one for one in prompts if one.language == language]
    if not found:
        known = {one.language for one in prompts}
        _stop(f"No flow speaks '{language[:40]}': {did_you_mean(language, known, 'languages')}")
    return found


def _measured(prompts: list[Prompt]) -> dict[Path, Measured | RecordingError]:
    """Every recording, measured, or why it cannot be."""
    found: dict[Path, Measured | RecordingError] = {}
    files = recordings_of(prompts)
    shows = errors.is_terminal and len(files) > 1
    for file in track(files, "Listening", console=errors, transient=True, disable=not shows):
        try:
            found[file] = measure(file)
        except RecordingError as error:
            found[file] = error
    return found


def _state(one: Prompt, found: dict[Path, Measured | RecordingError]) -> str:
    if one.kind == "text":
        return "spoken"
    if one.file is None:
        return "missing"
    return "recorded" if isinstance(found[one.file], Measured) else "no sound"


def _numbers(one: Prompt, found: dict[Path, Measured | RecordingError]) -> tuple[float | None, float | None]:
    """Seconds and LUFS; None where there are none."""
    measured = None if one.file is None else found[one.file]
    if not isinstance(measured, Measured):
        return None, None
    return round(measured.seconds, 2), None if measured.silent else round(measured.loudness, 1)


def _show(prompts: list[Prompt], found: dict[Path, Measured | RecordingError], missing_only: bool) -> None:
    if not prompts:
        _console.print("No recording is missing." if missing_only else "The flows of the site name no prompts.")
        return
    used = {one: [f"{place.file}:{place.line}" for place in one.places] for one in prompts}
    widest = max(cell_len(place) for places in used.values() for place in places)
    # Where something is used is read whole, whatever the width: texts are cut instead.
    console = Console(highlight=False, markup=False, width=max(_console.width, widest + _LEAST_WIDTH))
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("prompt", no_wrap=True, overflow="ellipsis", max_width=console.width - widest - _OTHER_WIDTH)
    for name in ("language", "number", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("length", "LUFS"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("used", no_wrap=True)
    # A text is the same in all languages of its flows: one line says so.
    languages: dict[str, list[str]] = {}
    for one in prompts:
        languages.setdefault(one.text, []).append(one.language)
    for one in prompts:
        state = _state(one, found)
        if one.kind == "text" and languages[one.text][0] != one.language:
            continue
        seconds, loudness = _numbers(one, found)
        places = used[one]
        table.add_row(
            one.name if one.kind == "recording" else f"'{' '.join(one.text.split())}'",
            one.language if one.kind == "recording" else " ".join(languages[one.text]),
            "" if one.number is None else str(one.number),
            state,
            "" if seconds is None else f"{seconds:.1f} s",
            "silent" if loudness is None and seconds is not None else "" if loudness is None else f"{loudness:.1f}",
            "\n".join([*places[:3], *([f"and {len(places) - 3} more"] if len(places) > 3 else [])]),
            style="red" if state in ("missing", "no sound") else "dim" if state == "spoken" else None,
        )
    console.print(table)
    states = [_state(one, found) for one in prompts]
    _console.print(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))


def _as_json(one: Prompt, found: dict[Path, Measured | RecordingError]) -> dict[str, object]:
    seconds, loudness = _numbers(one, found)
    return {
        "kind": one.kind,
        "name": one.name if one.kind == "recording" else None,
        "language": one.language,
        "number": one.number,
        "text": one.text or None,
        "state": _state(one, found),
        "seconds": seconds,
        "loudness": loudness,
        "file": None if one.file is None else shown(one.file),
        "used": [{"file": place.file, "line": place.line} for place in one.places],
    }


def _as_row(one: Prompt, found: dict[Path, Measured | RecordingError]) -> list[str]:
    told = _as_json(one, found)
    told["used"] = " ".join(f"{place.file}:{place.line}" for place in one.places)
    return ["" if value is None else str(value) for value in told.values()]


def _finding_as_json(one: Finding) -> dict[str, object]:
    return {
        "file": shown(one.file),
        "fault": one.fault,
        "message": one.message,
        "help": one.remedy,
        "grave": one.grave,
        "used": _used(one.prompts),
    }


def _used(prompts: tuple[Prompt, ...]) -> list[str]:
    return [f"{place.file}:{place.line}" for place in sorted({place for one in prompts for place in one.places})]


def _summary(files: int, findings: list[Finding]) -> str:
    heard = f"{files} recording{'' if files == 1 else 's'} listened to"
    return f"{heard}, {len(findings) or 'no'} problem{'' if len(findings) == 1 else 's'}"


def _stop(text: str) -> NoReturn:
    errors.print(text, style="bold red")
    raise typer.Exit(1)
