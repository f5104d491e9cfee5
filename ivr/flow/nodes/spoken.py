"""What callers may say in place of keys, as flows write it: words of keys, intents, yes and no."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final

from ivr.flow.kinds import NAME, YesNo, bad_name
from ivr.flow.model import SpokenChoice
from ivr.flow.nodes.kinds import KEYS_LIMIT
from ivr.flow.nodes.words import Forms, Words
from ivr.flow.problem import listed
from ivr.flow.settings import Kind, Reader, Schema, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.understanding import yes_no

_NOTHING: Final[Forms] = MappingProxyType({})


class SpokenKeys:
    """Reads ``say`` of the keys of a menu."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {"speech": (YesNo(), "whether the words of keys count; unless it is written, they do")}
    )

    def read_from(self, node: MappingNode, reader: Reader) -> tuple[SpokenChoice, ...] | None:
        read = [(key, Words().read(value, reader)) for key, value in self._with_words(node.get("keys"))]
        good = tuple(SpokenChoice(key.text, forms, key.place) for key, forms in read if forms is not None)
        written = node.get("speech")
        listens = True if written is None else YesNo().read(written, reader)
        if len(good) < len(read) or listens is None:
            return None
        if written is not None and listens and not good:
            help = "give keys words: '1': {say: [words], go: block_name}"
            reader.problem("E115", written, "speech is yes, but no key has words", help)
            return None
        return good if listens else ()

    def _with_words(self, keys: Node | None) -> Iterator[tuple[ScalarNode, Node]]:
        for key, value in keys.entries if isinstance(keys, MappingNode) else ():
            if isinstance(value, MappingNode) and (words := value.get("say")) is not None:
                yield key, words


@dataclass(frozen=True)
class Intents:
    """What callers may want, the words for it, and where each leads: an exit per intent."""

    entry: ClassVar[tuple[str, ...]] = ("intent", "say", "do")

    taken: tuple[str, ...] = ()
    """Names of the step's other exits."""

    def read(self, node: Node, reader: Reader) -> tuple[SpokenChoice, ...] | None:
        if not isinstance(node, MappingNode) or not node.entries:
            help = "write sales: {say: [new bicycle, buy], go: block_name}, one per line"
            reader.problem("E020", node, "intents are missing", help)
            return None
        if len(node.entries) > KEYS_LIMIT:
            reader.problem("E025", node, f"this step has {len(node.entries)} intents", f"at most {KEYS_LIMIT}")
            return None
        read = [self._intent(key, value, reader) for key, value in node.entries]
        good = tuple(one for one in read if one is not None)
        reader.keys.update({key.text: key for key, _ in node.entries})
        return good if len(good) == len(read) else None

    def _intent(self, key: ScalarNode, value: Node, reader: Reader) -> SpokenChoice | None:
        complete = True
        if not NAME.fullmatch(key.text):
            bad_name(key, reader)
            complete = False
        elif key.text in self.taken:
            message = f"an intent cannot be called '{key.text}': an exit has this name"
            reader.problem("E115", key, message, "give it another name")
            complete = False
        if not isinstance(value, MappingNode):
            help = f"write {key.text[:40]}: {{say: [words], go: block_name}}"
            reader.problem("E012", key, f"intent '{key.text[:60]}' has no words", help)
            return None
        for name, _ in value.entries:
            if name.text not in ("say", "go", "do"):
                help = "write {say: [words], go: block_name}"
                reader.problem("E011", name, f"an intent has no setting '{name.text[:60]}'", help)
                complete = False
        words, target = value.get("say"), value.get("go")
        if target is None:
            reader.problem("E012", value, f"intent '{key.text[:60]}' does not say where it leads", "add go: block_name")
            complete = False
        elif complete:
            reader.wire(key.text, target)
        if words is None:
            reader.problem("E012", value, f"intent '{key.text[:60]}' has no words", "add say: [words]")
            return None
        forms = Words().read(words, reader)
        return SpokenChoice(key.text, forms, key.place) if complete and forms is not None else None

    def schema(self) -> Schema:
        intent = {
            "type": "object",
            "properties": {
                "say": Words().schema(),
                "go": text_schema(),
                "do": {"type": ["array", "object", "string"]},
            },
            "required": ["say", "go"],
            "additionalProperties": False,
        }
        return {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^(?:{NAME.pattern})$"},
            "additionalProperties": intent,
        }

    def describe(self) -> str:
        return "name: {say: words, go: block}, and do: [steps that take no time]"


class SpokenYesNo:
    """Words for yes and no: the language's usual ones with ``speech: yes``, own ones, or both."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {
            "speech": (YesNo(), "whether the usual words for yes and no of the call's language count, as well as keys"),
            "yes_words": (Words(), "what else is said for yes"),
            "no_words": (Words(), "what else is said for no"),
        }
    )

    def read_from(self, node: MappingNode, reader: Reader) -> tuple[SpokenChoice, ...] | None:
        written = {key.text: (key, value) for key, value in node.entries if key.text in self.names}
        read: dict[str, Any] = {name: self.names[name][0].read(value, reader) for name, (_, value) in written.items()}
        if None in read.values():
            return None
        own: dict[str, Forms] = {name: read.get(f"{name}_words", _NOTHING) for name in ("yes", "no")}
        usual: dict[str, yes_no.YesNo] = {}
        if read.get("speech"):
            known = ((language, yes_no.usual_yes_no(language)) for language in reader.languages)
            usual = {language: words for language, words in known if words is not None}
            if not usual and not all(own.values()):
                message = f"there are no usual words for yes and no in {listed(reader.languages)}"
                help = f"write yes_words and no_words; usual words are there for {listed(yes_no.YES_NO, 30)}"
                reader.problem("E192", written["speech"][0], message, help)
                return None
        elif bool(own["yes"]) != bool(own["no"]):
            there, missing = ("yes", "no") if own["yes"] else ("no", "yes")
            help = f"add {missing}_words, or speech: yes for the usual words"
            reader.problem("E115", written[f"{there}_words"][0], f"there are words for {there} only", help)
            return None
        if not usual and not own["yes"]:
            return ()
        place = next(key.place for key, _ in written.values())
        return tuple(SpokenChoice(name, self._together(name, usual, own[name]), place) for name in own)

    def _together(self, name: str, usual: Mapping[str, yes_no.YesNo], own: Forms) -> Forms:
        both = {language: getattr(words, name) for language, words in usual.items()}
        for language, phrases in own.items():
            both[language] = tuple(dict.fromkeys([*both.get(language, ()), *phrases]))
        return MappingProxyType(both)
