"""Spoken texts that are kept, on disk and in memory."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from gateway.call import Clip
from ivr.speech.cache import RecentClips, SpeechCache, cache_key
from ivr.speech.voice import Voice

KEY = cache_key("hello", Voice(), "1")


def clip(seconds: float = 1.0, fill: int = 0x55, name: str = "hello") -> Clip:
    return Clip(bytes([fill]) * round(seconds * 8000), name)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_what_was_put_is_got_by_another_cache_of_the_folder(tmp_path: Path) -> None:
    SpeechCache(tmp_path / "new").put(KEY, clip(name="你好, world"))
    found = SpeechCache(tmp_path / "new").get(KEY)
    assert found is not None
    assert (found.pcmu, found.name) == (clip().pcmu, "你好, world")


def test_a_stranger_is_not_found(tmp_path: Path) -> None:
    assert SpeechCache(tmp_path).get(KEY) is None


def test_everything_that_is_heard_is_in_the_key() -> None:
    voice = Voice()
    keys = {
        cache_key("hello", voice, "1"),
        cache_key("hello ", voice, "1"),
        cache_key("hello", voice, "2"),
        *(
            cache_key("hello", replace(voice, **change), "1")
            for change in ({"engine": "x"}, {"voice": "en-gb"}, {"rate": 151}, {"volume": 0.9}, {"pitch": 51})
        ),
    }
    assert len(keys) == 8


def test_any_player_opens_the_file(tmp_path: Path) -> None:
    SpeechCache(tmp_path).put(KEY, clip(2.0))
    information = soundfile.info(only_file(tmp_path))
    assert (information.format, information.subtype) == ("AU", "ULAW")
    assert (information.samplerate, information.channels, information.frames) == (8000, 1, 16000)


@pytest.mark.parametrize("keep", [0, 3, 20, 60, 4000, 8063])
def test_a_truncated_file_is_removed_and_made_again(tmp_path: Path, keep: int) -> None:
    cache = SpeechCache(tmp_path)
    cache.put(KEY, clip())
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    assert cache.get(KEY) is None
    assert not path.exists()
    cache.put(KEY, clip())
    assert cache.get(KEY) is not None


def test_no_flipped_byte_of_the_sound_goes_unnoticed(tmp_path: Path) -> None:
    cache = SpeechCache(tmp_path)
    cache.put(KEY, clip(0.02))
    path = only_file(tmp_path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        found = cache.get(KEY)
        # Its name is for the log, and may suffer.
        assert found is None or found.pcmu == clip(0.02).pcmu
        path.write_bytes(whole)


def test_the_folder_stays_within_its_bound_and_the_least_wanted_goes_first(tmp_path: Path) -> None:
    cache = SpeechCache(tmp_path, bound=100_000)
    keys = [cache_key(f"text {number}", Voice(), "1") for number in range(40)]
    now = time.time()
    for number, key in enumerate(keys):
        cache.put(key, clip())
        if number >= 1:
            assert cache.get(keys[0]) is not None
        for path in tmp_path.glob("*.au"):
            # Seconds apart, as in life; the one asked for just now is the youngest.
            age = 0 if path.stem in (keys[0], key) else 1000 - keys.index(path.stem)
            os.utime(path, (now - age, now - age))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 110_000
    assert cache.get(keys[0]) is not None
    assert cache.get(keys[1]) is None
    assert cache.get(keys[-1]) is not None


def test_half_written_files_of_a_crash_are_cleared_away(tmp_path: Path) -> None:
    old, fresh = tmp_path / "old.part", tmp_path / "fresh.part"
    old.touch()
    fresh.touch()
    os.utime(old, (0, 0))
    SpeechCache(tmp_path).put(KEY, clip())
    assert not old.exists()
    assert fresh.exists()


def test_a_disk_that_cannot_be_written_is_said_once_and_costs_no_prompt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    cache = SpeechCache(folder)
    folder.rmdir()
    cache.put(KEY, clip())
    cache.put(KEY, clip())
    assert cache.get(KEY) is None
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["speech cache"]


def _write_and_read(folder: Path, fill: int) -> int:
    cache = SpeechCache(folder, bound=200_000)
    wrong = 0
    for number in range(300):
        key = cache_key(f"text {number % 30}", Voice(), "1")
        found = cache.get(key)
        if found is not None and len(set(found.pcmu)) != 1:
            wrong += 1
        cache.put(key, clip(fill=fill))
    return wrong


def test_processes_that_share_a_folder_see_whole_files_only(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(_write_and_read, [(tmp_path, 1), (tmp_path, 2)]) == [0, 0]
    assert not list(tmp_path.glob("*.part"))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 240_000


def test_memory_is_bounded_in_bytes() -> None:
    recent = RecentClips(bound=24_000)
    for name in ("a", "b", "c"):
        recent.put(name, clip())
    assert recent.get("a") is not None
    recent.put("d", clip())
    assert recent.get("b") is None
    recent.put("a", clip(2.0))
    assert [name for name in "abcd" if recent.get(name)] == ["a", "d"]
    recent.put("a", clip(4.0))
    assert [name for name in "abcd" if recent.get(name)] == ["d"]
