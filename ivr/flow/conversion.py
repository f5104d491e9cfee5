"""From one spelling of a flow to the other, and the DSL in its usual form. The graph is compared before and after."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from ivr.flow.draft import make_flow
from ivr.flow.dsl.nodes import parse_dsl
from ivr.flow.dsl.parsing import parse
from ivr.flow.dsl.writing import write_dsl
from ivr.flow.model import Place
from ivr.flow.problem import Problem, has_errors, in_order, with_lines
from ivr.flow.reading import read_flow
from ivr.flow.source import MappingNode, Source, decode, parse_source
from ivr.flow.spelt import Comment, with_comments
from ivr.flow.yaml_writing import write_yaml


@dataclass(frozen=True, slots=True)
class Converted:
    """``text`` is None if there are errors, or if the other spelling would not say the same."""

    text: str | None
    problems: tuple[Problem, ...] = ()
    moved: tuple[Comment, ...] = ()
    """Comments that stand above what they stood beside."""


def convert(content: bytes | str, file: str) -> Converted:
    """A ``.flow`` file as YAML, any other as DSL."""
    is_dsl = file.endswith(".flow")
    source = (parse_dsl if is_dsl else parse_source)(content, file)
    before = _graph(source)
    text = decode(content, file)
    if isinstance(before, Converted) or isinstance(text, Source) or not isinstance(source.root, MappingNode):
        return before if isinstance(before, Converted) else Converted(None, source.problems)
    comments = dsl_comments(text, file) if is_dsl else yaml_comments(text)
    lines = (write_yaml if is_dsl else write_dsl)(source.root)
    written, moved = with_comments(lines, comments, "#" if is_dsl else "//")
    after = _graph((parse_source if is_dsl else parse_dsl)(written, file))
    if after != before:
        problem = Problem(
            "E013", Place(file, 1), "this flow cannot be converted without changing it", "keep it as it is"
        )
        return Converted(None, (problem,))
    return Converted(written, moved=tuple(moved))


def format_dsl(content: bytes | str, file: str) -> Converted:
    """The same ``.flow`` file with its lines indented by their braces and one empty line at most; words stay."""
    before = _graph(parse_dsl(content, file))
    text = decode(content, file)
    if isinstance(before, Converted) or isinstance(text, Source):
        return (
            before
            if isinstance(before, Converted)
            else Converted(None, text.problems if isinstance(text, Source) else ())
        )
    lines: list[str] = []
    depth = 0
    for line in re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text):
        stripped = line.strip()
        if not stripped:
            if lines and lines[-1]:
                lines.append("")
            continue
        bare = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'|//.*', "", stripped)
        leading = len(bare) - len(bare.lstrip("]}"))
        if stripped.startswith("block ") and lines and lines[-1] and not lines[-1].startswith("//"):
            lines.append("")
        lines.append("  " * max(depth - leading, 0) + _spaced(stripped))
        depth += len(re.findall(r"[{\[]", bare)) - len(re.findall(r"[}\]]", bare))
        depth = max(depth, 0)
    written = "\n".join(lines).strip("\n") + "\n"
    if _graph(parse_dsl(written, file)) != before:
        problem = Problem(
            "E013", Place(file, 1), "this flow cannot be formatted without changing it", "keep it as it is"
        )
        return Converted(None, (problem,))
    return Converted(written)


def _spaced(line: str) -> str:
    """One space where there were several between words, before a comment two; texts and comments stay."""
    parts = re.split(r'("(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'|//.*)', line)
    text = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            part = re.sub(r"\s+", " ", part)
        elif part.startswith("//") and text:
            text = text.rstrip() + "  "
        text += part
    return text.rstrip()


def _graph(source: Source) -> tuple[str, str, tuple[str, ...]] | Converted:
    """Digest and titles, or what is wrong."""
    draft = read_flow(source)
    problems = [*source.problems, *(draft.problems if draft is not None else ())]
    if draft is None or has_errors(problems) or not source.complete:
        return Converted(None, in_order(with_lines(problems, {source.file: source.lines})))
    titles = tuple(
        f"{block.title}\n{block.renamed_from.text if block.renamed_from else ''}" for block in draft.blocks.values()
    )
    return make_flow(draft).digest, draft.title, titles


def dsl_comments(text: str, file: str) -> list[Comment]:
    lines = re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text)
    return [
        Comment(
            token.line or 1, str(token)[2:].strip(), not lines[(token.line or 1) - 1][: (token.column or 1) - 1].strip()
        )
        for token in parse(text, file).comments
    ]


def yaml_comments(text: str) -> list[Comment]:
    """Comments stand between the words YAML tells apart."""
    found = []
    end = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        gap = text[end : token.start_mark.index]
        for comment in re.finditer(r"(?<!\S)#([^\r\n]*)", gap):
            at = end + comment.start()
            line = text.count("\n", 0, at) + 1
            alone = not text[text.rfind("\n", 0, at) + 1 : at].strip()
            found.append(Comment(line, comment[1].strip(), alone))
        end = max(end, token.end_mark.index)
    return found
