"""A call played in real time: what the loudspeaker is told, and why nothing may be heard."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gateway.call import Clip
from ivr.cli.loudspeaker import Loudspeaker, NoLoudspeaker, SoundCard
from ivr.cli.real_time import RealTime
from ivr.cli.site_sounds import SiteSounds
from ivr.run.actions import PlayItem, PlayRecording, PlayText
from ivr.run.environment import Environment
from ivr.run.script import A_CALLER
from ivr.run.simulation import Simulation
from ivr.site import Site, load_site
from tests.cli.commands import ivr
from tests.peers.patience import until
from tests.peers.process import unavailable
from tests.peers.server import program
from tests.peers.sound import Sound, write_tone
from tests.run.flows import GROUPS, OFFICE, SHOP, flow


class FakeCard:
    """A stand-in for a sound card: it writes down what it is told and makes no sound. The real way to one is tried
    below, through PortAudio into a file."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails = False

    def play(self, sound: npt.NDArray[np.int16], *, loop: bool = False) -> None:
        if self.fails:
            raise NoLoudspeaker("it was pulled out")
        self.told.append(f"play {len(sound) / 8000:.1f} s{' for ever' if loop else ''}")

    def stop(self) -> None:
        self.told.append("stop")


class Stage:
    """A call, a clock that the test moves, and the card."""

    def __init__(
        self, open_loudspeaker: Callable[[], Loudspeaker] | None = None, *, slow: bool = True, text: str = OFFICE
    ) -> None:
        self.now = 100.0
        self.card = FakeCard()
        seconds = {"welcome": 4.0, "main_menu": 6.0, "what_is_it_about": 3.0}

        def clip(item: PlayItem) -> Clip | None:
            name = item.name if isinstance(item, PlayRecording) else item.text
            return Clip(b"\xff" * round(8000 * seconds[name])) if name in seconds else None

        def seconds_of(item: PlayItem) -> float | None:
            made = clip(item)
            return None if made is None else made.duration_ms / 1000

        class Sounds:
            def clip(self, item: PlayItem) -> Clip | None:
                return clip(item)

        environment = Environment(groups=GROUPS)
        self.call = Simulation(flow(text), A_CALLER, environment, seconds_of=seconds_of, slow=slow)
        self.real_time = RealTime(self.call, Sounds(), open_loudspeaker or (lambda: self.card), lambda: self.now)
        self.real_time.catch_up()

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.real_time.catch_up()

    def types(self, line: str) -> None:
        self.real_time.catch_up()
        self.call.do(line)
        self.real_time.catch_up()

    def hears(self) -> list[str]:
        told, self.card.told = self.card.told, []
        return told


def test_prompts_are_heard_one_after_the_other_and_a_key_cuts_them() -> None:
    stage = Stage()
    assert stage.hears() == ["play 4.0 s"]
    stage.passes(3.0)
    assert stage.hears() == []
    stage.passes(1.0)
    assert stage.hears() == ["play 6.0 s"]
    stage.passes(2.0)
    stage.types("1")
    # Who is rung is heard to be: the tone takes the place of the menu.
    assert stage.hears() == ["play 5.0 s for ever"]
    stage.types("a")
    assert stage.hears() == ["stop"]


def test_a_word_cuts_them_too() -> None:
    stage = Stage(text=SHOP)
    assert stage.hears() == ["play 6.0 s"]
    stage.passes(2.0)
    stage.types("sales")
    assert stage.hears() == ["play 3.0 s"]
    stage.types("it rains")
    assert stage.hears() == ["stop"]
    assert stage.call.script.path == ("welcome", "sales", "bye")


def test_what_comes_to_its_end_is_not_cut_off() -> None:
    """A card is always a little behind."""
    stage = Stage()
    stage.passes(4.0)
    stage.passes(6.5)
    assert stage.hears() == ["play 4.0 s", "play 6.0 s"]


def test_a_prompt_without_sound_is_silence_of_its_length() -> None:
    stage = Stage()
    stage.passes(4.0)
    stage.passes(6.0)
    stage.passes(5.0)
    # still_there, which is not there, and the menu again.
    assert stage.hears() == ["play 4.0 s", "play 6.0 s", "play 8.0 s"]


def test_slow_can_be_begun_and_ended_at_any_time() -> None:
    stage = Stage(slow=False)
    stage.passes(60.0)
    assert (stage.hears(), stage.call.script.now) == ([], 2.0)
    stage.types("/slow")
    assert stage.hears() == ["play 6.0 s"]
    stage.passes(0.5)
    assert stage.call.script.now == pytest.approx(2.5)
    stage.types("/slow")
    assert stage.hears() == ["stop"]
    stage.passes(60.0)
    assert stage.call.script.now == pytest.approx(2.5)


def test_what_is_taken_back_is_heard_again() -> None:
    stage = Stage()
    stage.passes(4.5)
    stage.types("1")
    stage.hears()
    stage.types("/back")
    assert stage.hears() == ["play 6.0 s"]


def test_the_end_of_the_call_is_silence() -> None:
    stage = Stage()
    stage.types("/hangup")
    assert stage.hears() == ["play 4.0 s", "stop"]
    stage.passes(10.0)
    assert stage.hears() == []
    stage.real_time.close()
    assert stage.hears() == ["stop"]


def test_a_card_that_is_pulled_out_does_not_end_the_call() -> None:
    stage = Stage()
    stage.card.fails = True
    stage.passes(4.0)
    assert stage.real_time.silent_because == "it was pulled out"
    stage.passes(6.0)
    assert stage.call.script.now == pytest.approx(10.0)


def test_without_a_card_the_clock_goes_all_the_same() -> None:
    def none() -> Loudspeaker:
        raise NoLoudspeaker("there is none")

    stage = Stage(none)
    assert stage.real_time.silent_because == "there is none"
    stage.passes(4.0)
    assert [one.name for one in stage.call.script.heard] == ["welcome", "main_menu"]


# Why nothing is heard. --------------------------------------------------------------------------------------


def test_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(NoLoudspeaker, match="sounddevice is not installed: pip install sounddevice"):
        SoundCard()


def test_the_library_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(NoLoudspeaker, match="PortAudio is not installed: apt-get install libportaudio2"):
        SoundCard()
    sys.modules.pop("sounddevice", None)


# The real thing. --------------------------------------------------------------------------------------------

FLOW = """\
flow: main
start: welcome
on_error: bye
input: {timeout: 300ms, tries: 2}
blocks:
  welcome:
    - play: first
    - menu: {prompt: second, keys: {'1': bye, '2': welcome}, no_input: [third], failed: bye}
  bye:
    - say: Goodbye.
    - hangup
"""
FIRST, SECOND, THIRD = 500, 700, 900
CARD = """\
pcm.file {{
  type file
  slave.pcm {{ type null }}
  file "|cat >> {file}"
  format "raw"
}}
pcm.!default {{ type plug slave.pcm "file" }}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("flows").mkdir()
    Path("flows/main.yaml").write_text(FLOW, encoding="utf-8")
    Path("site.yaml").write_text("numbers: {'1000': main}\n", encoding="utf-8")
    for name, hz in (("first", FIRST), ("second", SECOND), ("third", THIRD)):
        Path("prompts").mkdir(exist_ok=True)
        write_tone(Path(f"prompts/{name}.wav"), hz, 1.0)
    return tmp_path


class Terminal:
    """``ivr sim`` at a terminal of its own. ``alsa``: a configuration that makes up sound devices."""

    def __init__(self, *words: str, alsa: str | None = None) -> None:
        environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "200"}
        if alsa is not None:
            Path("asound.conf").write_text(alsa, encoding="utf-8")
            environment["ALSA_CONFIG_PATH"] = str(Path("asound.conf").resolve())
        self._near, far = pty.openpty()
        self._child = subprocess.Popen(
            [*program(), "sim", "main", *words], stdin=far, stdout=far, stderr=far, env=environment
        )
        os.close(far)
        os.set_blocking(self._near, False)
        self.said = ""
        self._read = 0

    def says(self, words: str) -> None:
        """Wait until it says so, after what was waited for before."""

        def said() -> bool:
            with contextlib.suppress(OSError):
                self.said += os.read(self._near, 65536).decode("utf-8", "replace")
            return words in self.said[self._read :]

        until(said, lambda: f"no {words!r} after:\n{self.said}")
        self._read = self.said.index(words, self._read) + len(words)

    def types(self, line: str) -> None:
        os.write(self._near, f"{line}\r".encode())

    def ends(self) -> int:
        return self._child.wait(20)

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        os.close(self._near)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def make(*words: str, alsa: str | None = None) -> Terminal:
        made.append(Terminal(*words, alsa=alsa))
        return made[-1]

    yield make
    for one in made:
        one.close()


def heard(file: Path, rate: int) -> Sound:
    """What PortAudio has put into the file, at the rate of telephones."""
    samples = np.frombuffer(file.read_bytes(), np.int16)
    import soxr

    as_wav = file.with_suffix(".wav")
    with wave.open(str(as_wav), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(soxr.resample(samples, rate, 8000).tobytes())
    return Sound.read(as_wav)


@pytest.fixture
def _portaudio() -> None:
    if find_library("portaudio") is None:
        unavailable("PortAudio is missing: apt-get install libportaudio2")


@pytest.mark.peer
@pytest.mark.usefixtures("_portaudio")
def test_prompts_come_out_of_the_sound_card(site: Path, terminal: Callable[..., Terminal]) -> None:
    """Nobody types anything: the call goes on by itself. The card is ALSA's that writes to a file."""
    file = site / "heard.raw"
    one = terminal("--slow", alsa=CARD.format(file=file))
    for words in ("♪ first", "♪ second", "♪ third", "♪ second", "♪ Goodbye.", "ended by flow"):
        one.says(words)
    one.types("/quit")
    assert one.ends() == 0
    assert "nothing is heard" not in one.said
    sound = heard(file, 44_100)
    story = [sound.finds_tone(hz) for hz in (FIRST, SECOND, THIRD)]
    assert None not in story
    assert story == sorted(story, key=lambda at: at or 0.0)


@pytest.mark.peer
@pytest.mark.usefixtures("_portaudio")
def test_a_machine_without_a_sound_device(site: Path, terminal: Callable[..., Terminal]) -> None:
    with contextlib.suppress(NoLoudspeaker):
        SoundCard()
        pytest.skip("this machine has one")
    one = terminal()
    one.says("listening: 1 2")
    one.types("/slow")
    one.says("nothing is heard: this machine has no sound device")
    one.says("♪ third")
    one.types("2")
    one.says("key 2")
    one.says("♪ first")
    one.types("/slow")
    one.says("as fast as it goes")
    one.types("/quit")
    assert one.ends() == 0


def test_a_pipe_has_no_clock(site: Path) -> None:
    result = ivr("sim", "main", "--slow")
    assert result.exit_code == 1
    assert "a pipe has no clock" in result.stderr


# What prompts of a site sound like. -------------------------------------------------------------------------


def sounds(text: str) -> SiteSounds:
    Path("site.yaml").write_text(text, encoding="utf-8")
    found: Site | None = load_site(Path("site.yaml"), {}).site
    assert found is not None
    return SiteSounds(found)


def test_recordings_and_texts_are_as_long_as_they_sound(site: Path) -> None:
    of_site = sounds("numbers: {'1000': main}\n")
    assert of_site.seconds(PlayRecording("first", "en")) == pytest.approx(1.0)
    short, long = (of_site.seconds(PlayText(text, "en")) for text in ("One.", "One, two, three, four, five, six."))
    assert short is not None
    assert long is not None
    assert 0.1 < short < long / 2
    assert of_site.seconds(PlayText("...", "en")) == 0.02
    assert of_site.faults == []
    fast = sounds("numbers: {'1000': main}\nspeech: {voices: {en: {rate: 400}}}\n")
    assert (fast.seconds(PlayText("One, two, three, four, five, six.", "en")) or 9.0) < long / 1.5


def test_what_cannot_be_made_is_said_once(site: Path) -> None:
    of_site = sounds("numbers: {'1000': main}\nspeech: {voices: {de: {voice: nobody}}}\n")
    for _ in range(2):
        assert of_site.seconds(PlayRecording("nowhere", "en")) is None
        assert of_site.seconds(PlayText("Eins.", "de")) is None
    missing, unknown = of_site.faults
    assert "recording 'nowhere' is missing" in missing
    assert "nobody" in unknown
