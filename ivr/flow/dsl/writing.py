"""From nodes to the DSL: what YAML said, in the other spelling. The registry says what goes where in a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ivr.flow.dsl.nodes import entries_of, kinds_of, order_of, style_of
from ivr.flow.dsl.parsing import Word, parse
from ivr.flow.kinds import NAME
from ivr.flow.nodes import VERBS, Verb
from ivr.flow.nodes.questions import InputGroup
from ivr.flow.settings import Kind
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode
from ivr.flow.spelt import Written, lines_in

_INDENT = "  "


def write_dsl(root: MappingNode) -> list[Written]:
    """The lines of a flow that was read without errors."""
    return [*_head(root), *_blocks(root)]


def _head(root: MappingNode) -> Iterator[Written]:
    title = root.get("title")
    for key, node in root.entries:
        match key.text:
            case "flow":
                parts = [f"flow {value(node)}"] + ([value(title, "text")] if title else [])
                yield Written(" ".join(parts), lines_in(key, node) | (lines_in(title) if title else set()))
            case "languages" | "start":
                yield Written(f"{key.text} {_list(node)}", lines_in(key, node))
            case "on_hangup" | "on_error":
                yield Written(f"on {key.text[3:]} -> {value(node)}", lines_in(key, node))
            case "vars" if isinstance(node, MappingNode):
                for name, variable in node.entries:
                    yield Written(_variable(name, variable), lines_in(name, variable))
            case "input" if isinstance(node, MappingNode) and node.entries:
                kinds = {name: kind for name, (kind, _) in InputGroup.names.items()}
                pairs = (f"{name.text} {value(one, style_of(kinds.get(name.text)))}" for name, one in node.entries)
                yield Written(f"input {' '.join(pairs)}", lines_in(key, node))


def _list(node: Node) -> str:
    return ", ".join(map(value, node.items)) if isinstance(node, SequenceNode) else value(node)


def _variable(name: ScalarNode, node: Node) -> str:
    if not isinstance(node, MappingNode):
        return f"var {name.text}: {value(node)}"
    parts = [f"var {name.text}: {value(node.get('type') or ScalarNode('text', name.place))}"]
    for key, one in node.entries:
        if key.text == "default":
            parts.append(f"= {value(one)}")
    parts += [f"{key.text} {value(one)}" for key, one in node.entries if key.text not in ("type", "default")]
    return " ".join(parts)


def _blocks(root: MappingNode) -> Iterator[Written]:
    blocks = root.get("blocks")
    for name, node in blocks.entries if isinstance(blocks, MappingNode) else ():
        title = None
        steps: Node | None = node
        if isinstance(node, MappingNode):
            title, steps = node.get("title"), node.get("steps")
        yield Written("")
        shown = f" {value(title, 'text')}" if title else ""
        yield Written(f"block {value(name)}{shown} {{", lines_in(name, title) if title else lines_in(name))
        for step in steps.items if isinstance(steps, SequenceNode) else ():
            yield from step_lines(step, _INDENT)
        yield Written("}")


def step_lines(node: Node, indent: str = "") -> list[Written]:
    """One step of a block."""
    if not isinstance(node, MappingNode):
        return [Written(indent + value(node), lines_in(node))]
    word, given = node.entries[0]
    verb = VERBS[word.text]
    if verb.whole and isinstance(given, MappingNode):
        style = style_of(kinds_of(verb)[verb.short or ""])
        pairs = (f"{value(key)} = {value(one, style)}" for key, one in given.entries)
        return [Written(f"{indent}{word.text} {' '.join(pairs)}", lines_in(node))]
    return _Step(verb, word, settings_of_step(verb, given), indent).lines()


def settings_of_step(verb: Verb, given: Node) -> Mapping[str, tuple[ScalarNode, Node]]:
    """Settings and exits by name, whichever way they were written."""
    is_prompt = (
        isinstance(given, MappingNode) and verb.short == "prompt" and [key.text for key, _ in given.entries] == ["say"]
    )
    if isinstance(given, MappingNode) and not verb.whole and not is_prompt:
        return {key.text: (key, one) for key, one in given.entries}
    if isinstance(given, ScalarNode) and not given.text and given.plain:
        return {}
    name = verb.short or ""
    return {name: (ScalarNode(name, given.place), given)}


class _Step:
    def __init__(self, verb: Verb, word: ScalarNode, given: Mapping[str, tuple[ScalarNode, Node]], indent: str) -> None:
        self._verb = verb
        self._indent = indent
        self._kinds: dict[str, Kind[Any]] = kinds_of(verb)
        self._given = dict(given)
        self._head = [word.text]
        self._origins = lines_in(word)
        self._body: list[Written] = []
        self._inner: list[Written] = []
        """Steps that stand in braces right behind the verb."""

    def lines(self) -> list[Written]:
        self._positions()
        exits: list[tuple[str, ScalarNode, set[int]]] = []
        for name, (key, node) in self._given.items():
            parts = [one.name for one in self._verb.exits if one.unwired == name == "failed"]
            exit = self._verb.exit(name)
            if exit is not None and exit.unwired != "failed" and isinstance(node, ScalarNode):
                exits.append((name, node, lines_in(key, node)))
            elif parts and isinstance(node, MappingNode):
                exits += [(part.text, one, lines_in(part, one)) for part, one in node.entries
                          if isinstance(one, ScalarNode)]  # fmt: skip
            else:
                self._setting(name, key, node)
        if len(exits) == 1 and not self._body and not self._inner and exits[0][0] == self._verb.exits[0].name:
            self._head.append(f"-> {value(exits[0][1])}")
            self._origins |= exits[0][2]
        else:
            self._exits(exits)
        head = self._indent + " ".join(self._head)
        if self._inner:
            first = [Written(f"{head} {{", self._origins), *self._inner]
            rest = [Written(f"{self._indent}}} {{"), *self._body] if self._body else []
            return [*first, *rest, Written(f"{self._indent}}}")]
        if not self._body:
            return [Written(head, self._origins)]
        if len(self._body) == 1:
            return [Written(f"{head} {{ {self._body[0].text.strip()} }}", self._origins | self._body[0].origins)]
        return [Written(f"{head} {{", self._origins), *self._body, Written(f"{self._indent}}}")]

    def _positions(self) -> None:
        order = order_of(self._verb)
        names = {*self._kinds, *(one.name for one in self._verb.exits), *self._verb.later, *(one for one, _ in order)}
        for before, name in order:
            if name not in self._given:
                return
            key, node = self._given[name]
            style = style_of(self._kinds.get(name))
            if style == "steps":
                steps = node.items if isinstance(node, SequenceNode) else (node,)
                self._inner = [line for step in steps for line in step_lines(step, self._indent + _INDENT)]
                self._origins |= lines_in(key)
                del self._given[name]
                return
            shown = value(node, style, listed=True)
            if shown.startswith(("{", "[")) or (before and style == "expression"):
                return
            if shown in names:
                shown = f"({shown})" if style == "expression" else quoted(shown)
            self._head += [before, shown] if before else [shown]
            self._origins |= lines_in(key, node)
            del self._given[name]

    def _setting(self, name: str, key: ScalarNode, node: Node) -> None:
        kind = self._kinds.get(name)
        begins = next((word for word, (one, _) in entries_of(self._verb).items() if one == name), None)
        if begins is not None and isinstance(node, MappingNode) and node.entries:
            for pattern, choice in node.entries:
                self._entry(begins, pattern, choice)
            return
        style = style_of(kind)
        if style == "steps" and isinstance(node, SequenceNode):
            inner = [line for step in node.items for line in step_lines(step, self._indent + 2 * _INDENT)]
            self._add(f"{name} {{", lines_in(key))
            self._body += [*inner, Written(f"{self._indent}{_INDENT}}}")]
            return
        text = f"{value(ScalarNode(name, key.place))} {value(node, style, listed=True)}"
        if style == "prompt" or not isinstance(node, ScalarNode):
            self._add(text, lines_in(key, node))
        else:
            self._head.append(text)
            self._origins |= lines_in(key, node)

    def _entry(self, begins: str, pattern: ScalarNode, choice: Node) -> None:
        parts = [begins, value(pattern)]
        target = choice.get("go") if isinstance(choice, MappingNode) else choice
        if isinstance(choice, MappingNode):
            for name, node in choice.entries:
                if name.text == "do" and isinstance(node, SequenceNode):
                    inner = [line.text.strip() for step in node.items for line in step_lines(step)]
                    parts.append("{ " + f"\n{self._indent}{2 * _INDENT}".join(inner) + " }")
                elif name.text != "go":
                    parts.append(_words(node))
        self._add(f"{' '.join(parts)} -> {value(target or pattern)}", lines_in(pattern, choice))

    def _exits(self, exits: Sequence[tuple[str, ScalarNode, set[int]]]) -> None:
        at = 0
        while at < len(exits):
            same = [exits[at]]
            while at + len(same) < len(exits) and exits[at + len(same)][1].text == same[0][1].text:
                same.append(exits[at + len(same)])
            names = ", ".join(name for name, _, _ in same)
            self._add(f"{names} -> {value(same[0][1])}", set().union(*(lines for _, _, lines in same)))
            at += len(same)

    def _add(self, text: str, origins: set[int]) -> None:
        self._body.append(Written(f"{self._indent}{_INDENT}{text}", origins))


def _words(node: Node) -> str:
    """What may be said: words, or each language and its words after it."""
    if isinstance(node, MappingNode):
        return " ".join(f"{value(language)} {_words(words)}" for language, words in node.entries)
    if isinstance(node, SequenceNode) and len(node.items) == 1:
        node = node.items[0]
    return value(node, "text", listed=True)


def value(node: Node, style: str = "word", *, listed: bool = False) -> str:
    """One value; ``listed`` where commas may stand between several."""
    if isinstance(node, SequenceNode):
        items = [value(one, style) for one in node.items]
        commas = listed and len(items) > (style != "prompt") and not any(one.startswith(("[", "{")) for one in items)
        return ", ".join(items) if commas else f"[{', '.join(items)}]"
    if isinstance(node, MappingNode):
        say = node.get("say")
        if style == "prompt" and len(node.entries) == 1 and isinstance(say, ScalarNode):
            return quoted(say.text)
        pairs = [f"{value(key)} {value(one, style if style == 'text' else 'word')}" for key, one in node.entries]
        return "{ " + " ".join(pairs) + " }" if pairs else "{}"
    if style == "expression":
        return _expression(" ".join(node.text.split("\n")).strip())
    if style == "prompt" and NAME.fullmatch(node.text):
        return f"@{node.text}"
    return node.text if style == "word" and _is_word(node.text) else quoted(node.text)


def quoted(text: str) -> str:
    signs = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(signs.get(c) or (c if c.isprintable() else f"\\u{{{ord(c):x}}}") for c in text) + '"'


def _is_word(text: str) -> bool:
    return _alone(text) == "WORD"


def _expression(text: str) -> str:
    return text if _alone(text) is not None else f"({text})"


def _alone(text: str) -> str | None:
    """The kind of the one item this text is when it stands between others, or None if it is not one."""
    parsed = parse(f"input a {text} b c", "")
    if parsed.problems or parsed.comments or len(parsed.parts) != 1 or len(parsed.parts[0].items) != 4:
        return None
    item = parsed.parts[0].items[1]
    return item.kind if isinstance(item, Word) and item.text == text else None
