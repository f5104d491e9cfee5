"""A call played line by line, without a terminal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.loader import FlowSet, load_flows, load_text
from ivr.run.environment import Environment
from ivr.run.script import A_CALLER
from ivr.run.simulation import HELP, Deed, NotUnderstood, Simulation
from ivr.run.testing.acting import act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import load_suite
from tests.run.flows import GROUPS, HEAD, OFFICE, flow

SERVICE = """\
on_error: sorry
vars: {tier: {type: text, default: standard}, count: {type: number, default: '1'}}
blocks:
  welcome:
    - menu: {prompt: {say: 'One?'}, keys: {'1': ask}, tries: 1, failed: sorry}
  ask:
    - http: {get: 'https://crm.example/x', into: info, status: {'404': none}, failed: sorry}
    - say: 'It is {info.state}, {tier}.'
    - hangup
  none: [{say: 'None.'}, hangup]
  sorry: [{say: 'Sorry.'}, hangup]
"""


def office(seats: dict[str, Deed] | None = None) -> Simulation:
    return Simulation(flow(OFFICE), A_CALLER, Environment(groups=GROUPS), seats=seats)


def service() -> Simulation:
    return Simulation(flow(SERVICE), A_CALLER, Environment())


def played(call: Simulation, *lines: str) -> Simulation:
    for line in lines:
        call.do(line)
    return call


def test_the_call_goes_on_to_where_the_caller_is_asked() -> None:
    call = office()
    assert call.prompt == "listening: 1 4 0 * 20XX"
    assert [line.split()[-1] for line in call.lines] == ["welcome", "main_menu"]
    assert call.lines[0].startswith("02:00:00.0  welcome ")


def test_keys_seats_and_the_end() -> None:
    call = played(office(), "1")
    assert call.prompt == "2003 rings   [a]nswer [b]usy [r]efuse [n]o answer [o]ffline"
    call.do("a")
    assert call.prompt == "2003 talks to the caller   [h]angs up, or /hangup"
    call.do("/hangup")
    assert call.over
    assert call.prompt == "ended by caller after 2.2 s   path welcome > main_menu > sales"


def test_several_that_ring() -> None:
    call = played(office(), "0", "2002 b")
    assert call.script.ringing == ["2001"]
    with pytest.raises(NotUnderstood, match="2002 does not ring now"):
        call.do("2002 a")
    with pytest.raises(NotUnderstood, match="nobody talks now"):
        call.do("h")


def test_an_empty_line_lets_time_pass() -> None:
    call = office()
    call.do("")
    assert call.lines[-1].endswith("♪ still_there")


def test_what_seats_do_can_be_said_beforehand() -> None:
    assert played(office({"2003": "busy"}), "1").script.seat("2003").rang == 1


def test_taking_back_plays_the_others_again() -> None:
    call = played(office(), "1", "b")
    before = played(office(), "1").lines
    assert call.do("/back") == ["taken back: b"]
    assert call.lines == before
    played(call, "/back")
    with pytest.raises(NotUnderstood, match="nothing to take back"):
        call.do("/back")


def test_services_say_what_they_are_told_to() -> None:
    assert played(service(), "1").script.names[-1] == "Sorry."
    assert played(service(), "/http 404", "1").script.names[-1] == "None."
    assert played(service(), "/http timeout", "1").script.names[-1] == "Sorry."
    call = played(service(), '/http {"state": "sent"}', "/set tier=gold", "1")
    assert call.script.names[-1] == "It is sent, gold."
    with pytest.raises(NotUnderstood, match="write /http"):
        service().do("/http {")


def test_variables() -> None:
    call = service()
    assert call.do("/vars") == ["tier = standard", "count = 1"]
    played(call, "/set count=2")
    assert call.do("/vars")[1] == "count = 2"
    for bad in ("/set", "/set nothing=1", "/set count=x"):
        with pytest.raises(NotUnderstood):
            call.do(bad)


def test_blocks_can_be_gone_to_and_stopped_at() -> None:
    call = office()
    assert call.do("/break voicemail") == ["stops at voicemail"]
    call.do("/goto voicemail")
    assert any(line.endswith("stopped at voicemail") for line in call.lines)
    with pytest.raises(NotUnderstood, match="did you mean 'sales'"):
        call.do("/goto sale")


def test_the_clock() -> None:
    call = played(office(), "1")
    assert call.do("/clock +1h") == ["the call comes at 2026-03-02 03:00"]
    assert call.lines[0].startswith("03:00:00.0")
    assert call.script.ringing == ["2003"]


def test_help_names_every_command() -> None:
    assert office().do("/help") == list(HELP)
    with pytest.raises(NotUnderstood, match="did you mean '/wait'"):
        office().do("/wat 3s")


@pytest.mark.parametrize(
    "inputs",
    [
        ("1", "a", "/wait 10s", "h"),
        ("", "4", "1234", "", "12345674", "/hangup"),
        ("0", "2001 b", "2002 n"),
        ("/wait 7s", "2003", "r"),
        ("1",),
    ],
    ids=" ".join,
)
def test_a_saved_call_passes_as_a_test(inputs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sample.yaml").write_text(HEAD + OFFICE, encoding="utf-8")
    file = tmp_path / "saved.test.yaml"
    file.write_text(played(office(), *inputs).as_test("saved"), encoding="utf-8")
    around = Surroundings(frozenset({"2001", "2002", "2003"}), GROUPS, known=True)
    flows: FlowSet = load_flows([tmp_path / "sample.yaml"])
    suite = load_suite(file, flows, around)
    assert not suite.problems, "\n".join(map(str, suite.problems))
    assert act(suite.cases[0], around).failure is None


def test_a_saved_call_has_its_mocks() -> None:
    text = played(service(), '/http {"state": "sent"}', "1").as_test("sent")
    assert '      - {match: \'https://crm.example/x\', reply: {json: {"state": "sent"}}, method: GET}\n' in text
    with pytest.raises(NotUnderstood, match="cannot be a test"):
        played(service(), "/set tier=gold").as_test("gold")


# In real time. --------------------------------------------------------------------------------------------


def slow(seconds: float = 4.0) -> Simulation:
    """Prompts last as long as they are said to."""
    return Simulation(flow(OFFICE), A_CALLER, Environment(groups=GROUPS), seconds_of=lambda _: seconds, slow=True)


def heard(call: Simulation) -> list[tuple[float, str]]:
    return [(round(one.at, 1), one.name) for one in call.script.heard]


def test_in_real_time_the_call_goes_on_only_as_time_does() -> None:
    call = slow()
    assert heard(call) == [(0.0, "welcome")]
    assert call.next_in == pytest.approx(4.0)
    call.passes(3.9)
    assert heard(call) == [(0.0, "welcome")]
    call.passes(0.2)
    assert heard(call) == [(0.0, "welcome"), (4.0, "main_menu")]
    assert call.script.now == pytest.approx(4.1)
    for _ in range(20):
        call.passes(0.5)
    # Four seconds of prompt, five of silence: asked again without anybody having typed anything.
    assert heard(call)[2:] == [(13.0, "still_there")]


def test_real_time_begins_and_ends_with_slow() -> None:
    call = Simulation(flow(OFFICE), A_CALLER, Environment(groups=GROUPS), seconds_of=lambda _: 4.0)
    assert heard(call)[-1] == (2.0, "main_menu")
    assert call.do("/slow") == ["in real time"]
    assert call.slow
    call.passes(0.5)
    assert call.script.now == pytest.approx(2.5)
    assert call.do("/slow") == ["as fast as it goes"]
    call.passes(100)
    assert call.script.now == pytest.approx(2.5)
    played(call, "1")
    assert call.script.ringing == ["2003"]


def test_time_that_went_by_is_taken_back_with_the_input_before_it() -> None:
    call = slow()
    for _ in range(100):
        call.passes(0.05)
    call.do("1")
    call.passes(1.5)
    before = call.script.now
    assert call.do("/back") == ["taken back: 1"]
    assert call.script.now == pytest.approx(5.0)
    call.passes(0.25)
    call.do("1")
    call.passes(1.5)
    assert call.script.now == pytest.approx(before + 0.25)


def test_nothing_typed_is_nothing_to_take_back() -> None:
    call = slow()
    call.passes(1.0)
    with pytest.raises(NotUnderstood, match="nothing to take back"):
        call.do("/back")


def test_who_is_planned_to_answer_does_so_in_real_time_too() -> None:
    call = Simulation(flow(OFFICE), A_CALLER, Environment(groups=GROUPS), seats={"2003": "answer"}, slow=True)
    call.passes(2.5)
    call.do("1")
    call.passes(3.0)
    assert call.script.talking == ["2003"]


def test_a_prompt_that_cannot_be_made_is_as_long_as_in_tests() -> None:
    call = Simulation(flow(OFFICE), A_CALLER, Environment(groups=GROUPS), seconds_of=lambda _: None, slow=True)
    call.passes(2.1)
    assert heard(call) == [(0.0, "welcome"), (2.0, "main_menu")]
    assert "defaults" not in call.as_test("so_far")


def test_a_call_played_in_real_time_passes_as_a_test(tmp_path: Path) -> None:
    """Its prompts are as long there as they were; in two seconds the key would not have cut the menu."""
    call = slow(6.5)
    call.passes(6.75)
    call.passes(5.0)
    call.do("1")
    call.passes(1.0)
    call.do("a")
    call.passes(20.0)
    call.do("h")
    call.passes(60.0)
    assert call.over
    text = call.as_test("saved")
    assert 'defaults: {prompts: {"welcome": 6.5s, "main_menu": 6.5s' in text
    (tmp_path / "sample.yaml").write_text(HEAD + OFFICE, encoding="utf-8")
    file = tmp_path / "saved.test.yaml"
    file.write_text(text, encoding="utf-8")
    around = Surroundings(frozenset({"2001", "2002", "2003"}), GROUPS, known=True)
    suite = load_suite(file, load_flows([tmp_path / "sample.yaml"]), around)
    assert not suite.problems, "\n".join(map(str, suite.problems))
    assert act(suite.cases[0], around).failure is None


OFFICE_FLOW = next(iter(load_text(HEAD + OFFICE).flows.values()))
INPUTS: list[str | float] = ["1", "0", "4", "2003", "", "a", "b", "n", "h", "/wait 3s", "/back", "/hangup", "/slow"]


@given(st.lists(st.sampled_from([*INPUTS, 0.3, 6.0]), max_size=12))
def test_whatever_is_put_in_the_same_comes_of_it_again(inputs: list[str | float]) -> None:
    def call() -> list[str]:
        one = Simulation(OFFICE_FLOW, A_CALLER, Environment(groups=GROUPS), seconds_of=lambda _: 3.0)
        for put_in in inputs:
            if isinstance(put_in, float):
                one.passes(put_in)
                continue
            with suppress(NotUnderstood):
                one.do(put_in)
        return one.lines

    assert call() == call()


@given(st.lists(st.sampled_from([*INPUTS, 0.3, 6.0]), max_size=12))
def test_what_was_played_is_played_again_by_its_inputs(inputs: list[str | float]) -> None:
    one = Simulation(OFFICE_FLOW, A_CALLER, Environment(groups=GROUPS), seconds_of=lambda _: 3.0)
    for put_in in inputs:
        if isinstance(put_in, float):
            one.passes(put_in)
            continue
        with suppress(NotUnderstood):
            one.do(put_in)
    lines = one.lines
    with suppress(NotUnderstood):
        one.do("/vars")
        one.do("/wait 1ms")
        one.do("/back")
    assert one.lines == lines


# Seats that are asked first. ------------------------------------------------------------------------------

ASKED = """\
blocks:
  welcome:
    - answer
    - ring: {group: front_desk, whisper: new_call, accept_key: '1', answered: bye, busy: sorry, no_answer: gone,
             failed: sorry}
  bye: [{say: 'Bye.'}, hangup]
  sorry: [{say: 'Sorry.'}, hangup]
  gone: [{say: 'Gone.'}, hangup]
"""


def desk(seats: dict[str, Deed] | None = None) -> Simulation:
    return Simulation(flow(ASKED), A_CALLER, Environment(groups=GROUPS), seats=seats)


def test_a_seat_is_asked_for_a_key() -> None:
    call = played(desk(), "2001 a")
    assert call.lines[-1].endswith("♪ new_call, to 2001 alone")
    assert "2002 rings" in call.prompt
    assert "2001 is asked: [k]ey taken: 1" in call.prompt
    with pytest.raises(NotUnderstood, match="2002 is not asked for a key now"):
        call.do("2002 k")
    played(call, "2001 r")
    assert call.script.seat("2001").dropped == ["refused"]
    played(call, "2002 a")
    assert call.prompt.startswith("2002 is asked   [k]ey taken: 1")
    played(call, "k", "h")
    assert call.script.path[-1] == "bye"


def test_a_seat_that_lets_the_key_be_or_hangs_up() -> None:
    assert played(desk(), "2001 a", "2002 b", "n").script.path[-1] == "sorry"
    assert played(desk(), "2001 b", "2002 a", "h").script.path[-1] == "gone"
    for deed in ("answer", "accept"):
        planned: dict[str, Deed] = {"2001": deed}
        assert desk(planned).script.talking == ["2001"]


@pytest.mark.parametrize("inputs", [("2001 a", "k", "h"), ("2001 a", "2001 r", "2002 a", "h"), ("2002 a", "", "k")])
def test_a_call_with_keys_of_seats_passes_as_a_test(inputs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sample.yaml").write_text(HEAD + ASKED, encoding="utf-8")
    file = tmp_path / "saved.test.yaml"
    file.write_text(played(desk(), *inputs).as_test("saved"), encoding="utf-8")
    around = Surroundings(frozenset({"2001", "2002"}), GROUPS, known=True)
    suite = load_suite(file, load_flows([tmp_path / "sample.yaml"]), around)
    assert not suite.problems, "\n".join(map(str, suite.problems))
    assert act(suite.cases[0], around).failure is None


MARKED = """\
on_error: bye
blocks:
  welcome:
    - confirm: {prompt: {say: 'Right?'}, speech: yes, no: welcome, failed: bye}
    - tag: {answer: given, by: caller}
    - goal: answered
    - goto: bye
  bye: [{say: 'Bye.'}, hangup]
"""


@pytest.mark.parametrize(("answer", "told"), [("1", 'confirm "1" yes'), ("yes", 'confirm heard "yes" 0.90: yes')])
def test_what_marks_a_call_is_told_where_it_stands(answer: str, told: str) -> None:
    call = played(Simulation(flow(MARKED), A_CALLER, Environment()), answer)
    lines = [line.split("  ", 1)[1].split() for line in call.lines]
    words = [" ".join(line[2:]) for line in lines]
    first = words.index(told)
    assert words[first + 1 : first + 5] == ["tag answer: given", "tag by: caller", "goal: answered", "♪ Bye."]
    assert [line[0] for line in lines[first : first + 5]] == ["welcome"] * 4 + ["bye"]
    assert [line[1] for line in lines[first : first + 4]] == [f"flow.yaml:{line}" for line in (8, 9, 9, 10)]
