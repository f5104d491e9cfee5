"""Lines of a file being written, each knowing the lines it came from; comments find their place among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode


@dataclass(frozen=True, slots=True)
class Comment:
    """``text`` without its sign; ``alone`` if nothing else stands in its line."""

    line: int
    text: str
    alone: bool


@dataclass(slots=True)
class Written:
    text: str
    origins: set[int] = field(default_factory=set)
    """The lines, of the file read, of all that stands in this one."""


def lines_in(*nodes: Node) -> set[int]:
    found: set[int] = set()
    todo: list[Node] = list(nodes)
    while todo:
        node = todo.pop()
        if isinstance(node, ScalarNode):
            found.add(node.place.line)
        elif isinstance(node, SequenceNode):
            todo += node.items
        elif isinstance(node, MappingNode):
            todo += [part for entry in node.entries for part in entry]
    return found


def with_comments(lines: Sequence[Written], comments: Iterable[Comment], sign: str) -> tuple[str, list[Comment]]:
    """The text with the comments, and those that stand elsewhere now: not beside what they stood beside."""
    moved: list[Comment] = []
    above: dict[int, list[str]] = {}
    beside: dict[int, str] = {}
    for comment in comments:
        same = [at for at, line in enumerate(lines) if comment.line in line.origins]
        if not comment.alone and same and same[-1] not in beside:
            beside[same[-1]] = comment.text
            continue
        later = [(min(one for one in line.origins if one > comment.line), at) for at, line in enumerate(lines)
                 if any(one > comment.line for one in line.origins)]  # fmt: skip
        if not comment.alone:
            moved.append(comment)
            later = [(0, same[-1])] if same else later
        at = min(later)[1] if later else len(lines)
        above.setdefault(at, []).append(comment.text)
    text: list[str] = []
    for at, line in enumerate(lines):
        indent = line.text[: len(line.text) - len(line.text.lstrip())]
        text += [f"{indent}{sign} {one}".rstrip() for one in above.get(at, ())]
        text.append(f"{line.text}  {sign} {beside[at]}".rstrip() if at in beside else line.text)
    text += [f"{sign} {one}".rstrip() for one in above.get(len(lines), ())]
    return "\n".join(text) + "\n", moved
