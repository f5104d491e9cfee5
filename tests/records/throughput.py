"""Measures what the writer costs: ``python -m tests.records.throughput URL CALLS_PER_S SECONDS``.

Prints the share of a core that the writer's thread used, what one append took, and, beside a loop that is busy,
how late the loop's timer came.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from pathlib import Path
from threading import get_native_id

from ivr.records.events import RecordEvent
from ivr.records.writer import RecordWriter
from tests.records.calls import typical_call


def thread_cpu_s(thread_id: int) -> float:
    fields = Path(f"/proc/self/task/{thread_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure(url: str, calls_per_s: int, seconds: float) -> None:
    writer = RecordWriter(url)
    assert writer._tables.native_id is not None
    assert get_native_id() != writer._tables.native_id
    # Calls of one minute: each event is due at its own time, so that every batch mixes many calls.
    run = time.time_ns()
    due: list[tuple[float, RecordEvent]] = []
    for number in range(int(calls_per_s * (seconds + 60))):
        begin = number / calls_per_s - 60
        for event in typical_call(f"{run:x}-{number}", start=int(time.time() * 1000)):
            at = begin + (event.at - int(time.time() * 1000)) / 1000
            if 0 <= at < seconds or event.type == "call.arrived":
                due.append((max(0.0, at), event))
    due.sort(key=lambda pair: pair[0])
    for _, event in [pair for pair in due if pair[0] == 0.0]:
        writer.append(event)
    due = [pair for pair in due if pair[0] > 0.0]
    writer.flush(60)
    cpu, own, begin = thread_cpu_s(writer._tables.native_id), time.thread_time(), time.monotonic()
    took: list[float] = []
    late: list[float] = []
    position = 0
    while position < len(due):
        time.sleep(0.005)
        now = time.monotonic() - begin
        late.append(now)
        while position < len(due) and due[position][0] <= now:
            start = time.perf_counter()
            writer.append(due[position][1])
            took.append(time.perf_counter() - start)
            position += 1
    writer.flush(10)
    elapsed = time.monotonic() - begin
    used = thread_cpu_s(writer._tables.native_id) - cpu
    gaps = [b - a - 0.005 for a, b in itertools.pairwise(late)]
    print(
        f"{len(due)} events in {elapsed:.1f} s: writer {100 * used / elapsed:.1f} % of a core,"
        f" {1e6 * used / len(due):.0f} us an event; append {1e6 * statistics.mean(took):.2f} us"
        f" (worst {1e3 * max(took):.2f} ms); timer late p99 {1e3 * statistics.quantiles(gaps, n=100)[98]:.2f} ms"
        f" max {1e3 * max(gaps):.2f} ms; sender {100 * (time.thread_time() - own) / elapsed:.1f} %"
    )
    print(writer.statistics)
    writer.close()


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
