"""How long flows take to load and check, against plain YAML parsing of the same files; steps a second of a call.

    python bench/flows.py

Prints, for 50 to 400 flows of 50 blocks, the CPU seconds of a first load (and of keeping what was checked on disk), of
the load of a later start, which finds what was kept, of one more in the same process with nothing changed, and of one
more with one file changed; and how many times as long each is as libyaml takes to parse the same files into Python
objects: the ratio holds on every machine, and stays the same if growth is linear. Every text is another; conditions
recur, as they do in practice. Then: for how long Python's garbage collector stops everything to look through the
flows, and if they are kept from it, as those that serve are.
"""

from __future__ import annotations

import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from ivr.flow.kept import KeptFlows
from ivr.flow.loader import load_flows, load_text
from ivr.run.script import Script

BLOCKS = 50
COUNTS = (50, 100, 200, 400)
ROUNDS = 3
TARGET = 200
FIRST_RATIO = 4.0
"""A first load may take as many times as long as libyaml; what it takes beyond twice is for noise."""
LATER_RATIO = 1.0
"""A later start takes what was kept: never as long as reading the YAML alone."""
ONE_CHANGED_RATIO = 0.25

BLOCK = """\
  b{n}:
    - say: 'You are at {{visits:number}} of {{caller.number}}, in {name} {n}.'
    - set: {{visits: visits + 1}}
    - if: {{when: visits > 20 and tier == 'gold', then: bye}}
    - menu:
        prompt: {{say: 'Press 1 or 2.'}}
        keys: {{'1': b{one}, '2': b{two}}}
        failed: bye
"""

CIRCLE = """\
flow: circle
start: a
vars: {n: {type: number, default: 0}}
blocks:
  a:
    - set: {n: n + 1}
    - log: 'round {n}'
    - if: {when: n < 400, then: a}
    - hangup
"""


def flow(name: str) -> str:
    blocks = "".join(
        BLOCK.format(name=name, n=n, one=(n + 1) % BLOCKS, two=(n * 7 + 3) % BLOCKS) for n in range(BLOCKS)
    )
    head = (
        f"flow: {name}\nstart: b0\nvars: {{visits: {{type: number, default: 0}}, tier: {{type: text, default: x}}}}\n"
    )
    return f"{head}on_error: bye\nblocks:\n{blocks}  bye:\n    - hangup\n"


def seconds(work: Callable[[], object]) -> float:
    """The shortest of a few rounds, in CPU time: what else runs on the machine does not count. Loading flows is one
    thread that waits for nothing, so on an idle machine this is what the clock shows."""
    found = []
    gc.collect()
    # Loading does without the collector; so must what it is compared with.
    gc.disable()
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    gc.enable()
    return min(found)


def kept_in(folder: Path) -> KeptFlows:
    kept = KeptFlows.within(folder)
    assert kept is not None
    return kept


def fresh(folder: Path) -> Path:
    """The folder with nothing kept in it."""
    shutil.rmtree(folder / "flows", ignore_errors=True)
    return folder


def collector_pauses(files: list[Path]) -> tuple[float, float]:
    """Seconds that a full collection takes with the flows among what it looks through, and with them kept from it."""
    flows = load_flows(files).flows
    gc.collect()
    among = seconds(gc.collect)
    gc.freeze()
    aside = seconds(gc.collect)
    gc.unfreeze()
    del flows
    return among, aside


def main() -> int:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    first: dict[int, float] = {}
    ratios: dict[int, tuple[float, float, float]] = {}
    """By flows: first load, later start, one file changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(
            f"flows of {BLOCKS} blocks   first load   ratio   and kept   later start   ratio"
            "   nothing changed   ratio   one file   ratio   plain YAML"
        )
        for count in COUNTS:
            for number in range(count):
                (folder / f"f{number}.yaml").write_text(flow(f"f{number}"), encoding="utf-8")
            files = sorted(folder.glob("*.yaml"))
            floor = seconds(lambda files=files: [yaml.load(f.read_bytes(), loader) for f in files])  # type: ignore[misc]
            cold = first[count] = seconds(lambda files=files: load_flows(files))  # type: ignore[misc]
            keeping = seconds(lambda files=files: load_flows(files, kept=kept_in(fresh(folder))))  # type: ignore[misc]
            later = seconds(lambda files=files: load_flows(files, kept=kept_in(folder)))  # type: ignore[misc]
            before = load_flows(files)
            assert before.ok
            same = seconds(lambda files=files, before=before: load_flows(files, before))  # type: ignore[misc]
            files[0].write_text(files[0].read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
            one = seconds(lambda files=files, before=before: load_flows(files, before))  # type: ignore[misc]
            ratios[count] = cold / floor, later / floor, one / floor
            print(
                f"{count:>18} {cold:>10.2f} s {cold / floor:>7.2f} {keeping:>8.2f} s"
                f" {later:>11.2f} s {later / floor:>7.2f} {same:>15.3f} s {same / floor:>7.2f}"
                f" {one:>8.3f} s {one / floor:>7.2f} {floor:>10.2f} s"
            )
            del before
            if count == TARGET:
                among, aside = collector_pauses(files)
    circle = load_text(CIRCLE).flows["circle"]
    steps = len(Script(circle).records)
    print(f"{steps / seconds(lambda: Script(circle)):,.0f} steps a second of one call, {steps} steps each")
    print(f"the collector looks through {TARGET} flows in {among * 1000:.0f} ms; kept from them: {aside * 1000:.0f} ms")
    growth = first[400] / first[100] / 4
    print(f"growth from 100 to 400 flows: {growth:.2f} times linear")
    cold_ratio, later_ratio, one_ratio = ratios[TARGET]
    print(f"{TARGET} flows at first: {cold_ratio:.2f} times libyaml, at most {FIRST_RATIO}")
    print(f"{TARGET} flows at a later start: {later_ratio:.2f} times libyaml, at most {LATER_RATIO}")
    print(f"{TARGET} flows, one of them changed: {one_ratio:.2f} times libyaml, at most {ONE_CHANGED_RATIO}")
    reached = cold_ratio < FIRST_RATIO and later_ratio < LATER_RATIO and one_ratio < ONE_CHANGED_RATIO
    return 0 if growth < 1.5 and reached else 1


if __name__ == "__main__":
    sys.exit(main())
