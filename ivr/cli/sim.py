"""``ivr sim`` and ``ivr try``: a call played at the terminal, and the answer to what would happen to one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console

from ivr.calendar.closings import ClosingFile
from ivr.cli.loading import errors, load_or_exit
from ivr.cli.loudspeaker import SoundCard
from ivr.cli.real_time import RealTime
from ivr.flow.kinds import NAME
from ivr.flow.loader import FlowSet
from ivr.flow.model import Flow, Place
from ivr.flow.problem import did_you_mean, listed
from ivr.flow.settings import Reader
from ivr.flow.source import ScalarNode
from ivr.run.actions import PlayItem
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.simulation import DEEDS, Deed, NotUnderstood, Simulation
from ivr.run.testing.acting import environment_of
from ivr.run.testing.kinds import Moment
from ivr.run.testing.listening import hears
from ivr.run.testing.loader import ENDING
from ivr.site import Site
from ivr.site.environment import surroundings_of

if TYPE_CHECKING:
    from ivr.cli.site_sounds import SiteSounds

_SITE = Annotated[Path, typer.Option("--site", help="The site file.")]
_FROM = Annotated[str, typer.Option("--from", metavar="NUMBER", help="Who calls; '' hides it.")]
_AT = Annotated[
    str | None,
    typer.Option("--at", help="When: '2026-10-01 09:30', or with a zone behind it. Unless given, now."),
]
_CALLER = "+4930123456"
_NO_CLOCK = "only at a terminal can a call be played in real time: a pipe has no clock"
_console = Console(highlight=False, soft_wrap=True, markup=False)


def try_call(
    call: Annotated[str, typer.Option("--call", metavar="NUMBER", help="The number called.")],
    at: _AT = None,
    caller: _FROM = _CALLER,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--keys",
            "--say",
            help="What is pressed, or said if it is no keys, when the flow listens; again for the next time.",
        ),
    ] = None,
    seat: Annotated[
        list[str] | None,
        typer.Option("--seat", metavar="SEAT=DEED", help=f"What a seat does when rung: {', '.join(DEEDS.values())}."),
    ] = None,
    site: _SITE = Path("site.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what would happen to a call: which flow answers, what is heard, where it ends.

    No telephone rings, and no web service is asked. Seats that are not mentioned ring until nobody answered.
    """
    loaded, flows = load_or_exit(site)
    moment = _moment(at)
    rule = loaded.route(call)
    if rule is None:
        if as_json:
            typer.echo(json.dumps({"number": call, "flow": None}))
        else:
            _console.print(f"No rule of {site} fits {call}: the caller hears that there is no such number.")
        raise typer.Exit(1)
    if rule.direct is not None:
        if as_json:
            typer.echo(json.dumps({"number": call, "rule": rule.number, "flow": None, "calls": str(rule.direct)}))
        else:
            _console.print(f"{call}  → {rule.direct} is called  ({rule.place})")
        return
    assert rule.flow is not None
    facts = CallFacts("try", caller, "", None, call, moment)
    plans = dict(_plan(text) for text in seat or [])
    played = _simulation(flows.flows[rule.flow], facts, loaded, flows, plans)
    for answer in keys or []:
        _answer(played, answer)
    _to_the_end(played)
    script = played.script
    if as_json:
        found = {
            "number": call,
            "rule": rule.number,
            "flow": rule.flow,
            "at": moment.isoformat(),
            "path": list(script.path),
            "heard": [{"at": round(one.at, 3), "what": one.name, "spoken": one.spoken} for one in script.heard],
            "tags": script.tags,
            "seconds": round(script.now, 3),
            "ended_by": script.ended_by,
        }
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    _console.print(f"{call}  → flow {rule.flow}  ({rule.place})")
    for line in played.lines:
        _console.print(line)
    _console.print(played.prompt)


def sim(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="The name of a flow of the site.")],
    at: _AT = None,
    caller: _FROM = _CALLER,
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="The number called.")] = "1000",
    site: _SITE = Path("site.yaml"),
    slow: Annotated[
        bool, typer.Option("--slow", help="In real time, and to be heard where there is a sound device: /slow.")
    ] = False,
) -> None:
    """Play a call at the terminal: you are the caller, the seats and the services. /help says how.

    From a file or a pipe every line is one input.
    """
    loaded, flows = load_or_exit(site)
    found = flows.flows.get(flow)
    if found is None:
        _stop(f"There is no flow '{flow[:60]}': {did_you_mean(flow, flows.names, 'flows')}")
    facts = CallFacts("sim", caller, "", None, to, _moment(at))
    terminal = sys.stdin.isatty()
    if slow and not terminal:
        _stop(_NO_CLOCK)
    # Here and not above: no other command needs to wait for what can speak.
    from ivr.cli.site_sounds import SiteSounds

    sounds = SiteSounds(loaded)
    played = _simulation(found, facts, loaded, flows, {}, seconds_of=sounds.seconds, slow=slow)
    _console.print(f"{flow}, called by {caller or 'a hidden number'} at {facts.at:%Y-%m-%d %H:%M}    /help")
    screen = _Screen(played, RealTime(played, sounds, SoundCard), sounds)
    screen.show()
    try:
        for line in screen.typed() if terminal else (line.rstrip("\n") for line in sys.stdin):
            if not terminal:
                _console.print(f"> {line}")
            if line.strip() in ("/quit", "/exit"):
                return
            try:
                if line.strip().startswith("/save"):
                    answers = [_save(played, found, line.strip()[len("/save") :].strip())]
                elif line.strip() == "/slow" and not terminal:
                    answers = [_NO_CLOCK]
                else:
                    answers = played.do(line)
            except NotUnderstood as error:
                answers = [str(error)]
            for answer in answers:
                _console.print(f"  {answer}")
            screen.show()
    finally:
        screen.real_time.close()


class _Screen:
    """Prints what has happened since it last did, and why nothing is heard of it."""

    def __init__(self, played: Simulation, real_time: RealTime, sounds: SiteSounds) -> None:
        self.real_time = real_time
        self._played = played
        self._sounds = sounds
        self._shown: list[str] = []
        self._faults = 0
        self._silent_because: str | None = None

    def show(self) -> None:
        """Let the call go on to now; print its news, and what is waited for."""
        self.real_time.catch_up()
        self._print(waits=True)

    def typed(self) -> Iterator[str]:
        """What is typed, line by line; the call goes on meanwhile if it is played in real time."""
        session: PromptSession[str] = PromptSession("> ")

        def begin() -> None:
            session.app.create_background_task(self.real_time.goes_on(lambda: self._print(waits=False)))

        while True:
            try:
                with patch_stdout():
                    line = session.prompt(pre_run=begin)
            except (EOFError, KeyboardInterrupt):
                return
            # What is typed is done now, not when the call was last looked at.
            self.real_time.catch_up()
            yield line

    def _print(self, *, waits: bool) -> None:
        lines = self._played.lines
        # Where something was taken back, all is told again.
        known = len(self._shown) if lines[: len(self._shown)] == self._shown else 0
        for line in lines[known:]:
            _console.print(line)
        for fault in self._sounds.faults[self._faults :]:
            _console.print(f"  not heard: {fault}")
        self._faults = len(self._sounds.faults)
        if self.real_time.silent_because != self._silent_because:
            self._silent_because = self.real_time.silent_because
            if self._silent_because is not None:
                _console.print(f"  nothing is heard: {self._silent_because}")
        if waits or len(lines) > known:
            _console.print(f"  {self._played.prompt}")
        self._shown = lines


def _save(played: Simulation, flow: Flow, name: str) -> str:
    """Write the call as a file of tests beside the flow."""
    if not NAME.fullmatch(name):
        raise NotUnderstood("write /save and a name of small letters, digits and _")
    file = Path(flow.place.file).with_name(f"{name}{ENDING}")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(played.as_test(name))
    except FileExistsError:
        raise NotUnderstood(f"{file} is there already: take another name") from None
    except OSError as error:
        raise NotUnderstood(f"{file} cannot be written: {error.strerror}") from None
    return f"written: {file}"


def _simulation(
    flow: Flow,
    facts: CallFacts,
    site: Site,
    flows: FlowSet,
    plans: dict[str, Deed],
    *,
    seconds_of: Callable[[PlayItem], float | None] | None = None,
    slow: bool = False,
) -> Simulation:
    around = surroundings_of(site, flows.flows)
    environment: Environment = replace(environment_of(flow, around, ()), closings=ClosingFile(site.state))
    return Simulation(flow, facts, environment, signed_in=around.seats, seats=plans, seconds_of=seconds_of, slow=slow)


def _answer(played: Simulation, answer: str) -> None:
    """Press it, or say it."""
    speaks = not re.fullmatch(r"[0-9*#A-D ]+", answer) and not answer.startswith("/")
    run = played.script.run
    if speaks and not played.over and not hears(run.step, run.language):
        _stop(f"'{answer}' means nothing here: it is no keys, and block {run.last_block} does not listen")
    try:
        played.do(f"/say {answer}" if speaks else answer)
    except NotUnderstood as error:
        done = "said" if speaks else "pressed"
        _stop(str(error) if not played.over else f"'{answer}' was not {done}: the call is over before")


def _to_the_end(played: Simulation) -> None:
    """The caller presses nothing more; who talks hangs up after a minute."""
    while not played.over:
        if played.script.talking:
            played.do("/wait 1m")
            if played.script.talking and not played.over:
                played.do("h")
        else:
            played.do("")


def _plan(text: str) -> tuple[str, Deed]:
    name, _, deed = text.partition("=")
    found = next((one for one in DEEDS.values() if one == deed), None)
    if found is None or not name:
        _stop(f"'{text[:60]}' is not SEAT=DEED. Write 2001=answer, or {listed(DEEDS.values())}.")
    return name, found


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC).astimezone()
    reader = Reader()
    found = Moment().read(ScalarNode(text, Place("--at", 1)), reader)
    if found is None:
        problem = reader.problems[0]
        _stop(f"--at: {problem.message}: {problem.help}")
    # As for calls: without a zone the machine's own is meant.
    return found if " " in text.strip()[11:] else found.replace(tzinfo=None).astimezone()


def _stop(text: str) -> NoReturn:
    errors.print(text, style="bold red")
    raise typer.Exit(1)
