"""``ivr sim`` and ``ivr try`` as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ivr.cli import app
from tests.cli.commands import ivr


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new site, and the working directory in it."""
    assert ivr("init", tmp_path / "site").exit_code == 0
    monkeypatch.chdir(tmp_path / "site")
    return tmp_path / "site"


def sim(*lines: str) -> Result:
    words = ["sim", "main", "--at", "2026-03-02 10:00 Europe/Berlin"]
    return CliRunner().invoke(app, words, input="".join(f"{line}\n" for line in lines))


def test_what_would_happen(site: Path) -> None:
    result = ivr("try", "--call", "1000", "--at", "2026-10-01 09:30", "--keys", "1", "--seat", "2001=busy")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("1000  → flow main  (site.yaml:")
    assert lines[1].startswith("09:30:00.0  welcome ")
    assert lines[-1] == "ended by flow after 8.2 s   path welcome > main_menu > sales > busy > goodbye"


def test_what_would_happen_for_programs(site: Path) -> None:
    found = json.loads(ivr("try", "--call", "1000", "--keys", "1", "--seat", "2001=answer", "--json").stdout)
    assert found["path"] == ["welcome", "main_menu", "sales", "goodbye"]
    assert found["ended_by"] == "flow"
    assert found["tags"] == {"topic": "sales"}
    assert found["heard"][0] == {"at": 0.0, "what": "Welcome to the demonstration line.", "spoken": True}


def test_what_would_happen_to_one_who_also_speaks(site: Path) -> None:
    answers = ["--keys", "9", "--say", "the latest news", "--keys", "/say go back 0.8", "--say", "operator please"]
    result = ivr("try", "--call", "1321", "--at", "2026-10-01 09:30", *answers)
    assert result.exit_code == 0, result.stderr
    assert 'menu heard "the latest news" 0.90: 1  → news' in result.stdout
    assert 'menu heard "go back" 0.80: *  → choose' in result.stdout
    assert result.stdout.splitlines()[-1].endswith("path choose > news > choose > operator > bye")


def test_a_number_that_nobody_answers(site: Path) -> None:
    result = ivr("try", "--call", "9999999")
    assert (result.exit_code, result.stdout) == (
        1,
        "No rule of site.yaml fits 9999999: the caller hears that there is no such number.\n",
    )
    assert json.loads(ivr("try", "--call", "9999999", "--json").stdout)["flow"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "noon"], "'noon' is not a day and time"),
        (["--seat", "2001=asleep"], "'2001=asleep' is not SEAT=DEED"),
        (
            ["--call", "1302", "--keys", "x"],
            "'x' means nothing here: it is no keys, and block ask_order does not listen",
        ),
        (["--keys", "1", "--seat", "2001=busy", "--say", "hello"], "'hello' was not said: the call is over before"),
        (["--seat", "2001=busy", "--keys", "1", "--keys", "1"], "'1' was not pressed: the call is over before"),
    ],
)
def test_slips(words: list[str], said: str, site: Path) -> None:
    result = ivr("try", "--call", "1000", *words)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_call_is_played_from_a_pipe(site: Path) -> None:
    result = sim("1", "x", "b", "/save busy_seat", "/save busy_seat", "/back", "/quit", "not read")
    assert result.exit_code == 0
    assert "> 1\n" in result.stdout
    assert "  2001 rings   [a]nswer" in result.stdout
    assert "  'x' means nothing here: " in result.stdout
    assert "  written: flows/busy_seat.test.yaml\n" in result.stdout
    assert "  flows/busy_seat.test.yaml is there already: take another name\n" in result.stdout
    assert "  taken back: b\n" in result.stdout
    assert "not read" not in result.stdout
    assert ivr("test", "flows/busy_seat.test.yaml").stdout.startswith("main: 1 passed")


def test_a_flow_that_is_not_there(site: Path) -> None:
    result = ivr("sim", "mian")
    assert result.exit_code == 1
    assert "There is no flow 'mian': did you mean 'main'?" in result.stderr


@pytest.mark.parametrize(
    ("home", "number", "greeting"),
    [("", "+33140205050", "Bonjour."), ("", "030123456", "Hello."), ("country: FR\n", "0140205050", "Bonjour.")],
)
def test_who_calls_from_where(site: Path, home: str, number: str, greeting: str) -> None:
    Path("flows/abroad.yaml").write_text(
        "flow: abroad\nstart: welcome\nblocks:\n  welcome:\n    - if: {when: caller.country == 'FR', then: french}\n"
        "    - say: Hello.\n    - hangup\n  french: [{say: Bonjour.}, hangup]\n",
        encoding="utf-8",
    )
    file = Path("site.yaml")
    numbers = file.read_text(encoding="utf-8").replace("numbers:\n", "numbers:\n  '1300': abroad\n", 1)
    file.write_text(home + numbers, encoding="utf-8")
    found = json.loads(ivr("try", "--call", "1300", "--from", number, "--json").stdout)
    assert [one["what"] for one in found["heard"]] == [greeting]
    played = ivr("sim", "abroad", "--from", number)
    assert f"♪ {greeting}" in played.stdout
