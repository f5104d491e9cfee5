"""From text to lines of items: words by lark, structure by its LALR parser, which goes on after a mistake.

Where a line cannot be read, the parser is taken back to the beginning of that line and told BROKEN instead; so one
slip costs one line. Knows the form of a file only; what its words mean is told in :mod:`ivr.flow.dsl.nodes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args

from ivr.flow.model import Place
from ivr.flow.problem import Problem, closest, listed
from ivr.flow.source import DEPTH_LIMIT, NODES_LIMIT

_ONE_AT_A_TIME = Lock()
"""The builder belongs to one parse; flows may be loaded in several threads."""

HEAD = ("flow", "languages", "start", "input")
_MOST_MISTAKES = 100
"""In one file: after that it is no flow, and the rest is not read."""

_IN_FOLLOWS = re.compile(r"[ \t]+in\b")
TOP = (*HEAD, "on", "var", "block")


@dataclass(frozen=True, slots=True)
class Word:
    """One value as written; ``kind`` is WORD, STRING, TEXT, PROMPT, or EXPRESSION where it has several words."""

    kind: str
    text: str
    token: Token


@dataclass(frozen=True, slots=True)
class ListItem:
    items: tuple[Item, ...]
    token: Token


@dataclass(frozen=True, slots=True)
class Led:
    """Items and the block they lead to."""

    items: tuple[Item, ...]
    target: Word


@dataclass(frozen=True, slots=True)
class Line:
    led: tuple[Led, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Braces:
    lines: tuple[Line, ...]
    token: Token


Item = Word | ListItem | Braces


@dataclass(frozen=True, slots=True)
class Part:
    """One statement of a file: ``kind`` is head, handler, variable or block."""

    kind: str
    token: Token
    items: tuple[Item, ...]


@dataclass(slots=True)
class Parsed:
    parts: list[Part] = field(default_factory=list)
    comments: list[Token] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Makes the data of one file; ``text`` is set before the parse."""

    text = ""

    def file(self, *parts: Part | None) -> list[Part]:
        return [part for part in parts if part is not None]

    def broken(self, _: Token) -> None:
        return None

    def head(self, word: Token, items: tuple[Item, ...]) -> Part:
        return Part("head", word, items)

    def handler(self, word: Token, event: Word, target: Word) -> Part:
        return Part("handler", word, (event, target))

    def variable(self, word: Token, *items: Any) -> Part:
        return Part("variable", word, (items[0], *items[-1]))

    def block(self, word: Token, *items: Any) -> Part:
        made = [self._word(one) if isinstance(one, Token) else one for one in items]
        return Part("block", word, tuple(made))

    def braces(self, opening: Token, *lines: Any) -> Braces:
        return Braces(tuple(line for line in lines if isinstance(line, Line)), opening)

    def line(self, *parts: Any) -> Line:
        led = tuple(part for part in parts if isinstance(part, Led))
        return Line(led, parts[-1] if isinstance(parts[-1], tuple) else ())

    def led(self, items: tuple[Item, ...], target: Word) -> Led:
        return Led(items, target)

    def target(self, word: Word) -> Word:
        return word

    def items(self, *items: Any) -> tuple[Item, ...]:
        return tuple(Word("EQUALS", "=", item) if isinstance(item, Token) else item for item in items)

    def value(self, *items: Item) -> Item:
        return items[0] if len(items) == 1 else ListItem(items, _first(items[0]))

    def list(self, opening: Token, *items: Any) -> ListItem:
        return ListItem(items[:-1], opening)

    def expression(self, *tokens: Any) -> Word:
        first, last = tokens[0], tokens[-1]
        start = first[0] if isinstance(first, tuple) else first
        end = last[1] if isinstance(last, tuple) else last
        if len(tokens) == 1 and start is end:
            return self._word(start)
        return Word("EXPRESSION", self.text[start.start_pos : end.end_pos], start)

    def term(self, token: Any) -> Any:
        return token

    def call(self, *tokens: Any) -> tuple[Token, Token]:
        return tokens[0], tokens[-1]

    def inside(self, *tokens: Any) -> Any:
        return tokens[0] if tokens else None

    def name(self, token: Token) -> Word:
        return self._word(token)

    def _word(self, token: Token) -> Word:
        return Word(str(token.type), str(token), token)


def _first(item: Item) -> Token:
    return item.token


@cache
def _grammar() -> tuple[Lark, _Builder]:
    builder = _Builder()
    text = files("ivr.flow.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", lexer="basic", start=["file", "aside"], transformer=builder), builder


def parse(text: str, file: str) -> Parsed:
    """Everything that can be read of a file, and what is wrong with the rest. Never raises for what is in it."""
    grammar, builder = _grammar()
    parsed = Parsed()
    tokens = list(_tokens(grammar, text, file, parsed))
    if parsed.complete:
        with _ONE_AT_A_TIME:
            builder.text = text
            _Run(grammar, file, parsed).run(tokens)
    return parsed


def _tokens(grammar: Lark, text: str, file: str, parsed: Parsed) -> Iterator[Token]:
    """The words of the file with those made that depend on where they stand."""
    depth = square = 0
    before: Token | None = None
    for number, token in enumerate(grammar.lex(text)):
        if number == NODES_LIMIT:
            message = f"more than {NODES_LIMIT} words and signs in one file"
            parsed.problems.append(_problem("E010", file, token, message, "split it into several files"))
            parsed.complete = False
            return
        at_start = before is None or before.type == "_NL"
        match token.type:
            case "COMMENT":
                parsed.comments.append(token)
                continue
            case "CURLY":
                parsed.problems.append(_problem("E007", file, token, "typographic quote", 'use "'))
                token = Token.new_borrow_pos("STRING", f'"{str(token).strip("“”„‘’«»")}"', token)
            case "_NL":
                if at_start or square or before is None or before.type == "_COMMA":
                    continue
            case "OPEN":
                depth += 1
            case "CLOSE":
                depth = max(depth - 1, 0)
            case "SQUARE":
                square += 1
            case "UNSQUARE":
                square = max(square - 1, 0)
            case "WORD":
                token = _by_place(
                    token, before, at_start, depth, _IN_FOLLOWS.match(text, token.end_pos or 0) is not None
                )
                if token.type == "BLOCK":
                    if square or (before is not None and before.type == "_COMMA"):
                        yield Token.new_borrow_pos("_NL", "", token)
                    depth = square = 0
            case "OPERATOR":
                signs = ("OPERATOR", "PREFIX", "ROUND", "SQUARE", "_COMMA", "EQUALS")
                if token == "-" and before is not None and before.type in signs:
                    token = Token.new_borrow_pos("PREFIX", token, token)
        if depth + square > DEPTH_LIMIT:
            help = "nothing in these files needs that; a brace is probably not closed"
            parsed.problems.append(_problem("E010", file, token, f"more than {DEPTH_LIMIT} levels deep", help))
            parsed.complete = False
            return
        before = token
        yield token
    if before is not None and before.type != "_NL":
        yield Token("_NL", "", len(text), before.end_line, before.end_column, before.end_line, before.end_column)


def _by_place(token: Token, before: Token | None, at_start: bool, depth: int, in_follows: bool) -> Token:
    words = {"and": "OPERATOR", "or": "OPERATOR", "in": "OPERATOR", "not": "PREFIX"}
    kind = words.get(token, "WORD")
    if at_start and token == "block" and token.column == 1:
        kind = "BLOCK"
    elif at_start and not depth and token in TOP:
        kind = "HEAD_WORD" if token in HEAD else str(token).upper()
    elif token == "not" and in_follows:
        kind = "OPERATOR"
    elif token == "in" and before is not None and before.type == "OPERATOR":
        kind = "PREFIX"
    return Token.new_borrow_pos(kind, token, token)


def _problem(code: str, file: str, token: Token, message: str, help: str = "") -> Problem:
    return Problem(code, Place(file, token.line or 1, token.column or 1), message, help, max(len(token.strip()), 1))


class _Run:
    """One parse, with its recovery."""

    def __init__(self, grammar: Lark, file: str, parsed: Parsed) -> None:
        self._parser = grammar.parse_interactive(start="file")
        self._file = file
        self._parsed = parsed
        self._opened: list[Token] = []
        self._block: Token | None = None
        self._named = ""

    def run(self, tokens: list[Token]) -> None:
        at = 0
        while at < len(tokens):
            if len(self._parsed.problems) > _MOST_MISTAKES:
                self._parsed.complete = False
                return
            token = tokens[at]
            if token.type == "BLOCK" and self._opened:
                self._not_closed(token, f"before line {token.line}")
            try:
                self._parser.feed_token(token)
            except UnexpectedInput:
                at = self._recover(tokens, at)
                continue
            self._follow(tokens, at)
            at += 1
        if self._opened and tokens:
            self._not_closed(tokens[-1], "at the end of the file")
        end = Token("$END", "")
        try:
            self._parsed.parts = self._parser.feed_token(end) or []
        except UnexpectedInput:
            self._parsed.complete = False

    def _follow(self, tokens: list[Token], at: int) -> None:
        token = tokens[at]
        if token.type == "BLOCK":
            self._block, self._named = token, str(tokens[at + 1]) if at + 1 < len(tokens) else ""
        elif token.type == "OPEN":
            self._opened.append(token)
        elif token.type == "CLOSE" and self._opened:
            self._opened.pop()

    def _not_closed(self, token: Token, where: str) -> None:
        opened = self._block or self._opened[0]
        help = f"block '{self._named}' begins at line {opened.line}; each {{ needs its }}"
        self._parsed.problems.append(
            _problem("E006", self._file, token, f"block '{self._named}' is not closed: a }} is missing {where}", help)
        )
        while self._opened:
            self._opened.pop()
            self._close()

    def _close(self) -> None:
        for kind, text in (("CLOSE", "}"), ("_NL", "")):
            if kind == "CLOSE" or (not self._opened and "_NL" in self._accepted()):
                try:
                    self._parser.feed_token(Token(kind, text))
                except UnexpectedInput:
                    self._back()
                    self._parser.feed_token(Token("BROKEN", ""))

    def _accepted(self) -> set[str]:
        return set(self._parser.accepts())  # type: ignore[no-untyped-call]

    def _back(self) -> None:
        """Back to where a line may begin."""
        state = self._parser.parser_state
        states = state.parse_conf.parse_table.states
        while "BROKEN" not in states[state.state_stack[-1]] and state.value_stack:
            state.state_stack.pop()
            state.value_stack.pop()

    def _recover(self, tokens: list[Token], at: int) -> int:
        """Say what is wrong, take the line back, and give the next place to read from."""
        token = tokens[at]
        self._parsed.problems.append(self._explained(token, tokens[at - 1] if at else None))
        self._back()
        self._parser.feed_token(Token("BROKEN", ""))
        depth = 0
        closing = 0
        while at < len(tokens):
            kind = tokens[at].type
            if kind == "BLOCK":
                break
            if kind == "OPEN":
                depth += 1
            elif kind == "CLOSE":
                if not depth and self._opened:
                    break
                depth = max(depth - 1, 0)
                closing += 1
            elif kind == "_NL" and not depth:
                break
            at += 1
        if at < len(tokens) and tokens[at].type not in self._accepted():
            if tokens[at].type == "BLOCK" and not self._opened:
                self._parser.feed_token(Token("_NL", ""))
            elif tokens[at].type != "BLOCK":
                at += 1
        return at

    def _explained(self, token: Token, before: Token | None) -> Problem:
        word = str(token).strip()
        if before is not None and before.type == "_ARROW":
            return _problem("E004", self._file, before, "'->' needs a block name after it", "write -> block_name")
        if word.startswith(('"', "'")):
            return _problem(
                "E001", self._file, token, "this quote is not closed in its line", f"close it with {word[0]}"
            )
        if token.type == "_COLON":
            help = "a name and its value stand side by side: timeout 5s"
            return _problem("E001", self._file, token, "there is no colon here in this spelling", help)
        if word.startswith("#"):
            return _problem("E001", self._file, token, "'#' is a key here", "a comment begins with //")
        if token.type == "_NL":
            accepted = {"OPEN": "{", "_ARROW": "->", "UNROUND": ")"}
            missing = [sign for kind, sign in accepted.items() if kind in self._accepted()]
            help = f"{' or '.join(missing)} is missing" if missing else "something is missing at its end"
            return _problem("E005", self._file, token, "this line stops too early", help)
        if token.type == "WORD" and not self._opened:
            close = closest(word, TOP)
            help = f"did you mean '{close}'?" if close else f"words: {listed(TOP)}"
            return _problem("E005", self._file, token, f"unknown word '{word[:40]}'", help)
        if token.type == "CLOSE" and not self._opened:
            return _problem("E005", self._file, token, "a } without a {", "remove it")
        return _problem("E005", self._file, token, f"'{word[:40]}' does not fit here", 'put text in quotes: "…"')
