"""The server under measurement: a site in a folder of its own, `ivr run` as a process, and what it costs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIP_PORT, PHONES_PORT, PEER_PORT = 15060, 16060, 17060
MEDIA_PORTS = (40_000, 49_998)

GREETING = """\
flow: main
languages: [en]
start: greeting
blocks:
  greeting:
    - answer
    - play: tone
    - hangup
"""
"""A call that lasts until its caller hangs up: the recording is longer than any of them."""

MENU = """\
flow: main
languages: [en]
start: menu
blocks:
  menu:
    - answer
    - menu:
        prompt: tone
        keys: {'1': silence}
        failed: silence
  silence:
    - pause: 30s
    - hangup
"""
"""A prompt that one key ends, and silence after it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used and holds."""

    cpu_s: float
    rss_kb: int
    fds: int
    threads: int


def usage(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
        rss_kb=int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024,
        fds=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(fields[17]),
    )


class Subject:
    """Owns the folder and the process."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder

    @property
    def usage(self) -> Usage:
        return usage(self.process.pid)

    def records(self) -> int:
        """How many calls are in the records, all of them written."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.folder / "var" / "records.db")) as database:
            return int(database.execute("SELECT count(*) FROM calls WHERE closed = 1").fetchone()[0])

    def sizes(self) -> dict[str, int]:
        """How much it remembers, as it writes on SIGUSR1."""
        log = self.folder / "log"
        before = log.stat().st_size
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            time.sleep(0.1)
            for line in log.read_bytes()[before:].decode(errors="replace").splitlines():
                if "remembered: {" in line:
                    sizes: dict[str, int] = json.loads(line[line.index("{") :])
                    return sizes
        raise SystemExit("the server does not say what it remembers")


@contextlib.contextmanager
def serving(flow: str, *, max_calls: int = 2000, prompt_s: float = 20.0, more: str = "") -> Iterator[Subject]:
    """The server with one flow on number 1000, until the end of the block. ``more`` stands in the site file too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flows").mkdir()
        (folder / "flows" / "main.yaml").write_text(flow)
        _write_tone(folder / "prompts" / "tone.wav", prompt_s)
        (folder / "site.yaml").write_text(
            f"sip: {{listen: ['udp:127.0.0.1:{SIP_PORT}']}}\n"
            # At rates that no company has, the ports of one machine would not suffice for the usual rest.
            f"media: {{address: 127.0.0.1, ports: {MEDIA_PORTS[0]}-{MEDIA_PORTS[1]}, port_rest: 4s}}\n"
            "flows: flows\nprompts: prompts\nrecords: sqlite:///var/records.db\n"
            "numbers: {'1000': main}\n"
            f"limits: {{calls: {max_calls}, calls_per_second: 1000, drain: 1s}}\n{more}"
        )
        program = [sys.executable, "-m", "ivr", "run", "--site", "site.yaml"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                program, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith(b"ready"):
                raise SystemExit(f"the server did not start:\n{(folder / 'log').read_text()}")
            # What start-up has still to do is no call's cost.
            time.sleep(0.5)
            yield Subject(process, folder)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _write_tone(file: Path, seconds: float) -> None:
    file.parent.mkdir(exist_ok=True)
    period = b"".join(
        round(8000 * math.sin(2 * math.pi * 440 * n / 8000)).to_bytes(2, "little", signed=True) for n in range(200)
    )
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(period * round(seconds * 40))


@dataclass(frozen=True, slots=True)
class Calls:
    """What SIPp says of the calls it made."""

    made: int
    failed: int
    retransmissions: int
    answer_ms: list[float]
    """From INVITE to 200, in order of size."""


def sipp_program() -> str:
    program = shutil.which("sipp")
    if program is None:
        raise SystemExit("SIPp is needed: apt-get install sip-tester")
    return program


def call(port: int, *, rate: int, calls: int, hold_ms: int, folder: Path) -> Calls:
    """Have SIPp make that many calls, without sound, and wait for their end."""
    argv = [sipp_program(), "-sn", "uac", "-s", "1000", "-r", str(rate), "-m", str(calls), "-d", str(hold_ms)]
    argv += ["-l", str(max(200, 4 * rate)), "-i", "127.0.0.1", "-p", str(PHONES_PORT), f"127.0.0.1:{port}"]
    argv += ["-nostdin", "-trace_err", "-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_rtt", "-rtt_freq", "1"]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    sipp = subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rows = [line.split(";") for line in (folder / "stat.csv").read_text().splitlines()]
    last = dict(zip(rows[0], rows[-1], strict=False))
    times = [
        float(line.split(";")[1])
        for file in folder.glob("uac_*_rtt.csv")
        for line in file.read_text().splitlines()[1:]
        if line.count(";") >= 2
    ]
    if sipp.returncode not in (0, 1):
        raise SystemExit(f"SIPp ended with {sipp.returncode}")
    return Calls(
        made=int(last["TotalCallCreated"]),
        failed=calls - int(last["SuccessfulCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        answer_ms=sorted(times),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan
