"""Calls that are played line by line, by somebody who also speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.flow.loader import load_flows
from ivr.run.environment import Environment
from ivr.run.script import A_CALLER
from ivr.run.simulation import NotUnderstood, Simulation
from ivr.run.testing.acting import act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import load_suite
from tests.run.flows import HEAD, OFFICE, SHOP, flow


def shop(*lines: str, slow: bool = False) -> Simulation:
    call = Simulation(flow(SHOP), A_CALLER, Environment(), signed_in={"2001"}, slow=slow)
    for line in lines:
        call.do(line)
    return call


def told(call: Simulation) -> list[str]:
    """The lines without the clock."""
    return [line.split(maxsplit=3)[-1] for line in call.lines]


def test_what_is_listened_for_is_shown() -> None:
    assert shop().prompt == 'listening: 1 2 0 5 "sales" "order" "operator"'
    assert shop("sales").prompt == 'listening: "buy a bicycle" "hire" anything'
    assert shop("order").prompt == "listening: 4 digits digits (said)"


def test_a_word_is_said_and_what_came_of_it_is_shown() -> None:
    call = shop("new order")
    assert call.script.path == ("welcome", "sales")
    assert 'the caller says "new order"' in told(call)
    assert 'menu heard "new order" 0.90: 1  → sales' in told(call)


def test_how_sure_it_is_can_be_said() -> None:
    call = shop("/say operator 0.35")
    assert 'menu heard "operator" 0.35: no_match' in told(call)
    assert call.script.names[-2:] == ["main_menu", "not_understood"]


def test_digits_that_are_said_are_no_keys() -> None:
    call = shop("order", "/say 1 2 3 5")
    assert call.script.run.variables["order"] == "1235"
    assert 'collect heard "1 2 3 5" 0.90: next' in told(call)
    assert call.script.records[-1].input == "1 2 3 5"
    assert shop("order", "1 2 3 5").script.records[-1].input_mode == "keys"


def test_mumbling() -> None:
    call = shop("/mumble", "/mumble 2s")
    assert [line for line in told(call) if line.startswith("menu")] == ["menu nothing was understood: no_match"] * 2


def test_nobody_listens_and_then_somebody_does() -> None:
    call = shop("/deaf", "operator")
    assert 'the caller says "operator": nobody listens' in told(call)
    assert call.script.path == ("welcome",)
    assert shop("/deaf", "/deaf", "").script.voice.listened_to


def test_secrets_are_not_shown() -> None:
    call = shop("5", "four seven one one")
    assert call.script.path == ("welcome", "secret", "bye")
    assert "seven" not in repr(call.lines)
    assert "the caller says something secret" in told(call)


@pytest.mark.parametrize("line", ["/say", "/mumble long"])
def test_slips(line: str) -> None:
    with pytest.raises(NotUnderstood, match="write"):
        shop(line)


def test_where_nobody_listens_words_mean_nothing() -> None:
    call = Simulation(flow(OFFICE), A_CALLER, Environment())
    with pytest.raises(NotUnderstood, match="'operator' means nothing here"):
        call.do("operator")
    assert call.do("/say operator") == []
    assert any("nobody listens" in line for line in call.lines)


def test_over_music_without_end_nothing_is_said() -> None:
    call = Simulation(
        flow("blocks:\n  welcome:\n    - play: {prompt: song, loop: yes}\n    - hangup\n"), A_CALLER, Environment()
    )
    for line in ("/say hello", "/mumble"):
        with pytest.raises(NotUnderstood, match="what plays has no end"):
            call.do(line)
    call.do("/slow")
    assert call.do("/say hello") == []
    assert call.lines[-1].endswith('the caller says "hello": nobody listens')


PLAYED = (
    ("new order", "I want to buy a bicycle", "1235", "yes"),
    ("/mumble", "/wait 3s", "/say operator 0.2", "/deaf", "/wait 1s", "/deaf", "", "sales", "rain"),
    ("/wait 4s", "order", "/say 1 2 3 5", "no", "/hangup"),
)


@pytest.mark.parametrize("lines", PLAYED, ids=["words", "troubles", "digits"])
@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_what_was_played_passes_as_a_test(lines: tuple[str, ...], slow: bool, tmp_path: Path) -> None:
    call = shop(*lines, slow=slow)
    (tmp_path / "sample.yaml").write_text(HEAD + SHOP, encoding="utf-8")
    file = tmp_path / "played.test.yaml"
    file.write_text(call.as_test("played"), encoding="utf-8")
    around = Surroundings(frozenset({"2001"}), known=True)
    loaded = load_suite(file, load_flows([tmp_path / "sample.yaml"]), around)
    assert not loaded.problems, file.read_text("utf-8")
    result = act(loaded.cases[0], around)
    assert result.passed, (result.failure, file.read_text("utf-8"), call.lines)
    again = shop(*lines, slow=slow)
    assert again.lines == call.lines
