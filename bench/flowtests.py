"""How many tests of flows are acted in a second, as a ratio to reading the same YAML in the same run.

Reading is done by libyaml, once for every test: what anything that takes its tests from YAML has to pay.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
import yaml

from ivr.flow.loader import load_flows
from ivr.run.testing.acting import act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import load_suite

FLOW = """\
flow: sample
languages: [en]
start: menu
on_error: bye
blocks:
  menu:
    - answer
    - menu: {prompt: {say: 'One or two?'}, keys: {'1': seat, '2': order}, tries: 2, failed: bye}
  seat: [{transfer: {to: 'sip:2001', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}}]
  order:
    - collect: {into: order, prompt: {say: 'Your order?'}, digits: 4, failed: bye}
    - http: {get: 'https://crm.example/{order}', into: info, failed: bye}
    - say: 'It is {info.state}.'
    - goto: menu
  bye: [{say: 'Bye.'}, hangup]
"""
TEST = """\
  - name: 'order {number}'
    http: [{{match: '*', reply: {{json: {{state: sent}}, after: 800ms}}}}]
    steps:
      - {{press: '2', after: menu}}
      - {{press: '1234', after: order}}
      - hears: {{say: 'It is sent.'}}
      - {{press: '1', after: menu}}
      - {{seat: '2001', does: answer}}
      - bridged: '2001'
      - {{seat: '2001', does: hangup}}
    expect: {{path: [menu, order, menu, seat, bye], ended_by: flow}}
"""


def main(tests: int = 1_000) -> None:
    """Print tests per second, and the ratio to reading the file."""
    text = "flow: sample\ntests:\n" + "".join(TEST.format(number=number) for number in range(tests))
    with TemporaryDirectory() as folder:
        flow, file = Path(folder, "sample.yaml"), Path(folder, "sample.test.yaml")
        flow.write_text(FLOW, encoding="utf-8")
        file.write_text(text, encoding="utf-8")
        began = time.perf_counter()
        yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        read = time.perf_counter() - began
        around = Surroundings(frozenset({"2001"}), known=True)
        began = time.perf_counter()
        suite = load_suite(file, load_flows([flow]), around)
        loaded = time.perf_counter() - began
    if suite.problems:
        raise SystemExit("\n".join(map(str, suite.problems[:3])))
    began = time.perf_counter()
    failures = [result.failure for result in (act(case, around) for case in suite.cases) if result.failure]
    acted = time.perf_counter() - began
    if failures:
        raise SystemExit(failures[0].message)
    whole = loaded + acted
    print(
        f"flow tests: {tests} read, checked and acted in {whole:.2f} s, {tests / whole:.0f} a second; YAML alone "
        f"{read:.2f} s; ratio {whole / read:.1f} (checking {loaded / read:.1f}, acting {acted / read:.1f})"
    )


if __name__ == "__main__":
    typer.run(main)
