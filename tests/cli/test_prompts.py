"""ivr prompts: what is listed, taken in, checked and written down."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ivr.speech.mastering import LOUDNESS
from ivr.speech.measuring import measure
from tests.cli.commands import ivr
from tests.speech.listening import tone

FLOW = """\
flow: main
languages: [en, zh]
start: begin
blocks:
  begin:
    - play: [welcome, {say: '=1+1 is two.'}]
    - play: chime
    - hangup
"""


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site.yaml").write_text("numbers: {'1000': main}\n")
    Path("flows").mkdir()
    Path("flows/main.yaml").write_text(FLOW)
    Path("prompts").mkdir()
    record(Path("prompts/chime.wav"))


def record(path: Path, amplitude: float = 0.11, seconds: float = 1.0, rate: int = 44100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(1000, seconds, rate, amplitude), rate)


def test_prompts_are_listed_in_every_language() -> None:
    found = json.loads(ivr("prompts", "--format", "json").stdout)
    assert [(one["name"], one["language"], one["state"]) for one in found] == [
        ("chime", "en", "recorded"),
        ("chime", "zh", "recorded"),
        ("welcome", "en", "missing"),
        ("welcome", "zh", "missing"),
        (None, "en", "spoken"),
        (None, "zh", "spoken"),
    ]
    assert found[0]["seconds"] == 1.0
    assert found[0]["used"] == [{"file": "flows/main.yaml", "line": 7}]
    assert "flows/main.yaml:6" in ivr("prompts", "list").stdout


def test_missing_ones_are_an_exit_code() -> None:
    assert ivr("prompts", "--missing").exit_code == 1
    for language in ("en", "zh"):
        record(Path("prompts", language, "welcome.wav"))
    result = ivr("prompts", "--missing")
    assert (result.exit_code, result.stdout.strip()) == (0, "No recording is missing.")


def test_a_folder_is_taken_in_by_language() -> None:
    for language in ("en", "zh"):
        record(Path("takes", language, "Welcome.flac"), 0.01)
    result = ivr("prompts", "import", "takes")
    assert result.exit_code == 0, result.stderr
    for language in ("en", "zh"):
        made = measure(Path("prompts", language, "welcome.wav"))
        assert (made.rate, made.channels) == (8000, 1)
        assert made.loudness == pytest.approx(LOUDNESS, abs=0.1)
    assert not list(Path("prompts").rglob("*.part"))


def test_what_is_there_is_not_replaced_unless_asked_for() -> None:
    record(Path("prompts/en/welcome.wav"))
    before = Path("prompts/en/welcome.wav").read_bytes()
    record(Path("new.wav"), 0.5)
    words = ("prompts", "import", "new.wav", "--language", "en", "--name", "welcome")
    result = ivr(*words)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert Path("prompts/en/welcome.wav").read_bytes() == before
    assert ivr(*words, "--force").exit_code == 0
    assert Path("prompts/en/welcome.wav").read_bytes() != before
    assert [one.read_bytes() for one in Path("var/replaced/en").iterdir()] == [before]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.wav"], "none.wav is not there"),
        (["text.m4a", "--language", "en"], "ffmpeg -i text.m4a text.wav"),
        (["still.wav", "--language", "en"], "nothing to hear"),
        (["still.wav"], "by --language"),
        (["still.wav", "--language", "../x"], "no language"),
        (["still.wav", "--language", "en", "--name", "../x"], "no name of a recording"),
    ],
)
def test_what_cannot_be_taken_in_is_named(words: list[str], said: str) -> None:
    Path("text.m4a").write_text("no sound")
    soundfile.write("still.wav", np.zeros(8000), 8000)
    result = ivr("prompts", "import", *words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert [one.name for one in Path("prompts").rglob("*.wav")] == ["chime.wav"]


def test_recordings_are_checked() -> None:
    record(Path("prompts/en/welcome.wav"), 0.9, 0.05)
    soundfile.write("prompts/zh_.wav", np.zeros(8000), 8000)
    Path("prompts/zh").mkdir()
    Path("prompts/zh_.wav").rename("prompts/zh/welcome.wav")
    result = ivr("prompts", "check", "--format", "json")
    assert result.exit_code == 1
    faults = {(one["file"], one["fault"]) for one in json.loads(result.stdout)}
    assert ("prompts/zh/welcome.wav", "silent") in faults
    assert {("prompts/en/welcome.wav", "format"), ("prompts/en/welcome.wav", "loudness")} <= faults
    assert not [file for file, _ in faults if file == "prompts/chime.wav"]
    assert "W353" in ivr("check").stdout


def test_a_sheet_is_safe_and_keeps_what_was_filled_in() -> None:
    assert ivr("prompts", "sheet", "-o", "sheet.csv").exit_code == 0
    content = Path("sheet.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["text"] for row in rows if row["text"]] == ["'=1+1 is two."] * 2
    assert rows[2]["file"] == "prompts/en/welcome.wav"
    assert ivr("prompts", "sheet", "-o", "sheet.csv").exit_code == 1
    # As a spreadsheet saves it where the comma is for decimals.
    Path("filled.csv").write_text("name;language;text\nwelcome;en;'=Good day and <b>welcome</b>\n")
    assert ivr("prompts", "sheet", "-o", "next.html", "--texts", "filled.csv").exit_code == 0
    assert "=Good day and &lt;b&gt;welcome" in Path("next.html").read_text()
