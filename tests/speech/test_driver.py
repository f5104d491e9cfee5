"""eSpeak NG through pyttsx3, in one process that lives long."""

from __future__ import annotations

import ctypes.util
import io
import subprocess
import sys
import threading
import wave
from pathlib import Path

import pytest
import pyttsx3

from ivr.speech import espeak_driver
from ivr.speech.espeak_driver import DRIVER, SAMPLE_RATE, espeak, register


def seconds(pcm: bytes) -> float:
    return len(pcm) / 2 / SAMPLE_RATE


def test_pyttsx3_renders_to_a_path_and_to_an_open_file(tmp_path: Path) -> None:
    engine = pyttsx3.init(register())
    path, memory = tmp_path / "a.wav", io.BytesIO()
    engine.save_to_file("Welcome to the front desk.", str(path))
    engine.save_to_file("Welcome to the front desk.", memory)
    engine.runAndWait()
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SAMPLE_RATE)
        assert 1 < file.getnframes() / SAMPLE_RATE < 3
    assert abs(len(memory.getvalue()) - path.stat().st_size) < 2000


def test_a_text_queued_before_the_loop_and_one_after_have_their_own_rates() -> None:
    engine = pyttsx3.init(register())
    slow, fast = io.BytesIO(), io.BytesIO()
    for rate, target in ((100, slow), (300, fast)):
        engine.setProperty("rate", rate)
        engine.save_to_file("one two three four five six seven", target)
        engine.runAndWait()
    assert len(slow.getvalue()) > 2 * len(fast.getvalue())


def test_errors_reach_those_who_listen_and_the_engine_goes_on(tmp_path: Path) -> None:
    engine = pyttsx3.init(register())
    errors: list[Exception] = []
    token = engine.connect("error", lambda name, exception: errors.append(exception))
    engine.setProperty("voice", "klingonese")
    engine.setProperty("speed", 3)
    engine.say("out loud")
    engine.save_to_file("nowhere", str(tmp_path / "missing" / "a.wav"))
    engine.save_to_file("somewhere", str(tmp_path / "a.wav"))
    engine.runAndWait()
    engine.disconnect(token)
    assert [type(error) for error in errors] == [ValueError, KeyError, RuntimeError, FileNotFoundError]
    assert (tmp_path / "a.wav").stat().st_size > 10_000


def test_the_driver_lists_voices() -> None:
    voices = pyttsx3.init(register()).getProperty("voices")
    assert len(voices) > 100
    assert "en-us" in {voice.languages[0] for voice in voices}


@pytest.mark.parametrize("name", ["en-xx", "", "en-us+nobody"])
def test_an_unknown_voice_or_variant_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="has no"):
        espeak().set_voice(name)


def test_every_name_sets_the_voice_it_stands_for() -> None:
    for name in espeak().names:
        espeak().set_voice(name)
    assert espeak().names["zh"] == "sit/cmn"
    assert espeak().names["en-gb"] == "gmw/en"
    assert espeak().names["fr"] == espeak().names["fr-fr"] == espeak().names["roa/fr"] == "roa/fr"


def test_a_variant_speaks_with_another_pitch() -> None:
    assert espeak().synthesize("hello", "en-us", 150, 1, 50) != espeak().synthesize("hello", "en-us+f3", 150, 1, 50)


def test_text_is_data_not_markup_unless_asked() -> None:
    marked = '<speak>one<break time="2s"/>two</speak>'
    plain, ssml = (espeak().synthesize(marked, "en-us", 150, 1, 50, ssml) for ssml in (False, True))
    without = espeak().synthesize("one two", "en-us", 150, 1, 50)
    assert seconds(ssml) == pytest.approx(seconds(without) + 2, abs=1)
    assert plain != ssml
    assert seconds(espeak().synthesize("one\0two", "en-us", 150, 1, 50)) > seconds(
        espeak().synthesize("one", "en-us", 150, 1, 50)
    )


def test_threads_get_their_own_sound() -> None:
    text = "one two three four five six seven"
    alone = {rate: seconds(espeak().synthesize(text, "en-us", rate, 1, 50)) for rate in (100, 150, 200, 300)}
    wrong: list[tuple[int, float]] = []

    def speak(rate: int) -> None:
        for _ in range(25):
            heard = seconds(espeak().synthesize(text, "en-us", rate, 1, 50))
            if abs(heard - alone[rate]) > 0.1:
                wrong.append((rate, heard))

    threads = [threading.Thread(target=speak, args=(rate,)) for rate in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


IN_A_FRESH_PROCESS = """
import sys
{before}
from ivr.speech.espeak_driver import espeak
print(len(espeak().synthesize("hello", "ko", 150, 1, 50)), espeak().version)
"""


def fresh_process(before: str) -> str:
    program = IN_A_FRESH_PROCESS.format(before=before)
    root = str(Path(espeak_driver.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=root)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_data_in_a_deep_folder_is_found(tmp_path: Path) -> None:
    import espeakng_loader

    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    output = fresh_process(
        f"import espeakng_loader; espeakng_loader.get_data_path = lambda: {str(deep)!r} + '/espeak-ng-data'"
    )
    assert int(output.split()[0]) > 10_000


def test_data_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="OSError: eSpeak NG did not start"):
        fresh_process(f"import espeakng_loader; espeakng_loader.get_data_path = lambda: {str(tmp_path)!r} + '/none'")


def test_without_the_package_the_library_of_the_system_is_asked_for() -> None:
    without_package = "sys.modules['espeakng_loader'] = None"
    if ctypes.util.find_library("espeak-ng"):
        assert int(fresh_process(without_package).split()[0]) > 10_000
    else:
        with pytest.raises(AssertionError, match=r"libespeak-ng\.so\.1"):
            fresh_process(without_package)


def test_the_name_is_not_one_of_pyttsx3s_own() -> None:
    assert not (Path(pyttsx3.__file__).parent / "drivers" / f"{DRIVER}.py").exists()
