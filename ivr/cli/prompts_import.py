"""``ivr prompts import``: sound files of any kind become recordings of the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from ivr.cli.loading import errors, flows_of, site_or_exit
from ivr.flow.loader import shown
from ivr.flow.problem import did_you_mean, listed
from ivr.prompts.catalogue import languages_of, prompts_of
from ivr.prompts.importing import ALL, ImportFault, Order, audio_in, import_one, orders_for
from ivr.speech.mastering import LOUDNESS, Mastered

_TOO_QUIET_LU = 1.0
"""What peaks may cost before it is worth a word."""


def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sound files, or folders of them.")],
    language: Annotated[
        str | None,
        typer.Option(
            "--language",
            metavar="CODE",
            help=f"Of all the files; '{ALL}': for every language. Unless given, that of the folder a file is in, or "
            "the only one the flows speak.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the recording, as flows write it; unless given, that of the file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace recordings without asking.")] = False,
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
) -> None:
    """Take recordings in: one channel, as loud as all other prompts, no silence around, as telephones carry it.

    WAV, FLAC, Ogg, Opus, MP3, AIFF and more are read, at any rate. The files stay as they are. A recording that is
    replaced is kept in var/replaced beside the site file.
    """
    loaded = site_or_exit(site)
    flow_set = flows_of(loaded)
    try:
        found = audio_in(paths)
        orders = orders_for(loaded, languages_of(flow_set), found, name=name, language=language)
    except ImportFault as fault:
        errors.print(str(fault), style="bold red")
        raise typer.Exit(1) from None
    chosen = _chosen(orders, force)
    done: list[tuple[Order, Mastered]] = []
    faults: list[str] = []
    shows = errors.is_terminal and len(chosen) > 1
    for order in track(chosen, "Importing", console=errors, transient=True, disable=not shows):
        try:
            done.append((order, import_one(order, loaded.state / "replaced")))
        except ImportFault as fault:
            faults.append(str(fault))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for order, made in done:
        console.print(f"{order.source} → {shown(order.target)}  {_told(made)}")
    known = {one.name for one in prompts_of(loaded, flow_set) if one.kind == "recording"}
    for order, _ in done:
        if order.name not in known and not order.name.startswith("music/"):
            help = did_you_mean(order.name, known, "recordings that flows play")
            errors.print(f"No flow plays '{order.name}' yet. {help}".rstrip(), style="bold yellow")
    for text in faults:
        errors.print(text, style="bold red")
    if faults:
        raise typer.Exit(1)


def _chosen(orders: list[Order], force: bool) -> list[Order]:
    """The orders that may be carried out: asked once about all that would replace something."""
    there = [order for order in orders if order.target.exists()]
    if not there or force:
        return orders
    names = listed((shown(order.target) for order in there), 5)
    if not sys.stdin.isatty():
        errors.print(f"{names}: there already. Nothing was imported; --force replaces what is there.", style="bold red")
        raise typer.Exit(1)
    if typer.confirm(f"{names}: there already. Replace?", err=True):
        return orders
    return [order for order in orders if order not in there]


def _told(made: Mastered) -> str:
    words = f"{made.seconds:.1f} s, {made.was:.1f} → {made.loudness:.1f} LUFS"
    if made.cut >= 0.05:
        words += f", {made.cut:.1f} s of silence cut off"
    if LOUDNESS - made.loudness > _TOO_QUIET_LU:
        words += "; a few sounds in it are much louder than all else: record it again more evenly"
    return words
