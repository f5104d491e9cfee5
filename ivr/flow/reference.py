"""The flow reference, made from the registry: ``python -m ivr.flow.reference`` writes docs/flow-reference.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ivr.flow.codes import CODES
from ivr.flow.dsl.writing import step_lines
from ivr.flow.functions import FUNCTIONS
from ivr.flow.kinds import Share, seconds_as_text
from ivr.flow.model import InputSettings
from ivr.flow.nodes import FAMILIES, Verb
from ivr.flow.nodes.questions import SPOKEN_INTO, InputGroup
from ivr.flow.nodes.verb import Exit
from ivr.flow.reading import HEAD, TYPES
from ivr.flow.saying import FORMATS
from ivr.flow.settings import Kind, groups_of, settings_of
from ivr.flow.source import SequenceNode, parse_source
from ivr.flow.types import BUILT_IN, BUILT_IN_MEANS
from ivr.flow.values import TYPE_WORDS
from ivr.hearing import SpokenType

TARGET: Final = Path("docs/flow-reference.md")

_INTRODUCTION = """\
# Flow reference

Made from the program by `python -m ivr.flow.reference`; do not edit.

A flow says what callers of a number hear and where they get. It is a YAML file with blocks; a block is a list of
steps, done in order. A step is a verb with settings, and exits that name the block to go on with.

Every value is text until its setting says otherwise: `22:30`, `012` and `no` mean what they look like. Time spans
carry a unit (`300ms`, `5s`, `2m`, `1h`). The keys `'*'` and `'#'` stand in quotes. A name alone is a recording;
`{say: 'text'}` is spoken. Names are small letters, digits and `_`. Where an exit names a block, `continue` stands for
the next step.

A small flow for every verb, to copy from and to dial, is in [flows/features](operator-guide.md#flows-to-copy-from).

```yaml
flow: main
start: welcome
on_error: bye

blocks:
  welcome:
    - answer
    - say: 'Welcome.'
    - goto: bye
  bye:
    - say: 'Goodbye.'
    - hangup
```
"""

_INPUT_RULES = """\
How an answer is awaited, in every verb that asks:

1. Keys pressed before the question count if `type_ahead` is `keep`.
2. The prompt is played; `barge_in` says what cuts it short: `yes` is a key or, where the step listens, the caller's
   voice; `keys` or `speech` is one of the two; `no` is neither.
3. `timeout` runs from the end of the prompt, or from the cut, to the first key or word.
4. After a key, `gap` runs. If nothing longer can match, the keys are taken at once. The finish key takes what is
   there; pressed alone it counts as no key at all, unless a key pattern names it.
5. A step that listens does so from the beginning of the prompt if speech may cut it, else from its end. The caller
   has finished when he is silent for `speech_timeout`, or for 350 ms if he has said some of the words beyond doubt. The
   first key ends listening: from then on keys count.
6. What was heard counts if it is one of the words listened for, or a value of the type, and at least `min_confidence`
   sure. Of several things he may have said, the best that fits counts.
7. No key and no word is `no_input`, keys and words that are of no use are `no_match`. Each uses up a try. For the next
   try, the list of that name says what is played; without a list, the prompt is.
8. After `tries` the step leaves by `failed`. Where the two cases should differ, write
   `failed: {no_input: block, no_match: block}`. `ask` leaves by `failed` at once if nobody can listen; the others go on
   with keys.
"""

_WORDS = """\
What callers may say is written as they say it: `say: sales`, `say: [sales, new order]`, or by language:
`say: {en: [sales, new order], ko: 판매}`. A list without languages counts in every language of the flow. Capital
letters and punctuation mean nothing, and `2` is the same as `two`. In the DSL: `key 1 "sales", "new order" -> sales`,
`key 1 en "sales" ko "판매" -> sales`, `intent sales "new bicycle" -> sales`.

Words are listened for in the language of the call, by the recogniser that the site has for it. A menu listens if one of
its keys has words, unless it says `speech: no`; `collect` if `speech` says for what; `confirm` if `speech` is `yes`,
for the usual words of the language, and for those of `yes_words` and `no_words`; `ask` always.
"""

_SPOKEN: Final[Mapping[SpokenType, tuple[str, str]]] = MappingProxyType(
    {
        "digits": ("one after the other: an order number, a postcode", "as many as `digits` says"),
        "number": ("a number: three hundred and five", "the number"),
        "money": ("an amount: twelve euros fifty", "the amount, without a point"),
        "date": ("a day: the fifth of March, tomorrow", "year, month, day: `20260305`"),
        "time": ("a time of day: half past ten", "hours and minutes: `1030`"),
        "yes_no": ("yes or no, in the usual words", "`1` for yes, `2` for no"),
        "text": ("anything", "as many as `digits` says"),
    }
)
"""What is said for a type, and what is pressed instead."""

_KEY_PATTERNS = """\
Key patterns: `0`-`9`, `*`, `#`, `A`-`D`; `X` is 0-9, `Z` is 1-9, `N` is 2-9, `[1-5]` is one of 1 to 5. Where two
patterns fit the same keys, the more exact one wins.
"""

_UNWIRED: Final = {
    "next": "the next step",
    "must": "must be written",
    "on_error": "`on_error`; without it, must be written",
    "failed": "`failed`",
    "closed": "`closed`",
    "answered": "`answered`",
    "error": "`on_error`; without it, the call ends",
}


def reference() -> str:
    """The whole page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    yield "## The head of a file\n"
    for name, (kind, doc) in HEAD.items():
        yield f"- `{name}`: {doc} ({kind.describe()})"
    yield (
        "- `vars`: variables: `name: type`, or `name: {type: …, default: …, secret: yes, param: yes}`; who calls"
        + "\n  the flow gives values to those with `param`"
    )
    yield "- `input`: how an answer is awaited where a step does not say otherwise; see below"
    yield "- `blocks`: `name:` and its steps, or `name: {title: free text, renamed_from: old_name, steps: […]}`\n"
    yield "## Verbs\n"
    for family in FAMILIES:
        for verb in family.VERBS:
            yield from _verb(verb)
    yield "## Waiting for an answer\n"
    yield _INPUT_RULES
    yield from _table(("setting", "written as", "default", "meaning"), _input_rows())
    yield _KEY_PATTERNS
    yield "## Words\n"
    yield _WORDS
    yield "What `speech` of `collect` listens for, the variables that take it, and the keys that mean the same:\n"
    rows = [(f"`{name}`", said, ", ".join(SPOKEN_INTO[name].accepts), keys) for name, (said, keys) in _SPOKEN.items()]
    yield from _table(("speech", "callers say", "variables", "keys"), rows)
    yield "## Variables, expressions, formats\n"
    yield f"Types: {', '.join(f'`{name}`' for name in TYPES)}. Every flow can read:\n"
    yield from _table(
        ("name", "type", "what it is"),
        [(f"`{name}`", TYPE_WORDS[kind], BUILT_IN_MEANS[name]) for name, kind in BUILT_IN.items()],
    )
    yield "Operators, loosest first: `or`, `and`, `not`, `== != < <= > >= in not in`, `+ -`. Texts stand in quotes;"
    yield "`1..5` is a range, `['a', 'b']` a list. Two sides of a comparison must be of one type; digits keep their"
    yield "leading zeros and are compared with texts (`'007'`), or as numbers with `number(x)` and `in 1..5`.\n"
    yield from _table(
        ("function", "value"), [(f"`{one.usage}`", one.doc.replace("|", "\\|")) for one in FUNCTIONS.values()]
    )
    yield "In texts, `{x:format}` says how a value is spoken; `{{` and `}}` are braces.\n"
    yield from _table(("format", "spoken"), [(f"`:{name}`", kind.doc) for name, kind in FORMATS.items()])
    yield "## Codes\n"
    yield "Errors begin with E, warnings with W. A flow set with an error does not go live.\n"
    yield from _table(("code", "meaning"), [(f"`{code}`", text) for code, text in sorted(CODES.items())], last=True)


def _verb(verb: Verb) -> Iterator[str]:
    yield f"### {verb.name}\n"
    yield f"{verb.summary}\n"
    yield f"```yaml\n{verb.example}\n```\n"
    yield f"In the DSL:\n\n```flow\n{in_dsl(verb.example)}\n```\n"
    rows = []
    for field, one in settings_of(verb.settings):
        mark = f"`{one.name}`" + (" (short form)" if verb.short == one.name and not verb.whole else "")
        default = "needed" if one.required else "as in `input`" if one.inherits else _shown(field.default)
        rows.append((mark, one.kind.describe(), default, one.doc))
    groups = [group for _, group in groups_of(verb.settings)]
    for group in groups:
        if not isinstance(group, InputGroup):
            rows += [(f"`{name}`", kind.describe(), "", doc) for name, (kind, doc) in group.names.items()]
    if rows:
        yield from _table(("setting", "written as", "default", "meaning"), rows)
    for group in groups:
        if isinstance(group, InputGroup):
            yield f"And the settings of waiting for an answer: {', '.join(f'`{name}`' for name in group.names)}.\n"
    if verb.wires_keys:
        yield "One exit for each key, intent, case or status, and:\n"
    if verb.further:
        yield f"Further exits: {verb.further}.\n"
    if verb.exits:
        exits = [(f"`{exit.name}`", exit.meaning, _if_not_written(exit)) for exit in verb.exits]
        yield from _table(("exit", "taken when", "if not written"), exits)


def _if_not_written(exit: Exit) -> str:
    name, values = exit.never
    never = ""
    if name and None in values:
        never = f"; never without `{name}`"
    elif name:
        never = f"; never with `{name}: {'`, `'.join(map(str, values))}`"
    return _UNWIRED[exit.unwired] + never


def in_dsl(example: str) -> str:
    """An example, steps of YAML, in the other spelling."""
    steps = parse_source(example, "").root
    assert isinstance(steps, SequenceNode)
    return "\n".join(line.text for step in steps.items for line in step_lines(step))


def _input_rows() -> list[tuple[str, ...]]:
    defaults = InputSettings()
    return [
        (f"`{name}`", kind.describe(), _default(kind, getattr(defaults, name)), doc)
        for name, (kind, doc) in InputGroup.names.items()
        if name in {field.name for field in fields(InputSettings)}
    ]


def _default(kind: Kind[Any], value: Any) -> str:
    return f"`{value}`" if isinstance(kind, Share) else _shown(value)


def _shown(value: Any) -> str:
    match value:
        case None | () | "":
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return seconds_as_text(value)
        case _:
            return f"`{value}`"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, last: bool = False) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    if not last:
        yield ""


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(reference(), encoding="utf-8")
