"""Who said what to whom, as a ladder: each party an upright, each message a rung. As text and as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ivr.records.trace import Ladder, Message

__all__ = ["as_svg", "as_text"]

_US: Final = "this server"
_WIDTH: Final = 45
"""Characters between two uprights."""
_GAP: Final = 270
_LEFT: Final = 150
_STEP: Final = 34
_FONT: Final = "DejaVu Sans, Helvetica, Arial, sans-serif"
_BAD: Final = "#b00020"
_GOOD: Final = "#1b5e20"


@dataclass(frozen=True, slots=True)
class _Picture:
    """The caller on the left, we beside him, whom we called on the right, the first one nearest."""

    names: list[str]
    us: int
    messages: list[tuple[Message, int]]
    """In the order of time, each with the upright it came from or went to."""


def _laid_out(ladders: Sequence[Ladder]) -> _Picture:
    callers = [ladder for ladder in ladders if ladder.leg == "caller"]
    others = [ladder for ladder in ladders if ladder.leg != "caller"]
    us = len(callers)
    placed = [*enumerate(callers), *enumerate(others, us + 1)]
    messages = [(message, place) for place, ladder in placed for message in ladder.messages]
    names = [*(ladder.title for ladder in callers), _US, *(ladder.title for ladder in others)]
    return _Picture(names, us, sorted(messages, key=lambda one: one[0].at_ms))


def as_text(ladders: Sequence[Ladder]) -> str:
    """For a terminal: 45 columns for each party beside the first."""
    picture = _laid_out(ladders)
    columns = [_WIDTH * number for number in range(len(picture.names))]
    head = [" "] * (columns[-1] + _WIDTH)
    for column, name in zip(columns, picture.names, strict=True):
        head[column : column + _WIDTH - 1] = _cut(name, _WIDTH - 2).ljust(_WIDTH - 1)
    lines = [" " * 10 + "".join(head).rstrip()]
    for message, place in picture.messages:
        row = [" "] * (columns[-1] + 1)
        for column in columns:
            row[column] = "│"
        low, high = sorted((columns[picture.us], columns[place]))
        rightwards = message.incoming == (place < picture.us)
        bar = f" {_cut(message.text, _WIDTH - 6)} ".ljust(high - low - 3, "─")
        row[low + 1 : high] = f"─{bar}▶" if rightwards else f"◀{bar}─"
        beside = f"  {message.sound}" if message.sound else ""
        lines.append(f"{message.at_ms / 1000:8.3f}  {''.join(row)}{beside}")
    return "\n".join([*lines, ""])


def as_svg(ladders: Sequence[Ladder], title: str) -> str:
    """One picture of all legs, in the order of time; to be seen in light and in print."""
    picture = _laid_out(ladders)
    names, us, messages = picture.names, picture.us, picture.messages
    width, height = _LEFT + _GAP * (len(names) - 1) + _LEFT, 90 + _STEP * len(messages)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="{_FONT}" '
        f'font-size="12" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto-start-reverse">'
        '<path d="M0,0 L9,4 L0,8 z" fill="context-stroke"/></marker></defs>',
    ]
    for number, name in enumerate(names):
        x = _LEFT + _GAP * number
        parts.append(f'<text x="{x}" y="30" text-anchor="middle" font-weight="bold">{escape(_cut(name, 36))}</text>')
        parts.append(f'<line x1="{x}" y1="44" x2="{x}" y2="{height - 20}" stroke="#777"/>')
    for number, (message, place) in enumerate(messages):
        y = 74 + _STEP * number
        here, there = _LEFT + _GAP * place, _LEFT + _GAP * us
        start, end = (here, there) if message.incoming else (there, here)
        colour = _colour(message.text)
        middle = (start + end) / 2
        parts.append(f'<text x="8" y="{y + 4}" fill="#555" font-size="11">{message.at_ms / 1000:.3f} s</text>')
        parts.append(
            f'<line x1="{start}" y1="{y}" x2="{end}" y2="{y}" stroke="{colour}" stroke-width="1.4" '
            f'marker-end="url(#head)"/>'
        )
        parts.append(
            f'<text x="{middle}" y="{y - 5}" text-anchor="middle" fill="{colour}">{escape(_cut(message.text, 38))}'
            f"<title>{escape(f'{message.text} {message.peer}')}</title></text>"
        )
        if message.sound:
            parts.append(
                f'<text x="{middle}" y="{y + 12}" text-anchor="middle" font-size="10" fill="#555">'
                f"{escape(_cut(message.sound, 46))}</text>"
            )
    return "\n".join([*parts, "</svg>", ""])


def _colour(text: str) -> str:
    if text[:1] in "456" and text[1:3].isdigit():
        return _BAD
    return _GOOD if text[:1] == "2" and text[1:3].isdigit() else "#222"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
