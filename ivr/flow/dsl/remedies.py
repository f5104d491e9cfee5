"""Remedies as one writes them in the DSL: what the readers of both spellings advise speaks YAML."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ivr.flow.problem import Problem

_IN_DSL: Final = (
    (re.compile(r"^add flow: name$"), "begin with: flow name"),
    (re.compile(r"^add start: (\w+)$"), r"add a line at the top: start \1"),
    (re.compile(r"^add blocks: and below it.*"), "write block name { and its steps, one per line, and }"),
    (re.compile(r"^begin with flow: name.*"), "begin with: flow name, start block_name, block block_name { … }"),
    (re.compile(r"^write each step on its own line.*"), "write each step on its own line between { and }"),
    (re.compile(r"^add a step: - goto: block_name, - hangup or - end$"), "add a step: goto block_name, hangup or end"),
    (re.compile(r"^add it under vars: (\w+): (\w+)$"), r"add a line at the top: var \1: \2"),
    (re.compile(r"'1': \{say: \[words\], go: block_name\}"), 'key 1 "words" -> block_name'),
    (re.compile(r"^add say: \[words\]$"), 'write them after its name: intent name "words" -> block_name'),
    (re.compile(r"^add intents: \{.*?\}\}, or into: (\w+)"), r'add intent name "words" -> block_name, or into \1'),
    (re.compile(r"\b(\w+): \{say: \[[a-z, ]+\], go: block_name\}"), r'intent \1 "words" -> block_name'),
    (re.compile(r"\{say: \[words\](, do: \[steps\])?, go: block_name\}"), '"words" -> block_name'),
    (re.compile(r"\{en: \[words\], ko: \[words\]\}"), 'en "words" ko "words"'),
    (re.compile(r"^add (\w+): \[words\] .*"), r'add \1 "words" behind the others'),
    (re.compile(r"^add languages: \[([^]]*)\] at the top$"), r"add a line at the top: languages \1"),
    (re.compile(r"\b(speech|barge_in): (yes|no)\b"), r"\1 \2"),
    (re.compile(r"^add (\w+): (?!block_name)(.*)$"), r"add \1 and a value: \2"),
    (re.compile(r"(\w+): block_name"), r"\1 -> block_name"),
    (re.compile(r"\bon_(error|hangup) ->"), r"on \1 ->"),
    (re.compile(r"\{say: '([^']*)'\}"), r'"\1"'),
)


def in_dsl(problem: Problem) -> Problem:
    """The same problem with its remedy in the words of the DSL."""
    help = problem.help
    for pattern, words in _IN_DSL:
        help = pattern.sub(words, help)
    return replace(problem, help=help)
