"""Which engine hears a language: ``recognition`` of the site file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ivr.flow.kinds import LANGUAGE, Text
from ivr.flow.problem import did_you_mean
from ivr.flow.settings import Reader, read_record, setting
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.speech.recognition.choice import EngineChoice, choice_for, model_fault, remedy
from ivr.speech.recognition.engines import ENGINES, engine_names

__all__ = ["RecognitionPart", "read_recognition"]


@dataclass(frozen=True, slots=True)
class RecognitionPart:
    engine: str = setting(
        Text("the name of an engine", 200), "what hears the language: vosk, whisper, or what a package brings"
    )
    model: str | None = setting(
        Text("a path", 1000), "the folder of its model; unset, the one that an installed package brings", default=None
    )


def read_recognition(key: ScalarNode, node: Node, folder: Path, reader: Reader) -> EngineChoice | None:
    """The choice for one language; what is wrong with it is reported."""
    if not re.fullmatch(LANGUAGE, key.text):
        reader.problem("E024", key, f"'{key.text[:40]}' is not a language", "write its code: en, ko, zh, …")
        return None
    if isinstance(node, ScalarNode):
        node = MappingNode(((ScalarNode("engine", key.place), node),), key.place)
    read = read_record(RecognitionPart, node, reader, f"recognition of '{key.text}'")
    if read is None:
        return None
    place = (node.get("engine") if isinstance(node, MappingNode) else None) or key
    if ":" not in read.engine and read.engine not in engine_names():
        help = did_you_mean(read.engine, engine_names(), "engines") or "write vosk or whisper"
        reader.problem("E211", place, f"there is no engine '{read.engine[:40]}' to hear with", help)
        return None
    model = None if read.model is None else folder / read.model
    choice = EngineChoice(read.engine, model)
    if model is not None:
        fault = model_fault(read.engine, model, read.model or "")
        if fault is not None:
            where = (node.get("model") if isinstance(node, MappingNode) else None) or key
            reader.problem("E211", where, *fault)
            return None
    elif read.engine in ENGINES and choice_for(key.text, {}) != choice:
        message = f"no model of {read.engine} for '{key.text}' is installed, and none is named"
        reader.problem("E211", place, message, remedy(key.text))
        return None
    return choice
