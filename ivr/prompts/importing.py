"""Sound files that people bring, made into recordings of a site: what becomes of which, and the writing."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import soundfile

from ivr.flow.kinds import LANGUAGE, NAME
from ivr.flow.loader import shown
from ivr.flow.problem import listed
from ivr.site import Site
from ivr.speech.level import LINE_RATE, NoSound
from ivr.speech.mastering import Mastered, mastered
from ivr.speech.recordings import RecordingError, read_sound

__all__ = ["ALL", "ImportFault", "Order", "audio_in", "import_one", "orders_for", "store"]

ALL: Final = "all"
"""In place of a language: the recording serves every one that has none of its own."""

_MUSIC: Final = re.compile(r"music/[a-z][a-z0-9_]*")
_READ: Final = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"})
# Not read, but not to be passed over in silence: somebody meant to bring them.
_NOT_READ: Final = frozenset({".m4a", ".aac", ".mp4", ".wma", ".amr", ".3gp", ".webm", ".gsm", ".sln"})


class ImportFault(Exception):
    """A file cannot be taken in. The text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Order:
    """One file to be taken in."""

    source: Path
    target: Path
    name: str
    language: str
    """Empty: all languages."""


def audio_in(paths: Iterable[Path]) -> list[tuple[Path, Path | None]]:
    """Sound files among paths, those of folders and folders in them included, each with the folder it was found
    through. Raises ImportFault."""
    found: dict[Path, Path | None] = {}
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise ImportFault(f"{path} is not there")
            found.setdefault(path)
            continue
        inside = sorted(
            one
            for one in path.rglob("*")
            if one.suffix.lower() in _READ | _NOT_READ and not one.name.startswith(".") and one.is_file()
        )
        if not inside:
            raise ImportFault(f"there is no sound file in {path}: the endings are {listed(_READ, 20)}")
        found.update({one: path for one in inside if one not in found})
    return list(found.items())


def orders_for(
    site: Site,
    languages: Collection[str],
    files: Iterable[tuple[Path, Path | None]],
    *,
    name: str | None = None,
    language: str | None = None,
) -> list[Order]:
    """What becomes of each file. ``languages`` are those of the flows. Raises ImportFault.

    Unless given, the name is that of the file, and the language that of its folder or the only one there is.
    """
    files = list(files)
    if name is not None:
        if not NAME.fullmatch(name) and not _MUSIC.fullmatch(name):
            raise ImportFault(f"'{name[:60]}' is no name of a recording: write small letters, digits and _")
        if len(files) > 1:
            raise ImportFault(f"--name {name} is the name of one recording, and these are {len(files)} files")
    if language not in (None, ALL) and not re.fullmatch(LANGUAGE, language or ""):
        raise ImportFault(f"'{(language or '')[:40]}' is no language: write en, zh, pt-br, or {ALL}")
    orders: dict[Path, Order] = {}
    for file, folder in files:
        called = name or _name(file)
        spoken = "" if called.startswith("music/") else _language(site, languages, file, folder, language)
        target = site.prompts / spoken / f"{called}.wav"
        order = Order(file, target, called, spoken)
        other = orders.setdefault(target, order)
        if other is not order:
            raise ImportFault(f"{other.source} and {file} would both become {shown(target)}: rename one of them")
    return list(orders.values())


def import_one(order: Order, replaced: Path) -> Mastered:
    """Make the recording of an order and put it in its place, all of it or nothing.

    What was there before is kept below the folder ``replaced``, with the time in its name. Raises ImportFault.
    """
    try:
        sound, rate = read_sound(order.source)
        made = mastered(sound, rate)
    except NoSound:
        help = "record it again, and look at the level of the microphone"
        raise ImportFault(f"{order.source}: there is nothing to hear in it: {help}") from None
    except RecordingError as error:
        raise ImportFault(f"{error}: {_remedy(order.source, str(error))}") from None
    store(order, made, replaced)
    return made


def store(order: Order, made: Mastered, replaced: Path) -> None:
    """Put a recording in its place as :func:`import_one` does. Raises ImportFault."""
    try:
        _put(order, made, replaced)
    except OSError as error:
        place = shown(Path(error.filename or order.target))
        raise ImportFault(f"{order.source}: {place} cannot be written ({error.strerror or error})") from None


def _remedy(file: Path, error: str) -> str:
    if "is the most" in error:
        return "cut it into several"
    if "cannot be read" in error:
        return "look at who may read it"
    return f"save it as WAV, FLAC, Ogg or MP3, as in  ffmpeg -i {file.name} {file.stem}.wav"


def _name(file: Path) -> str:
    """The file's name as flows can write it: ``Welcome Message.mp3`` is ``welcome_message``."""
    plain = unicodedata.normalize("NFKD", file.stem).encode("ascii", "ignore").decode().lower()
    called = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not NAME.fullmatch(called):
        raise ImportFault(f"{file}: no recording can have this name: say which by --name, or rename the file")
    return called


def _language(site: Site, languages: Collection[str], file: Path, folder: Path | None, given: str | None) -> str:
    if given is not None:
        return "" if given == ALL else given
    try:
        # A recording of the site is made anew where it is.
        inside = file.resolve().relative_to(site.prompts.resolve()).parts
        return inside[0] if len(inside) > 1 else ""
    except ValueError:
        pass
    if folder is not None and file.parent.name in languages:
        return file.parent.name
    if len(languages) == 1:
        return next(iter(languages))
    known = f" ({listed(languages)})" if languages else ""
    raise ImportFault(f"{file}: say in which language it is{known}, by --language, or --language {ALL}")


def _put(order: Order, made: Mastered, replaced: Path) -> None:
    target = order.target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            soundfile.write(file, made.samples, LINE_RATE, subtype="PCM_16", format="WAV")
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            # The server may be somebody else, who could read it until now.
            shutil.copymode(target, part)
            _keep(order, replaced)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _keep(order: Order, replaced: Path) -> None:
    folder = (replaced / order.language / order.name).parent
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{order.target.stem}-{datetime.now():%Y%m%d-%H%M%S}"
    kept = folder / f"{stem}.wav"
    while kept.exists():
        kept = folder / f"{stem}-{secrets.token_hex(2)}.wav"
    shutil.copy2(order.target, kept)
