"""Both halves of invitations joined by a channel that loses, doubles and overtakes: all that can happen, tried."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtc.errors import INVITATION_ERRORS
from gateway.rtc.invitation import (
    LOCAL,
    REMOTE,
    Act,
    Error,
    Input,
    Invitation,
    LocalInvitation,
    Machine,
    RemoteInvitation,
    State,
    Times,
)
from gateway.rtc.invitation_pages import page

CAME = {
    Act.INVITE: Input.INVITE_CAME,
    Act.RECEIVED: Input.RECEIVED_CAME,
    Act.ACCEPT: Input.ACCEPT_CAME,
    Act.REFUSE: Input.REFUSE_CAME,
    Act.CANCEL: Input.CANCEL_CAME,
    Act.CONFIRM: Input.CONFIRM_CAME,
}
TO_REMOTE = (Act.INVITE, Act.CANCEL, Act.CONFIRM)
TO_LOCAL = (Act.RECEIVED, Act.ACCEPT, Act.REFUSE)
LOCAL_STATES = (
    State.IDLE,
    State.SENT_TO_REMOTE,
    State.RECEIVED_BY_REMOTE,
    State.ACCEPTED,
    State.REFUSED,
    State.CANCELLED,
    State.FAILED,
)
REMOTE_STATES = (
    State.IDLE,
    State.RECEIVED,
    State.ACCEPT_SENT,
    State.ACCEPTED,
    State.REFUSED,
    State.CANCELLED,
    State.FAILED,
)
BY_LOCAL_USER = (Input.SEND, Input.CANCEL)
BY_REMOTE_USER = (Input.ACCEPT, Input.REFUSE)
CIRCUMSTANCES = (Input.PEER_GONE, Input.LOGGED_OUT)
TIMERS_OF = {
    (LOCAL, State.SENT_TO_REMOTE): (Input.NOT_RECEIVED, Input.NOT_REACHED, Input.EXPIRED),
    (LOCAL, State.RECEIVED_BY_REMOTE): (Input.EXPIRED,),
    (REMOTE, State.RECEIVED): (Input.EXPIRED,),
    (REMOTE, State.ACCEPT_SENT): (Input.NOT_CONFIRMED,),
}


def test_the_page_is_made_from_the_tables() -> None:
    written = (Path(__file__).parents[2] / "docs/rtc-invitations.md").read_text(encoding="utf-8")
    assert written == page(), "python -m gateway.rtc.invitation_pages"


def test_every_error_has_words() -> None:
    assert {error.value for error in Error} <= set(INVITATION_ERRORS)


@pytest.mark.parametrize(("machine", "states"), [(LOCAL, LOCAL_STATES), (REMOTE, REMOTE_STATES)])
def test_every_state_and_every_input(machine: Machine, states: tuple[State, ...]) -> None:
    for state, what in product(states, Input):
        half = Invitation(machine, Times())
        half.state = state
        acts = half.handle(what, 0.0)
        named = (state, what) in machine.moves
        if not named:
            assert (half.state, acts) == (state, ())
        assert half.state in states
        if state.final:
            assert half.state is state, "an end is an end"
        assert (half.error is not None) is (named and half.state is State.FAILED and state is not State.FAILED)
        sends = TO_REMOTE if machine is LOCAL else TO_LOCAL
        assert all(act in sends or (act is Act.HANG_UP and state is State.ACCEPTED) for act in acts)
        if not half.state.final and half.state is not State.IDLE:
            assert machine.timers[half.state], f"{half.state} could last for ever"
        # The same again changes nothing more: a repetition is never a second event.
        after = half.state
        half.handle(what, 0.0)
        assert half.state is after or what in (Input.SEND,)
    assert {state for state, _ in machine.moves} <= set(states)


# Everything that can happen, without regard to time --------------------------------------------------------


@dataclass(frozen=True)
class World:
    """Both halves and what is on its way. A message stays on its way as long as it may come once more."""

    local: State = State.IDLE
    remote: State = State.IDLE
    messages: frozenset[Act] = frozenset()
    local_accepted: bool = False
    remote_accepts: bool = False
    """The callee's user said yes, ever."""
    hung_up: bool = False


@dataclass
class Exploration:
    losses: bool
    circumstances: bool
    worlds: set[World] = field(default_factory=set)
    rows: set[tuple[str, State, Input]] = field(default_factory=set)

    def run(self) -> Exploration:
        todo = deque([World()])
        self.worlds.add(World())
        while todo:
            world = todo.popleft()
            for other in self.following(world):
                if other not in self.worlds:
                    self.worlds.add(other)
                    todo.append(other)
        return self

    def following(self, world: World) -> list[World]:
        found = []
        for message in world.messages:
            rest = world.messages - {message}
            machine = LOCAL if message in TO_LOCAL else REMOTE
            found.append(self.moved(world, machine, CAME[message], rest))
            found.append(self.moved(world, machine, CAME[message], world.messages))
            if self.losses:
                found.append(
                    World(world.local, world.remote, rest, world.local_accepted, world.remote_accepts, world.hung_up)
                )
        for what in (*BY_LOCAL_USER, *TIMERS_OF.get((LOCAL, world.local), ())):
            found.append(self.moved(world, LOCAL, what, world.messages))
        for what in (*BY_REMOTE_USER, *TIMERS_OF.get((REMOTE, world.remote), ())):
            found.append(self.moved(world, REMOTE, what, world.messages))
        if self.circumstances:
            for machine, what in product((LOCAL, REMOTE), CIRCUMSTANCES):
                found.append(self.moved(world, machine, what, world.messages))
        return [other for other in found if other != world]

    def moved(self, world: World, machine: Machine, what: Input, messages: frozenset[Act]) -> World:
        half = Invitation(machine, Times())
        half.state = world.local if machine is LOCAL else world.remote
        if (half.state, what) in machine.moves:
            self.rows.add((machine.name, half.state, what))
        acts = half.handle(what, 0.0)
        sent = frozenset(act for act in acts if act in CAME)
        return World(
            half.state if machine is LOCAL else world.local,
            half.state if machine is REMOTE else world.remote,
            messages | sent,
            world.local_accepted or (machine is LOCAL and half.state is State.ACCEPTED),
            world.remote_accepts or half.state is State.ACCEPT_SENT,
            world.hung_up or Act.HANG_UP in acts,
        )


EVERYTHING = Exploration(losses=True, circumstances=True).run()
NO_LOSS = Exploration(losses=False, circumstances=False).run()


def test_nobody_is_in_a_call_without_the_other() -> None:
    assert len(EVERYTHING.worlds) > 400
    for world in EVERYTHING.worlds:
        if world.local is State.ACCEPTED:
            assert world.remote_accepts, world
            assert world.remote in (State.ACCEPT_SENT, State.ACCEPTED, State.FAILED), world
        if world.remote is State.ACCEPTED:
            assert world.local is State.ACCEPTED, world
            assert not world.hung_up, world


def test_every_row_of_the_tables_can_happen() -> None:
    rows = {(machine.name, *key) for machine in (LOCAL, REMOTE) for key in machine.moves}
    assert EVERYTHING.rows == rows


def test_every_world_leads_to_an_end_of_both_halves() -> None:
    """From wherever: if users do nothing more and messages are lost, timers bring both halves to their end."""
    for world in EVERYTHING.worlds:
        for machine, state in ((LOCAL, world.local), (REMOTE, world.remote)):
            if state.final or state is State.IDLE:
                continue
            timers = TIMERS_OF[machine, state]
            for what in timers:
                assert machine.moves[state, what].state.final


def test_without_loss_both_sides_agree() -> None:
    """Messages come late, twice and in any order, but come: who is in a call has the other in it, or hangs up."""
    settled = [
        world
        for world in NO_LOSS.worlds
        if world.local.final
        and (world.remote.final or world.remote is State.IDLE)
        # A repeated delivery keeps the message on its way; nothing new comes of those that are left.
        and all(self_same(world, message) for message in world.messages)
    ]
    outcomes = {(world.local, world.remote) for world in settled}
    both = {(State.ACCEPTED, State.ACCEPTED), (State.REFUSED, State.REFUSED)}
    # The callee's half failed because the confirmation took longer than its timer: the caller hangs up.
    late = {(State.ACCEPTED, State.FAILED), (State.REFUSED, State.FAILED)}
    given_up = set(product((State.CANCELLED, State.FAILED), (State.CANCELLED, State.REFUSED, State.FAILED)))
    assert outcomes <= both | late | given_up
    assert both <= outcomes
    assert (State.CANCELLED, State.CANCELLED) in outcomes
    for world in settled:
        if world.local is State.ACCEPTED and world.remote is State.FAILED:
            assert world.hung_up, world


def self_same(world: World, message: Act) -> bool:
    machine = LOCAL if message in TO_LOCAL else REMOTE
    moved = NO_LOSS.moved(world, machine, CAME[message], world.messages)
    return moved == world


def test_a_call_that_was_confirmed_is_not_hung_up_by_repetitions() -> None:
    for world in EVERYTHING.worlds:
        if world.local is State.ACCEPTED and world.remote is State.ACCEPTED:
            assert Act.REFUSE not in world.messages
            assert Act.CANCEL not in world.messages


# In virtual time ------------------------------------------------------------------------------------------


class Link:
    """Two halves, a virtual clock, and a channel whose fate a test decides: delays of each copy of a message."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.local = LocalInvitation()
        self.remote = RemoteInvitation()
        self.on_its_way: list[tuple[float, int, Act]] = []
        self.fates: dict[Act, list[list[float]]] = {}
        self.sent: list[tuple[float, Act]] = []
        self.hung_up = False

    def do(self, acts: tuple[Act, ...]) -> None:
        for act in acts:
            if act is Act.HANG_UP:
                self.hung_up = True
                continue
            self.sent.append((self.now, act))
            fates = self.fates.get(act, [])
            for delay in fates.pop(0) if fates else [0.05]:
                self.on_its_way.append((self.now + delay, len(self.sent), act))

    def local_user(self, what: Input) -> None:
        self.do(self.local.handle(what, self.now))

    def remote_user(self, what: Input) -> None:
        self.do(self.remote.handle(what, self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            moments = [when for when, _, _ in self.on_its_way]
            moments += [when for half in (self.local, self.remote) if (when := half.next_timer()) is not None]
            if not moments or min(moments) > end:
                break
            self.now = max(self.now, min(moments))
            due = sorted(entry for entry in self.on_its_way if entry[0] <= self.now)
            if due:
                self.on_its_way.remove(due[0])
                half = self.local if due[0][2] in TO_LOCAL else self.remote
                self.do(half.handle(CAME[due[0][2]], self.now))
            else:
                for each in (self.local, self.remote):
                    self.do(each.handle_timer(self.now))
        self.now = end

    @property
    def states(self) -> tuple[str, str]:
        return self.local.state.value, self.remote.state.value


def test_a_call_that_is_taken() -> None:
    link = Link()
    link.local_user(Input.SEND)
    assert link.states == ("sent_to_remote", "idle")
    link.run(0.2)
    assert link.states == ("received_by_remote", "received")
    link.remote_user(Input.ACCEPT)
    assert link.states == ("received_by_remote", "accept_sent")
    link.run(0.2)
    assert link.states == ("accepted", "accepted")
    link.run(1000)
    assert link.states == ("accepted", "accepted")
    assert [act for _, act in link.sent] == [Act.INVITE, Act.RECEIVED, Act.ACCEPT, Act.CONFIRM]
    assert not link.hung_up


@pytest.mark.parametrize(("reachable", "error"), [(True, Error.NO_RESPONSE), (False, Error.PEER_OFFLINE)])
def test_nobody_there_fails_after_30_seconds(reachable: bool, error: Error) -> None:
    link = Link()
    link.fates[Act.INVITE] = [[]]
    link.local_user(Input.SEND)
    link.local.peer_reachable = reachable
    link.run(29.9)
    assert link.states == ("sent_to_remote", "idle")
    link.run(0.2)
    assert link.states == ("failed", "cancelled")
    assert link.local.error is error
    assert link.local.next_timer() is None


def test_nobody_answers_expires_60_seconds_after_sending() -> None:
    link = Link()
    link.fates[Act.INVITE] = [[20.0]]
    link.local_user(Input.SEND)
    link.run(59.9)
    assert link.states == ("received_by_remote", "received")
    link.run(0.2)
    assert link.local.error is Error.EXPIRED
    assert link.remote.state is State.CANCELLED, "the callee is told at once"


def test_an_end_of_the_caller_that_is_lost_is_told_when_the_callee_accepts() -> None:
    link = Link()
    link.local_user(Input.SEND)
    link.run(1)
    link.fates[Act.CANCEL] = [[]]
    link.local_user(Input.CANCEL)
    link.run(1)
    assert link.states == ("cancelled", "received")
    link.remote_user(Input.ACCEPT)
    link.run(1)
    assert link.states == ("cancelled", "cancelled")


def test_a_callee_who_hears_no_more_of_the_caller_expires_by_himself() -> None:
    link = Link()
    link.local_user(Input.SEND)
    link.run(1)
    link.fates[Act.CANCEL] = [[]]
    link.local_user(Input.CANCEL)
    link.run(58)
    assert link.remote.state is State.RECEIVED
    link.run(2)
    assert link.remote.error is Error.EXPIRED


def test_an_acceptance_that_nobody_confirms_fails_and_the_caller_hangs_up() -> None:
    link = Link()
    link.local_user(Input.SEND)
    link.run(1)
    link.fates[Act.CONFIRM] = [[]]
    link.remote_user(Input.ACCEPT)
    link.run(29.9)
    assert link.states == ("accepted", "accept_sent")
    link.run(0.2)
    assert link.states == ("accepted", "failed")
    assert link.remote.error is Error.ACCEPT_FAILED
    assert link.hung_up


copies = st.lists(st.floats(0.0, 70.0), max_size=3)
user_acts = st.lists(
    st.tuples(st.floats(0.0, 30.0), st.sampled_from((Input.CANCEL, Input.ACCEPT, Input.REFUSE))), max_size=5
)


@given(
    st.dictionaries(st.sampled_from(sorted(CAME, key=lambda act: act.value)), st.lists(copies, max_size=3)), user_acts
)
def test_whatever_the_channel_does_both_halves_end_in_time(
    fates: dict[Act, list[list[float]]], acts: list[tuple[float, Input]]
) -> None:
    link = Link()
    link.fates = {act: list(each) for act, each in fates.items()}
    link.local_user(Input.SEND)
    for pause, what in acts:
        link.run(pause)
        (link.local_user if what is Input.CANCEL else link.remote_user)(what)
    link.run(60.001)
    assert link.local.state.final
    link.run(70 + 60 + 30)
    assert link.remote.state.final or link.remote.state is State.IDLE
    assert link.local.next_timer() is None
    assert link.remote.next_timer() is None
    if link.remote.state is State.ACCEPTED:
        assert link.local.state is State.ACCEPTED
    if link.local.state is State.ACCEPTED:
        assert link.remote.state in (State.ACCEPTED, State.FAILED)
