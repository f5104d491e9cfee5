"""Kills a process that writes records, again and again: ``python -m tests.records.killing URL FOLDER ROUNDS SEED``.

Every process starts where the one before it died, on the same database and spool, appends calls as fast as it can and
notes in memory that outlives it when each event was appended. Prints one JSON object for each call: its id, how many of
its events were promised, and whether it is promised as answered.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

from ivr.records.spool import Spool
from ivr.records.writer import RecordWriter
from tests.records.calls import typical_call

LOSS_S = 0.2
CALLS = 2_000
EVENTS = [event.type for event in typical_call("c")]
ANSWERED = EVENTS.index("call.answered")
_SLOT = struct.Struct("d")


def write(url: str, folder: Path, prefix: str, ledger: mmap.mmap) -> None:
    writer = RecordWriter(url, spool=Spool(folder), node_id="node1")
    for number in range(CALLS):
        for place, event in enumerate(typical_call(f"{prefix}-{number}")):
            writer.append(event)
            # Of an answered call it is promised that it is written at once, unless the disk kept it waiting.
            late = place == ANSWERED and not writer.in_time
            _SLOT.pack_into(ledger, (number * len(EVENTS) + place) * 8, -1.0 if late else time.monotonic())
        time.sleep(0.001)


def promised(ledger: mmap.mmap, killed: float, number: int) -> tuple[int, bool]:
    """How many events of the call, and whether it was answered."""
    start = number * len(EVENTS) * 8
    times = [at for (at,) in _SLOT.iter_unpack(ledger[start : start + len(EVENTS) * 8])]
    answered = times[ANSWERED] > 0
    count = sum(0 < at < killed - LOSS_S for at in times)
    return max(count, ANSWERED + 1 if answered else 0), answered


def main(url: str, folder: Path, rounds: int, seed: int) -> None:
    moments = random.Random(seed)
    for turn in range(rounds):
        ledger = mmap.mmap(-1, CALLS * len(EVENTS) * 8)
        process = os.fork()
        if process == 0:
            try:
                write(url, folder, f"r{turn}", ledger)
            finally:
                os._exit(1)
        # Some die while they take over what the one before left.
        time.sleep(moments.uniform(0.02, 0.3))
        killed = time.monotonic()
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        for number in range(CALLS):
            count, answered = promised(ledger, killed, number)
            if count:
                print(json.dumps([f"r{turn}-{number}", count, answered]), flush=True)
        ledger.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
