"""From the nodes of a file to the draft of a flow: the YAML spelling of head, blocks and steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, get_args

from ivr.flow.draft import Draft, DraftBlock, DraftStep, contents
from ivr.flow.functions import FUNCTIONS
from ivr.flow.kinds import NAME, LanguageCode, ListOf, OneOf, Text, YesNo, bad_name
from ivr.flow.model import Place, Variable, VariableType
from ivr.flow.nodes import PLANNED, VERBS, Verb
from ivr.flow.nodes.questions import InputGroup
from ivr.flow.nodes.verb import CONTINUE
from ivr.flow.problem import closest, did_you_mean, listed
from ivr.flow.settings import Kind, Reader, Schema, groups_of, read_record, scalar, settings_of, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode, Source
from ivr.flow.types import RESERVED
from ivr.flow.values import TYPE_WORDS, EvaluationError, as_type

MISTAKES_LIMIT: Final = 200
"""Of one file: nobody reads more at a time, and looking for the word that was meant takes time for each."""

BLOCKS_LIMIT: Final = 2_000
VARIABLES_LIMIT: Final = 500
"""Of one flow: whether a variable is set is looked at for every block."""

_VARIABLE: Final = ("type", "default", "secret", "param")
_BLOCK: Final = ("title", "steps", "renamed_from")
_STRUCTURE: Final = ("vars", "input", "blocks")
TYPES: Final[tuple[VariableType, ...]] = get_args(VariableType)


@dataclass(frozen=True)
class BlockName:
    """The node itself: whether there is such a block is seen later."""

    def read(self, node: Node, reader: Reader) -> ScalarNode | None:
        return scalar(node, reader, "the name of a block")

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "the name of a block"


HEAD: Final[Mapping[str, tuple[Kind[Any], str]]] = MappingProxyType(
    {
        "flow": (BlockName(), "the name of the flow; needed"),
        "title": (Text("free text", 200), "what people call it"),
        "languages": (ListOf(LanguageCode(), 1, 20), "languages it speaks; a call starts in the first (en)"),
        "start": (BlockName(), "the block a call begins with; needed"),
        "on_hangup": (BlockName(), "the block that runs when the caller has gone; nothing can be played there"),
        "on_error": (BlockName(), "the block for every fault that no step deals with itself"),
    }
)
"""What stands at the top of a flow file, beside ``vars``, ``input`` and ``blocks``."""


def read_flow(source: Source) -> Draft | None:
    """The draft, or None if there is nothing to make one of; problems of the file itself are not repeated."""
    root = source.root
    if root is None or not isinstance(root, MappingNode):
        return _no_flow(source, root)
    reader = Reader()
    reader.step = _step
    head = {name: _head(root, name, kind, reader) for name, (kind, _) in HEAD.items()}
    draft = Draft(_flow_name(root, head["flow"], reader))
    draft.title = head["title"] or ""
    draft.languages = reader.languages = head["languages"] or draft.languages
    draft.says_languages = root.get("languages") is not None
    draft.start, draft.on_hangup, draft.on_error = head["start"], head["on_hangup"], head["on_error"]
    known = [*HEAD, *_STRUCTURE]
    for key, _ in root.entries:
        if key.text not in known:
            help = did_you_mean(key.text, known, "names")
            reader.problem("E011", key, f"a flow has no setting '{key.text[:60]}'", help)
    if (variables := root.get("vars")) is not None:
        draft.variables = _variables(variables, reader)
    if (input := root.get("input")) is not None:
        _input(input, reader)
        draft.input = reader.input
    _blocks(root, draft, reader)
    draft.problems.extend(reader.problems)
    return draft


def _no_flow(source: Source, root: Node | None) -> Draft | None:
    if source.problems:
        return None
    draft = Draft(ScalarNode("", root.place if root is not None else Place(source.file, 1)))
    help = "begin with flow: name, then start: block_name and blocks:"
    draft.problem("E102", draft.name, "there is no flow in this file", help)
    return draft


def _head(root: MappingNode, name: str, kind: Kind[Any], reader: Reader) -> Any:
    node = root.get(name)
    return None if node is None else kind.read(node, reader)


def _flow_name(root: MappingNode, name: ScalarNode | None, reader: Reader) -> ScalarNode:
    if name is None:
        if root.get("flow") is None:
            reader.problem("E102", root, "this flow has no name", "add flow: name")
        return ScalarNode("", root.place)
    if not NAME.fullmatch(name.text):
        bad_name(name, reader)
    return name


def _input(node: Node, reader: Reader) -> None:
    group = InputGroup()
    if not isinstance(node, MappingNode):
        reader.problem("E013", node, "input needs settings", "write input: {timeout: 5s, tries: 3}")
        return
    for key, _ in node.entries:
        if key.text not in group.names:
            help = did_you_mean(key.text, list(group.names), "names")
            reader.problem("E011", key, f"input has no setting '{key.text[:60]}'", help)
    reader.input = group.read_from(node, reader) or reader.input


def _variables(node: Node, reader: Reader) -> dict[str, Variable]:
    if not isinstance(node, MappingNode):
        if not (isinstance(node, ScalarNode) and not node.text):
            reader.problem("E013", node, "vars needs names and types", "write vars: {order: digits}")
        return {}
    if len(node.entries) > VARIABLES_LIMIT:
        message = f"this flow has {len(node.entries)} variables"
        reader.problem("E025", node, message, f"at most {VARIABLES_LIMIT}: put what belongs together into one json")
        return {}
    found = {}
    for key, value in node.entries:
        if not NAME.fullmatch(key.text):
            bad_name(key, reader)
        elif key.text in RESERVED or key.text in FUNCTIONS:
            reader.problem(
                "E133", key, f"a variable cannot be called '{key.text}'", "the word has a meaning in expressions"
            )
        elif (variable := _variable(key, value, reader)) is not None:
            found[key.text] = variable
    return found


def _variable(key: ScalarNode, node: Node, reader: Reader) -> Variable | None:
    type_node: Node | None = node
    default_node = secret_node = param_node = None
    if isinstance(node, MappingNode):
        type_node, default_node, secret_node = node.get("type"), node.get("default"), node.get("secret")
        param_node = node.get("param")
        for name, _ in node.entries:
            if name.text not in _VARIABLE:
                help = did_you_mean(name.text, _VARIABLE, "names")
                reader.problem("E011", name, f"a variable has no setting '{name.text[:60]}'", help)
    if type_node is None:
        reader.problem("E012", key, f"variable '{key.text}' needs 'type'", f"add type: {listed(TYPES)}")
        return None
    word = OneOf(TYPES).read(type_node, reader)
    type_ = next((one for one in TYPES if one == word), None)
    secret = False if secret_node is None else YesNo().read(secret_node, reader)
    param = False if param_node is None else YesNo().read(param_node, reader)
    if type_ is None or secret is None or param is None:
        return None
    default = None if default_node is None else _default(default_node, type_, reader)
    return Variable(key.text, type_, default, secret, key.place, param)


def _default(node: Node, type_: VariableType, reader: Reader) -> object | None:
    if type_ == "json":
        return _plain(node)
    if type_ == "list" and isinstance(node, SequenceNode):
        return tuple(_plain(item) for item in node.items)
    if not isinstance(node, ScalarNode):
        reader.problem("E020", node, f"the default of this variable must be {TYPE_WORDS[type_]}", "write one value")
        return None
    try:
        return as_type(node.text, type_)
    except EvaluationError as error:
        reader.problem("E134", node, str(error), f"the variable's type is {type_}")
        return None


def _plain(node: Node) -> object:
    if isinstance(node, MappingNode):
        return {key.text: _plain(value) for key, value in node.entries}
    if isinstance(node, SequenceNode):
        return tuple(_plain(item) for item in node.items)
    return node.text


def _blocks(root: MappingNode, draft: Draft, reader: Reader) -> None:
    node = root.get("blocks")
    if not isinstance(node, MappingNode) or not node.entries:
        reader.problem(
            "E102", node or root, "this flow has no blocks", "add blocks: and below it, indented, name: and its steps"
        )
        return
    if len(node.entries) > BLOCKS_LIMIT:
        message = f"this flow has {len(node.entries)} blocks"
        reader.problem("E025", node, message, f"at most {BLOCKS_LIMIT}: split it into several flows")
        draft.blocks = {}
        return
    told = False
    for key, value in node.entries:
        if len(reader.problems) >= MISTAKES_LIMIT:
            if not told:
                message = f"more than {MISTAKES_LIMIT} mistakes: the rest of the blocks is not looked at"
                reader.problem("E010", key, message, "correct those before it first")
            told = True
            draft.blocks[key.text] = DraftBlock(key, "", (), whole=False)
            continue
        if not NAME.fullmatch(key.text):
            bad_name(key, reader)
        elif key.text == CONTINUE:
            help = "as an exit the word means the next step: give the block another name"
            reader.problem("E107", key, f"a block cannot be called '{CONTINUE}'", help)
        draft.blocks[key.text] = _block(key, value, reader)


def _block(name: ScalarNode, node: Node, reader: Reader) -> DraftBlock:
    title, before = "", None
    if isinstance(node, MappingNode) and (node.get("steps") is not None or node.get("title") is not None):
        for key, _ in node.entries:
            if key.text not in _BLOCK:
                help = did_you_mean(key.text, _BLOCK, "names")
                reader.problem("E011", key, f"a block has no setting '{key.text[:60]}'", help)
        title_node = node.get("title")
        title = (Text().read(title_node, reader) or "") if title_node is not None else ""
        before = _former_name(node, reader)
        node = node.get("steps") or ScalarNode("", name.place)
    if not isinstance(node, SequenceNode) or not node.items:
        help = "write each step on its own line, beginning with '- '"
        reader.problem("E013", name, f"block '{name.text[:60]}' has no steps", help)
        return DraftBlock(name, title, (), whole=False)
    steps = [_step(item, reader) for item in node.items]
    good = tuple(step for step in steps if step is not None)
    whole = len(good) == len(steps) and all(step.settings is not None for step in good)
    return DraftBlock(name, title, good, whole, before)


def _former_name(node: MappingNode, reader: Reader) -> ScalarNode | None:
    written = node.get("renamed_from")
    name = None if written is None else scalar(written, reader, "the name the block had")
    if name is not None and not NAME.fullmatch(name.text):
        bad_name(name, reader)
        return None
    return name


def _step(node: Node, reader: Reader) -> DraftStep | None:
    if isinstance(node, ScalarNode):
        word, value = node, None
    elif isinstance(node, MappingNode) and node.entries:
        word, value = node.entries[0]
        if len(node.entries) > 1:
            second = node.entries[1][0]
            help = f"settings of {word.text} belong in braces or further to the right; a new step begins with '- '"
            reader.problem("E013", second, "a step has one verb", help)
            return None
    else:
        reader.problem("E013", node, "this is not a step", "write '- verb' or '- verb: settings'")
        return None
    verb = VERBS.get(word.text)
    if verb is None:
        _unknown_verb(word, reader)
        return None
    return _verb(verb, word, value, reader)


def _unknown_verb(word: ScalarNode, reader: Reader) -> None:
    text = word.text.strip()
    first = text.split(" ")[0].split(":")[0]
    if text in PLANNED:
        reader.problem("E014", word, f"'{text}' is not in this version yet", "leave it out for now")
    elif not text:
        reader.problem("E013", word, "this step is empty", "write '- verb' or '- verb: settings'")
    elif first in VERBS and first != text:
        rest = text[len(first) :].strip(" :")
        reader.problem("E013", word, f"a colon and a space must follow '{first}'", f"write {first}: {rest[:40]}")
    else:
        close = closest(text, [*VERBS, *PLANNED])
        later = ", which is not in this version yet" if close in PLANNED else ""
        help = f"did you mean '{close}'{later}?" if close else f"verbs: {listed(VERBS, 30)}"
        reader.problem("E015", word, f"no verb '{text[:60]}'", help)


def _verb(verb: Verb, word: ScalarNode, value: Node | None, reader: Reader) -> DraftStep:
    reader.wires, reader.keys = {}, {}
    settings_node = _settings_node(verb, word, value, reader)
    settings = None
    if settings_node is not None:
        for key, node in settings_node.entries:
            exit = verb.exit(key.text)
            if exit is not None and exit.unwired != "failed":
                _wire(verb, exit.name, node, reader)
        names = verb.wired
        if verb.further:
            names += _further(verb, settings_node, reader)
        settings = read_record(verb.settings, settings_node, reader, verb.name, others=names, later=verb.later)
    return DraftStep(verb, settings, reader.wires, reader.keys, word.place, tuple(contents(settings)))


def _further(verb: Verb, node: MappingNode, reader: Reader) -> tuple[str, ...]:
    """Wires every name that is neither a setting nor a declared exit. Returns these names."""
    known = {one.name for _, one in settings_of(verb.settings)} | {exit.name for exit in verb.exits} | {*verb.later}
    known |= {name for _, group in groups_of(verb.settings) for name in group.names}
    found = []
    for key, value in node.entries:
        if key.text not in known and NAME.fullmatch(key.text):
            reader.wire(key.text, value)
            found.append(key.text)
    return tuple(found)


def _settings_node(verb: Verb, word: ScalarNode, value: Node | None, reader: Reader) -> MappingNode | None:
    """The settings as a mapping, whichever way they are written."""
    if value is None or (isinstance(value, ScalarNode) and not value.text and value.plain):
        return MappingNode((), word.place, word.length)
    if isinstance(value, MappingNode) and not verb.whole and not _is_prompt(value, verb):
        return MappingNode(value.entries, word.place, word.length)
    if verb.short is None:
        needs = any(one.required for _, one in settings_of(verb.settings))
        help = f"write {verb.example.splitlines()[0]}" if needs else f"write - {verb.name}"
        reader.problem("E013", value, f"{verb.name} takes no single value", help)
        return None
    return MappingNode(((ScalarNode(verb.short, word.place), value),), word.place, word.length)


def _is_prompt(node: MappingNode, verb: Verb) -> bool:
    """``play: {say: 'text'}``: the mapping is the prompt, not the settings."""
    return verb.short == "prompt" and [key.text for key, _ in node.entries] == ["say"]


def _wire(verb: Verb, exit: str, node: Node, reader: Reader) -> None:
    parts = verb.parts(exit)
    if not isinstance(node, MappingNode) or not parts:
        reader.wire(exit, node)
        return
    for key, value in node.entries:
        if key.text in parts or key.text == exit:
            reader.wire(key.text, value)
        else:
            help = did_you_mean(key.text, parts, "names")
            reader.problem("E011", key, f"'{exit}' is not divided into '{key.text[:60]}'", help)
