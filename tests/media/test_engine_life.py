"""Engines, legs, ports and memory: what comes and goes leaves nothing behind."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.media import binding, tone
from gateway.media.clip import Clip
from gateway.media.engine import (
    EngineNotBuilt,
    LegStatistics,
    MediaEngine,
    NoPortsLeft,
    PlayEnded,
)
from gateway.media.ports import RtpPorts
from tests.media.conftest import PORTS, EngineMaker, PeerMaker, Watch, wait_until
from tests.media.rtp_peer import RtpPeer
from tests.media.spectrum import sine


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class TestPorts:
    def test_even_ones_and_those_after_them(self) -> None:
        ports = RtpPorts(5001, 5007, rest_s=30, clock=Clock())
        assert [ports.take(), ports.take()] == [5002, 5004]
        assert ports.take() == 5006
        with pytest.raises(NoPortsLeft):
            ports.take()

    def test_rest(self) -> None:
        clock = Clock()
        ports = RtpPorts(5000, 5003, rest_s=30, clock=clock)
        first, second = ports.take(), ports.take()
        ports.give_back(second)
        clock.now += 10
        ports.give_back(first)
        with pytest.raises(NoPortsLeft):
            ports.take()
        clock.now += 20
        assert ports.take() == second
        with pytest.raises(NoPortsLeft):
            ports.take()
        clock.now += 10
        assert ports.take() == first

    def test_what_has_rested_longest_comes_first(self) -> None:
        ports = RtpPorts(5000, 5005, rest_s=0, clock=Clock())
        ports.give_back(ports.take())
        assert [ports.take() for _ in range(3)] == [5002, 5004, 5000]

    def test_under_pressure_they_rest_less_but_never_not_at_all(self) -> None:
        clock = Clock()
        ports = RtpPorts(5000, 5003, rest_s=30, least_rest_s=4, clock=clock)
        first, second = ports.take(), ports.take()
        ports.give_back(first)
        clock.now += 3.9
        with pytest.raises(NoPortsLeft, match="of 2 pairs 1 are in use, 1 rest for 4 s"):
            ports.take()
        clock.now += 0.1
        assert (ports.take(), ports.hurried) == (first, 1)
        ports.give_back(second)
        clock.now += 30
        assert (ports.take(), ports.hurried) == (second, 1)

    @pytest.mark.parametrize("wrong", [(5000, 5000), (0, 10), (60000, 70000), (6000, 5000)])
    def test_no_range(self, wrong: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="no range"):
            RtpPorts(*wrong, rest_s=0, clock=Clock())


class TestLegs:
    def test_on_the_port_it_tells(self, engine: MediaEngine) -> None:
        leg = engine.open_leg()
        assert leg.port % 2 == 0
        assert PORTS[0] <= leg.port < PORTS[1]
        assert leg.address == "127.0.0.1"
        for port in (leg.port, leg.port + 1):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
                other.bind((leg.address, port))

    def test_ports_rest_and_come_back(self, make_engine: EngineMaker) -> None:
        clock = Clock()
        engine = make_engine(ports=(31000, 31003), rest_s=30, clock=clock)
        first, second = engine.open_leg(), engine.open_leg()
        with pytest.raises(NoPortsLeft):
            engine.open_leg()
        second.close()
        with pytest.raises(NoPortsLeft):
            engine.open_leg()
        clock.now += 31
        third = engine.open_leg()
        assert third.port == second.port
        assert third.id not in (first.id, second.id)

    def test_it_is_told_that_they_rest_too_little(
        self, make_engine: EngineMaker, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock = Clock()
        engine = make_engine(ports=(31000, 31001), rest_s=30, least_rest_s=4, clock=clock)
        for _ in range(5):
            engine.open_leg().close()
            clock.now += 5
        assert [record.message for record in caplog.records] == [
            "calls come faster than the RTP ports can rest after use: widen the range of media ports"
        ]

    def test_a_port_that_another_program_has(self, make_engine: EngineMaker) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 31011))
            engine = make_engine(ports=(31010, 31013))
            assert engine.open_leg().port == 31012
            with pytest.raises(NoPortsLeft):
                engine.open_leg()

    def test_no_more_than_it_was_made_for(self, make_engine: EngineMaker) -> None:
        engine = make_engine(max_legs=2)
        legs = [engine.open_leg(), engine.open_leg()]
        with pytest.raises(NoPortsLeft, match="as many legs"):
            engine.open_leg()
        legs[0].close()
        engine.open_leg()

    def test_everything_is_harmless_once_closed(self, engine: MediaEngine, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.receives(3)
        final = leg.close()
        assert final.packets_sent >= 3
        other = engine.open_leg()
        leg.set_remote(peer.description())
        leg.play(1, [tone.silence(100)])
        leg.stop_playing()
        leg.send_keys("1")
        leg.bridge(other)
        other.bridge(leg)
        leg.unbridge()
        leg.listen(True)
        leg.detect_inband_keys(True)
        assert leg.close() == leg.statistics() == final
        assert engine.statistics().legs == 1
        assert not any(isinstance(event, PlayEnded) for event in engine.events())

    def test_a_stale_id_is_harmless(self, engine: MediaEngine, peer: RtpPeer) -> None:
        """The slot of a closed leg is another leg's, but its id is nobody's."""
        leg = engine.open_leg()
        stale = leg.id
        leg.close()
        fresh = engine.open_leg()
        assert fresh.id & 0xFFFF == stale & 0xFFFF
        assert fresh.id != stale
        fresh.id, real = stale, fresh.id
        fresh.play(1, [tone.silence(100)])
        assert fresh.statistics() == LegStatistics()
        fresh.id = real

    @pytest.mark.parametrize(
        "changes",
        [
            {"codec": "G729"},
            {"ptime_ms": 25},
            {"ptime_ms": 0},
            {"port": 0},
            {"port": 65536},
            {"payload_type": 128},
            {"telephone_event": -1},
            {"address": "phone.example"},
            {"address": "::1"},
        ],
    )
    def test_what_no_far_end_can_be(self, engine: MediaEngine, peer: RtpPeer, changes: dict[str, str | int]) -> None:
        leg = engine.open_leg()
        with pytest.raises(ValueError):  # noqa: PT011 - the words differ, the kind is what callers rely on
            leg.set_remote(peer.description(**changes))

    def test_ten_thousand_leave_nothing_behind(self, engine: MediaEngine, peer: RtpPeer) -> None:
        clip = tone.silence(1000)

        def one_call() -> None:
            leg, other = engine.open_leg(), engine.open_leg()
            leg.set_remote(peer.description(send=False))
            leg.play(1, [clip, clip])
            leg.listen(True)
            leg.bridge(other)
            leg.close()
            other.close()
            engine.events()

        for _ in range(500):
            one_call()
        gc.collect()
        descriptors, resident = len(os.listdir("/proc/self/fd")), resident_kb()
        references = sys.getrefcount(clip)
        for _ in range(5000):
            one_call()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert resident_kb() - resident < 2000
        assert sys.getrefcount(clip) == references
        assert engine.statistics().legs == 0


def resident_kb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


class TestEngines:
    def test_closed_twice(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine()
        leg = engine.open_leg()
        leg.play(5, [tone.silence(1000)])
        peer.talks_to(leg)
        peer.receives(2)
        engine.close()
        engine.close()
        assert leg.close().packets_sent >= 2
        assert PlayEnded(leg.id, 5, leg.statistics().audio_sent_ms, False) in engine.events()
        assert engine.events() == []
        assert engine.statistics().legs == 0
        with pytest.raises(RuntimeError):
            engine.open_leg()

    def test_engines_leave_nothing_behind(self) -> None:
        descriptors, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        for _ in range(50):
            engine = MediaEngine(address="127.0.0.1", ports=PORTS)
            engine.start()
            engine.start()
            engine.open_leg()
            engine.close()
        assert len(os.listdir("/proc/self/fd")) == descriptors
        wait_until(lambda: len(os.listdir("/proc/self/task")) <= threads)

    def test_never_started(self) -> None:
        engine = MediaEngine(address="127.0.0.1", ports=PORTS)
        engine.open_leg()
        engine.close()

    @pytest.mark.parametrize("address", ["", "host.example", "1.2.3", "1.2.3.4.5"])
    def test_no_address(self, address: str) -> None:
        with pytest.raises(ValueError, match="does not appear"):
            MediaEngine(address=address, ports=PORTS)

    def test_without_realtime(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine(realtime=False)
        peer.talks_to(engine.open_leg())
        peer.receives(5)
        statistics = engine.statistics()
        assert not statistics.realtime
        assert statistics.wake_ups > 10
        assert statistics.legs == 1

    def test_plays_end_even_when_nobody_empties_the_sound(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        """Chunks beyond the room for sound are dropped and counted; the ends of plays are not."""
        peer = make_peer()
        legs = [engine.open_leg() for _ in range(150)]
        for leg in legs:
            peer.talks_to(leg, send=False)
            leg.listen(True)
            peer.sends(bytes(peer.packet(b"\x01" * 160)))
        wait_until(lambda: engine.statistics().events_dropped > 0, patience_s=60)
        for number, leg in enumerate(legs):
            leg.play(number, [])
            leg.close()
        watch.events += engine.events()
        ended = [event.play_id for event in watch.events if isinstance(event, PlayEnded)]
        assert ended == list(range(150))

    def test_commands_from_many_threads(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        peers = [make_peer() for _ in range(4)]
        stop, problems = threading.Event(), []

        def calls(peer: RtpPeer) -> None:
            try:
                while not stop.is_set():
                    leg, other = engine.open_leg(), engine.open_leg()
                    leg.set_remote(peer.description())
                    other.set_remote(peer.description())
                    leg.play(1, [Clip(bytes(800))], loop=True)
                    leg.bridge(other)
                    leg.listen(True)
                    peer.aims_at(leg)
                    peer.sends_all(peer.frames(sine(500, 100)))
                    leg.play(2, [tone.silence(50)])
                    leg.statistics()
                    other.close()
                    leg.close()
            except Exception as error:
                problems.append(error)

        threads = [threading.Thread(target=calls, args=(peer,)) for peer in peers]
        for thread in threads:
            thread.start()
        for _ in range(200):
            engine.events()
            wait_until(lambda: True)
        peers[0].receives(20, more=True)
        stop.set()
        for thread in threads:
            thread.join()
        assert not problems
        assert engine.statistics().legs == 0


class TestLibrary:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(EngineNotBuilt, match=r"has not been built.*hatch_build.py"):
            binding.load(tmp_path / "_engine.so")

    def test_broken(self, tmp_path: Path) -> None:
        broken = tmp_path / "_engine.so"
        broken.write_bytes(b"nothing")
        with pytest.raises(EngineNotBuilt, match="cannot be loaded"):
            binding.load(broken)

    def test_the_header_says_the_same(self) -> None:
        header = (Path(binding.__file__).parent / "native" / "media.h").read_text()
        assert f"MEDIA_ABI = {binding.ABI}" in header
        for name in binding._FUNCTIONS:
            assert f"{name}(" in header
        for structure in (binding.MediaRemote, binding.MediaLegStatistics, binding.MediaEngineStatistics):
            declared = header[: header.index(f"}} {structure.__name__};")].rpartition("typedef struct {")[2]
            fields = [line.split("//")[0].split(";")[0].split()[-1] for line in declared.splitlines() if ";" in line]
            assert [field.partition("[")[0] for field in fields] == [name for name, *_ in structure._fields_]

    def test_built_in_place(self, tmp_path: Path) -> None:
        root = Path(__file__).parents[2]
        sources = tmp_path / "gateway" / "media" / "native"
        sources.parent.mkdir(parents=True)
        sources.symlink_to(root / "gateway" / "media" / "native")
        script = tmp_path / "hatch_build.py"
        script.write_text((root / "hatch_build.py").read_text())
        subprocess.run([sys.executable, str(script)], check=True)
        assert binding.load(sources.parent / "_engine.so")
        refused = subprocess.run(
            [sys.executable, str(script)], env={"PATH": str(tmp_path)}, capture_output=True, text=True
        )
        assert refused.returncode == 1
        assert "a C compiler is needed: apt-get install gcc" in refused.stderr
