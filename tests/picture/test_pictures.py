"""Pictures of flows: what is in them, whole or broken, in every form."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ivr.flow.loader import load_text
from ivr.picture.chart import Chart, chart_of
from ivr.picture.drawing import as_dot, draw
from ivr.picture.heat import SHADES, shade, words
from ivr.picture.mermaid import as_mermaid
from ivr.picture.terminal import as_text
from ivr.records.traffic import Traffic
from tests.cli.commands import ivr

BROKEN = """\
flow: office
title: The "office" <line> & more
start: welcome
on_hangup: gone

blocks:
  welcome:
    - answer
    - menu: {prompt: {say: 'Sales, 1. Support, 2.'}, keys: {'1': sales, '2': suport, '9': sales}, failed: bye}
  sales:
    - say: 'One moment.'
  forgotten:
    title: Nobody's
    steps:
      - goto: bye
  bye:
    - hangup: done
  gone:
    - log: 'gone'
    - end
"""


@pytest.fixture
def chart() -> Chart:
    flows = load_text(BROKEN)
    assert not flows.ok
    return chart_of(flows.drafts["office"])


def test_what_a_chart_knows(chart: Chart) -> None:
    welcome = chart.boxes["welcome"]
    assert welcome.starts
    assert welcome.steps == ("answer", "menu “Sales, 1. Support, 2.”")
    assert {(arrow.to, arrow.exits, arrow.unknown) for arrow in welcome.arrows} == {
        ("sales", ("1", "9"), False),
        ("suport", ("2",), True),
        ("bye", ("failed",), False),
    }
    assert chart.boxes["gone"].handles == ("on_hangup",)
    assert [name for name, box in chart.boxes.items() if box.dead_end] == ["sales"]
    assert [name for name, box in chart.boxes.items() if box.unreached] == ["forgotten"]
    assert [name for name, box in chart.boxes.items() if box.ends] == ["bye", "gone"]
    assert chart.boxes["forgotten"].steps == ()


def test_arrows_say_the_words_of_keys() -> None:
    steps = "menu: {prompt: hello, keys: {'1': {say: {en: sales, de: Verkauf}, go: bye}, '2': bye}}"
    flows = load_text(f"flow: office\nstart: a\non_error: bye\nblocks:\n  a:\n    - {steps}\n  bye: [hangup]\n")
    (arrow,) = chart_of(flows.drafts["office"]).boxes["a"].arrows
    assert arrow.exits == ("1 “sales”", "2")


def test_a_part(chart: Chart) -> None:
    assert list(chart.part("forgotten").boxes) == ["forgotten", "bye"]
    assert list(chart.part("forgotten", 0).boxes) == ["forgotten"]
    with pytest.raises(KeyError):
        chart.part("nowhere")


def test_text(chart: Chart) -> None:
    text = as_text(chart)
    assert "▶ welcome" in text
    assert "      1, 9 → sales" in text
    assert "2 → suport   !! there is no such block" in text
    assert "□ sales  !! dead end: nothing says how it goes on" in text
    assert "forgotten  Nobody's  !! nothing leads here" in text


def test_svg(chart: Chart) -> None:
    root = ElementTree.fromstring(draw([chart], [None], "svg"))
    shown = " ".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
    for word in ("welcome", "1, 9", "dead end", "nothing leads here", "suport: there is no such block", "(on_hangup)"):
        assert word in shown
    places = [element.get("{http://www.w3.org/1999/xlink}title", "") for element in root.iter()]
    assert "flow.yaml:7:3" in places


def test_several_flows_in_one_picture(chart: Chart) -> None:
    other = chart_of(load_text("flow: other\nstart: a\nblocks:\n  a:\n    - hangup\n").drafts["other"])
    dot = as_dot([chart, other], [None, None])
    assert dot.count("subgraph cluster_") == 2
    assert draw([chart, other], [None, None], "png").startswith(b"\x89PNG")
    assert as_mermaid([chart, other], [None, None]).count("subgraph ") == 2


def test_mermaid(chart: Chart) -> None:
    lines = as_mermaid([chart], [None]).splitlines()
    assert lines[0] == "flowchart TD"
    assert '  f0_welcome -->|"1, 9"| f0_sales' in lines
    assert "  class f0_sales trouble" in lines
    # Nothing of a flow's texts can end a label or begin a tag.
    assert not any(re.search(r'"[^"]*(<(?!b>|/b>|br/>)|")[^"\]|)]*"', line) for line in lines)


def test_nothing_in_a_flow_breaks_the_picture() -> None:
    flow = """\
flow: odd
start: a
blocks:
  a:
    title: '</TD> & "quoted" \\ ]]> %% --> \u202e'
    steps:
      - say: '<b>{{ & } \\'
      - log: '"];'
      - hangup
"""
    chart = chart_of(load_text(flow).drafts["odd"])
    ElementTree.fromstring(draw([chart], [None], "svg"))
    assert as_mermaid([chart], [None])


def test_what_callers_did() -> None:
    counted = Traffic(4, {"welcome": 4, "menu": 4, "sales": 3}, {("menu", "sales"): 3}, {"menu": 1})
    assert words(counted, "menu") == "4 calls, 1 hung up (25 %)"
    assert words(counted, "elsewhere") == "0 calls"
    assert [shade(counted, name) for name in ("menu", "elsewhere")] == [len(SHADES) - 1, 0]
    chart = chart_of(load_text(FLOW_OF_CALLS).drafts["main"])
    assert "4 calls, 1 hung up (25 %)" in as_text(chart, counted)
    assert SHADES[-1].encode() in draw([chart], [counted], "svg")
    assert f"fill:{SHADES[-1]}" in as_mermaid([chart], [counted])


FLOW_OF_CALLS = """\
flow: main
start: welcome
blocks:
  welcome:
    - goto: menu
  menu:
    - menu: {prompt: {say: 'One.'}, keys: {'1': sales}, failed: sales}
  sales:
    - hangup
"""


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "office.yaml"
    file.write_text(BROKEN)
    shown = ivr("graph", file)
    assert shown.exit_code == 0
    assert "▶ welcome" in shown.stdout
    picture = tmp_path / "office.svg"
    assert ivr("graph", file, "-o", picture, "--from", "forgotten").exit_code == 0
    assert b"welcome" not in picture.read_bytes()
    wrong = ivr("graph", file, "--from", "welcom")
    assert wrong.exit_code == 1
    assert "did you mean 'welcome'?" in wrong.stderr
    assert ivr("graph", file, "-o", tmp_path / "office.bmp").exit_code == 1


def test_the_command_with_a_site(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    assert ivr("init", folder).exit_code == 0
    site = folder / "site.yaml"
    assert "▶ welcome" in ivr("graph", "main", "--site", site).stdout
    unknown = ivr("graph", "mian", "--site", site)
    assert unknown.exit_code == 1
    assert "did you mean 'main'?" in unknown.stderr
    bad = ivr("graph", "main", "--site", site, "--heat", "7")
    assert bad.exit_code == 1
