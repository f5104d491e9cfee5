"""The tables of invitations as a page with pictures: ``python -m gateway.rtc.invitation_pages`` writes it to docs/."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.rtc.errors import INVITATION_ERRORS
from gateway.rtc.invitation import LOCAL, REMOTE, Error, Input, Machine, Move, State, Times

__all__ = ["page"]

TARGET: Final = Path("docs/rtc-invitations.md")

_INTRODUCTION: Final = """\
# Invitations

Made from the program by `python -m gateway.rtc.invitation_pages`; do not edit.

An invitation has two halves: who calls has a LocalInvitation, who is called a RemoteInvitation. Between a client and
the gateway they speak the messages of [rtc-protocol.md](rtc-protocol.md):

| message | a client calls | a client is called |
|---|---|---|
| INVITE | `invite` | `invited` |
| RECEIVED | `invitation` `received_by_remote` | `received` |
| ACCEPT | `invitation` `accepted` | `accept` |
| REFUSE | `invitation` `refused` | `refuse` |
| CANCEL | `cancel` | `invitation` `cancelled` or `failed` |
| CONFIRM | `ack` of `accepted` | `invitation` `accepted` |

What a table does not name does nothing: so are repetitions absorbed.
"""


def page() -> str:
    return "\n".join([*_lines()]) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    times = Times()
    yield "| timer | runs | then |"
    yield "|---|---|---|"
    yield f"| RECEIVE | {times.receive:.0f} s | no sign of the callee |"
    yield f"| EXPIRE | {times.expire:.0f} s from sending | nobody answered |"
    yield f"| CONFIRMED | {times.confirmed:.0f} s | the caller did not say that he knows |"
    yield ""
    yield "| error | meaning |"
    yield "|---|---|"
    for error in Error:
        yield f"| `{error.value}` | {INVITATION_ERRORS[error.value]} |"
    for machine in (LOCAL, REMOTE):
        yield ""
        yield from _machine(machine)


def _machine(machine: Machine) -> Iterator[str]:
    yield f"## {machine.name}"
    yield ""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.IDLE.value}"
    for (source, target), labels in _arrows(machine).items():
        yield f"    {source.value} --> {target.value}: {', '.join(labels)}"
    for state in State:
        if state.final:
            yield f"    {state.value} --> [*]"
    yield "```"
    yield ""
    yield "| state | input | new state | does | timers then |"
    yield "|---|---|---|---|---|"
    for (state, what), move in machine.moves.items():
        yield _row(machine, state, what, move)


def _arrows(machine: Machine) -> dict[tuple[State, State], list[str]]:
    arrows: dict[tuple[State, State], list[str]] = {}
    for (source, what), move in machine.moves.items():
        if move.state is not source:
            label = what.value if move.error is None else move.error.value
            labels = arrows.setdefault((source, move.state), [])
            if label not in labels:
                labels.append(label)
    return arrows


def _row(machine: Machine, state: State, what: Input, move: Move) -> str:
    target = f"`{move.state.value}`" if move.state is not state else "the same"
    if move.error is not None:
        target += f" (`{move.error.value}`)"
    acts = ", ".join(act.value for act in move.acts)
    timers = ", ".join(timer.value for timer in machine.timers.get(move.state, ()))
    return f"| `{state.value}` | {what.value} | {target} | {acts} | {timers} |"


def main(arguments: Sequence[str] | None = None) -> int:
    target = Path(arguments[0]) if arguments else TARGET
    target.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
