"""From lines of the DSL to the nodes YAML is read into; what a word is - verb, setting, exit - the registry says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from ivr.flow.dsl.parsing import Braces, Item, Led, Line, ListItem, Part, Word, parse
from ivr.flow.model import Place
from ivr.flow.nodes import VERBS, Verb
from ivr.flow.nodes.questions import InputGroup
from ivr.flow.problem import Problem, with_lines
from ivr.flow.settings import Kind, groups_of, settings_of
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode, Source, decode, lines_of

ESCAPES: Final[Mapping[str, str]] = MappingProxyType({"n": "\n", "t": "\t", "r": "\r"})
_ESCAPE: Final = re.compile(r"\\(u\{([0-9a-fA-F]{1,6})\}|.)")


def kinds_of(verb: Verb) -> dict[str, Kind[Any]]:
    """Every setting of a verb, those of its groups included."""
    found: dict[str, Kind[Any]] = {one.name: one.kind for _, one in settings_of(verb.settings)}
    for _, group in groups_of(verb.settings):
        found.update({name: kind for name, (kind, _) in group.names.items()})
    return found


def order_of(verb: Verb) -> tuple[tuple[str, str], ...]:
    """What stands after the verb: pairs of the word before the value (empty for none) and the setting or exit."""
    order = verb.order
    if not order and not verb.whole:
        needed = [one.name for _, one in settings_of(verb.settings) if one.required]
        order = (verb.short,) if verb.short else tuple(needed[:1])
    return tuple((word, name) if name else ("", word) for word, _, name in (one.partition(" ") for one in order))


def entries_of(verb: Verb) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Words that begin an entry of a mapping, with the setting they belong to and what may stand in the entry."""
    found = {}
    for name, kind in kinds_of(verb).items():
        entry: tuple[str, ...] = getattr(kind, "entry", ())
        if entry:
            found[entry[0]] = (name, entry[1:])
    return found


def style_of(kind: object) -> str:
    return str(getattr(kind, "dsl", "word"))


def parse_dsl(content: bytes | str, file: str) -> Source:
    """Read what a ``.flow`` file contains."""
    text = decode(content, file)
    if isinstance(text, Source):
        return text
    lines = lines_of(text)
    parsed = parse(text, file)
    maker = _Maker(file)
    root = maker.root(parsed.parts) if parsed.parts else None
    problems = [*parsed.problems, *maker.problems]
    return Source(file, lines, root, tuple(with_lines(problems, {file: lines})), parsed.complete)


Entries = dict[str, tuple[ScalarNode, Node]]


class _Maker:
    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file

    def root(self, parts: Sequence[Part]) -> MappingNode:
        entries: Entries = {}
        variables: Entries = {}
        blocks: Entries = {}
        first: dict[str, Part] = {}
        for part in parts:
            place = Place(self._file, part.token.line or 1, part.token.column or 1)
            key = ScalarNode(str(part.token), place, length=len(part.token))
            if part.kind == "head":
                self._head(key, part, entries)
            elif part.kind == "handler":
                event = self.word(part.items[0])
                name = ScalarNode(f"on_{event.text}", event.place, length=event.length)
                self._put(entries, name, self.word(part.items[1]))
            elif part.kind == "variable":
                first.setdefault("vars", part)
                self._put(variables, self.word(part.items[0]), self._variable(part))
            else:
                first.setdefault("blocks", part)
                self._put(blocks, self.word(part.items[0]), self._block(part))
        for section, found in (("vars", variables), ("blocks", blocks)):
            if found:
                token = first[section].token
                place = Place(self._file, token.line or 1, token.column or 1)
                entries[section] = (ScalarNode(section, place), MappingNode(tuple(found.values()), place))
        return MappingNode(tuple(entries.values()), Place(self._file, 1))

    def _put(self, entries: Entries, key: ScalarNode, value: Node) -> None:
        if key.text in entries:
            message = f"'{key.text[:60]}' is there twice (first at line {entries[key.text][0].place.line})"
            help = "only one of the two can hold: remove or rename one"
            self.problems.append(Problem("E003", key.place, message, help, key.length))
        else:
            entries[key.text] = (key, value)

    def _head(self, key: ScalarNode, part: Part, entries: Entries) -> None:
        items = part.items
        if key.text == "input":
            kinds = {name: kind for name, (kind, _) in InputGroup.names.items()}
            found: Entries = {}
            self._pairs(items, found, kinds)
            self._put(entries, key, MappingNode(tuple(found.values()), key.place, key.length))
            return
        self._put(entries, key, self.node(items[0], "word"))
        rest = items[1:]
        if key.text == "flow" and rest:
            node = self.node(rest[0], "text")
            self._put(entries, ScalarNode("title", node.place, length=node.length), node)
            rest = rest[1:]
        self._nothing_more(rest)

    def _nothing_more(self, items: Sequence[Item]) -> None:
        if items:
            node = self.node(items[0], "word")
            shown = node.text[:40] if isinstance(node, ScalarNode) else "this"
            help = "put text in quotes; each thing has its own line"
            self.problems.append(Problem("E005", node.place, f"'{shown}' does not fit here", help, node.length))

    def _variable(self, part: Part) -> Node:
        items = list(part.items[1:])
        type_ = self.node(items[0], "word")
        entries: Entries = {"type": (ScalarNode("type", type_.place), type_)}
        rest = items[1:]
        if rest and _is_equals(rest[0]):
            name = Word("WORD", "default", rest[0].token)
            rest = [name, *rest[1:]]
        self._pairs(rest, entries, {})
        return MappingNode(tuple(entries.values()), type_.place) if len(entries) > 1 else type_

    def _block(self, part: Part) -> Node:
        braces = part.items[-1]
        assert isinstance(braces, Braces)
        steps = self.steps(braces)
        if len(part.items) < 3:
            return steps
        title = self.node(part.items[1], "text")
        entries = ((ScalarNode("title", title.place), title), (ScalarNode("steps", steps.place), steps))
        return MappingNode(entries, title.place)

    def steps(self, braces: Braces) -> SequenceNode:
        return SequenceNode(tuple(self._step(line) for line in braces.lines), self._place(braces))

    def _step(self, line: Line) -> Node:
        items = line.led[0].items if line.led else line.items
        target = line.led[0].target if line.led else None
        word = self.node(items[0], "word")
        if not isinstance(word, ScalarNode):
            return word
        if len(line.led) + bool(line.led and line.items) > 1:
            more = self.word(line.led[1].items[0]) if len(line.led) > 1 else self.node(line.items[0], "word")
            help = "several exits stand in braces: { busy -> a  failed -> b }"
            self.problems.append(Problem("E005", more.place, "a step has one -> outside of braces", help, more.length))
        verb = VERBS.get(word.text)
        rest = items[1:]
        if verb is None or (not rest and target is None):
            return word
        value = self._whole(verb, rest) if verb.whole else self._settings(verb, word, rest, target)
        return MappingNode(((word, value),), word.place)

    def _whole(self, verb: Verb, items: Sequence[Item]) -> Node:
        kind = kinds_of(verb)[verb.short or ""]
        entries: Entries = {}
        self._pairs(items, entries, {}, style_of(kind))
        return MappingNode(tuple(entries.values()), self._place(items[0]) if items else Place(self._file, 1))

    def _settings(self, verb: Verb, word: ScalarNode, items: Sequence[Item], target: Word | None) -> MappingNode:
        kinds, order, entries = kinds_of(verb), list(order_of(verb)), Entries()
        names = {*kinds, *(exit.name for exit in verb.exits), *verb.later, *(before for before, _ in order if before)}
        at = 0
        while at < len(items) and order:
            item = items[at]
            before, name = order[0]
            if isinstance(item, Word) and item.kind == "WORD" and item.text in names:
                if not before or item.text != before:
                    break
                at += 1
                if at == len(items):
                    break
            elif before or (isinstance(item, Braces) and style_of(kinds.get(name)) != "steps"):
                break
            order.pop(0)
            node = self.node(items[at], style_of(kinds.get(name)))
            self._put(entries, ScalarNode(name, word.place, length=word.length), node)
            at += 1
        self._pairs(items[at:], entries, kinds, verb=verb)
        if target is not None:
            self._exit(verb, verb.exits[0].name if verb.exits else "next", self.word(target), entries, word)
        return MappingNode(tuple(entries.values()), word.place, word.length)

    def _exit(self, verb: Verb, name: str, target: ScalarNode, entries: Entries, key: ScalarNode) -> None:
        exit = verb.exit(name)
        if exit is None or (exit.unwired != "failed" and not any(one.unwired == name for one in verb.exits)):
            self._put(entries, ScalarNode(name, key.place, length=key.length), target)
            return
        # The parts of an exit stand beside it here; in the nodes they are below it.
        whole = exit.name if exit.unwired != "failed" else "failed"
        parts: Entries = {}
        if whole in entries and isinstance(entries[whole][1], MappingNode):
            parts = {one.text: (one, value) for one, value in entries[whole][1].entries}  # type: ignore[union-attr]
        elif whole in entries:
            parts = {whole: entries[whole]}
        self._put(parts, ScalarNode(name, key.place, length=key.length), target)
        entries[whole] = (
            ScalarNode(whole, key.place, length=key.length),
            target if list(parts) == [whole] else MappingNode(tuple(parts.values()), key.place),
        )

    def _pairs(
        self,
        items: Sequence[Item],
        entries: Entries,
        kinds: Mapping[str, Kind[Any]],
        style: str | None = None,
        verb: Verb | None = None,
    ) -> None:
        """``name value name = value``, and braces with more of them."""
        at = 0
        while at < len(items):
            item = items[at]
            if isinstance(item, Braces) and verb is not None:
                self._lines(item, entries, kinds, style, verb)
                at += 1
                continue
            key = self.node(item, "word")
            if _is_equals(item):
                help = "write == to compare; = stands between a name and its value"
                self.problems.append(Problem("E005", key.place, "'=' does not fit here", help))
                return
            if not isinstance(key, ScalarNode) or (isinstance(item, Word) and item.kind == "EXPRESSION"):
                self.problems.append(
                    Problem(
                        "E005", key.place, "a name should stand here", "write name value, or name -> block", key.length
                    )
                )
                return
            at += 1
            if at < len(items) and _is_equals(items[at]):
                at += 1
            if at < len(items):
                value = self.node(items[at], style or style_of(kinds.get(key.text)))
                at += 1
            else:
                value = ScalarNode("", key.place, length=key.length)
            self._put(entries, key, value)

    def _lines(
        self,
        braces: Braces,
        entries: Entries,
        kinds: Mapping[str, Kind[Any]],
        style: str | None = None,
        verb: Verb | None = None,
    ) -> None:
        for line in braces.lines:
            for led in line.led:
                self._led(led, entries, verb)
            self._pairs(line.items, entries, kinds, style, verb)

    def _led(self, led: Led, entries: Entries, verb: Verb | None) -> None:
        target = self.word(led.target)
        first = led.items[0]
        begun = entries_of(verb).get(first.text) if verb is not None and isinstance(first, Word) else None
        if begun is not None and len(led.items) > 1:
            self._entry(led, target, entries, begun)
            return
        for item in first.items if isinstance(first, ListItem) else (first,):
            key = self.node(item, "word")
            if not isinstance(key, ScalarNode):
                self._nothing_more([item])
            elif verb is not None:
                self._exit(verb, key.text, target, entries, key)
            else:
                self._put(entries, key, target)
        self._nothing_more(led.items[1:])

    def _entry(self, led: Led, target: ScalarNode, entries: Entries, begun: tuple[str, tuple[str, ...]]) -> None:
        name, parts = begun
        word, key = self.word(led.items[0]), self.word(led.items[1])
        found: Entries = {}
        words = [item for item in led.items[2:] if not isinstance(item, Braces)]
        steps = [item for item in led.items[2:] if isinstance(item, Braces)]
        if words and "say" in parts and (said := self._words(words)) is not None:
            self._put(found, ScalarNode("say", said.place, length=said.length), said)
        if steps and "do" in parts:
            done = self.steps(steps[0])
            self._put(found, ScalarNode("do", done.place, length=done.length), done)
        self._nothing_more([*(() if "say" in parts else words), *steps["do" in parts :]])
        value: Node = target
        if found:
            found["go"] = (ScalarNode("go", target.place, length=target.length), target)
            value = MappingNode(tuple(found.values()), key.place)
        before = entries.get(name)
        inner = (
            {one.text: (one, node) for one, node in before[1].entries}
            if before and isinstance(before[1], MappingNode)
            else {}
        )
        self._put(inner, key, value)
        place = before[0].place if before else word.place
        entries[name] = (ScalarNode(name, place, length=word.length), MappingNode(tuple(inner.values()), place))

    def _words(self, items: Sequence[Item]) -> Node | None:
        """What may be said for an entry: words, or each language and its words after it."""
        if len(items) == 1:
            return self.node(items[0], "text")
        if len(items) % 2:
            self._nothing_more(items[-1:])
            return None
        found: Entries = {}
        for language, words in zip(items[::2], items[1::2], strict=True):
            self._put(found, self.word(language), self.node(words, "text"))
        return MappingNode(tuple(found.values()), self._place(items[0]))

    def node(self, item: Item, style: str) -> Node:
        """The node of one value; ``style`` says how the setting it belongs to spells its values."""
        if isinstance(item, Braces):
            if style == "steps":
                return self.steps(item)
            entries: Entries = {}
            self._lines(item, entries, {})
            return MappingNode(tuple(entries.values()), self._place(item))
        if isinstance(item, ListItem):
            if style == "expression" and item.token.type == "SQUARE":
                return self._raw_list(item)
            return SequenceNode(tuple(self.node(one, style) for one in item.items), self._place(item))
        node = self.word(item, expression=style == "expression")
        if style == "prompt":
            if item.kind in ("STRING", "TEXT"):
                return MappingNode(((ScalarNode("say", node.place), node),), node.place, node.length)
            if item.kind != "PROMPT":
                help = f'write @{item.text[:40]}, or "…" to have a text spoken'
                self.problems.append(Problem("E026", node.place, "a recording begins with @", help, node.length))
        return node

    def _raw_list(self, item: ListItem) -> Node:
        help = "write it in parentheses: (['a', 'b'])"
        self.problems.append(Problem("E005", self._place(item), "a list alone is no expression here", help))
        return ScalarNode("", self._place(item), "'")

    def word(self, item: Item, expression: bool = False) -> ScalarNode:
        place = self._place(item)
        if not isinstance(item, Word):
            self.problems.append(Problem("E005", place, "a name should stand here", "write one word"))
            return ScalarNode("", place, "'")
        text = item.text
        if item.kind == "EXPRESSION" or expression:
            if "\n" in text or "\r" in text:
                help = "close the bracket in its line"
                self.problems.append(Problem("E001", place, "an expression stands on one line", help))
            return ScalarNode(text, place, length=len(text))
        if item.kind == "PROMPT":
            return ScalarNode(text[1:], Place(place.file, place.line, place.column + 1), length=max(len(text) - 1, 1))
        if item.kind == "TEXT":
            return ScalarNode(text[1:-1].replace("''", "'"), place, "'", len(text))
        if item.kind == "STRING":
            return _quoted(text, place)
        return ScalarNode(text, place, length=len(text))

    def _place(self, item: Item) -> Place:
        return Place(self._file, item.token.line or 1, item.token.column or 1)


def _is_equals(item: Item) -> bool:
    return isinstance(item, Word) and item.kind == "EQUALS"


def _quoted(written: str, place: Place) -> ScalarNode:
    parts: list[str] = []
    ends: list[tuple[int, int]] = []
    length = more = at = 0
    inner = written[1:-1]
    for found in _ESCAPE.finditer(inner):
        parts.append(inner[at : found.start()])
        code = int(found[2], 16) if found[2] else 0
        parts.append(chr(code) if found[2] and code < 0x110000 else ESCAPES.get(found[1], found[1]))
        length += found.start() - at + 1
        more += len(found[0]) - 1
        ends.append((length, more))
        at = found.end()
    parts.append(inner[at:])
    return ScalarNode("".join(parts), place, '"', len(written), tuple(ends))
