"""Tables, CSV that no spreadsheet works out, JSON, masked numbers, pictures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import Engine

from ivr.records.database import open_database
from ivr.reports.answer import Answer, CallLine
from ivr.reports.catalogue import REPORTS
from ivr.reports.charts import SERIES, draw
from ivr.reports.definition import By
from ivr.reports.writing import BOM, as_csv, as_json, as_table, calls_as_csv, calls_as_json, calls_as_table
from tests.records.calls import T0, Script, arrived
from tests.records.eight_calls import eight_calls
from tests.records.test_recovery import write
from tests.reports.asking import ask, span

EIGHT = span("2025-06-15", "2025-06-16")


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('records')}/records.db")
    write(engine, *(call.events for call in eight_calls()))
    return engine


def rows(text: str) -> list[list[str]]:
    assert text.startswith(BOM)
    return list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))


def test_a_table_says_what_it_counts(eight: Engine) -> None:
    table = as_table(ask(eight, "containment", EIGHT))
    assert table.startswith(
        "Done in the menu (containment)   2025-06-15 to 2025-06-16   (UTC)\n\nflow  calls  contained"
    )
    assert "\nall       8          1" in table
    assert "12.5 %" in table
    assert "  Containment: contained ÷ calls. Hanging up in a menu is not containment" in table


def test_settings_stand_in_the_definition(eight: Engine) -> None:
    assert "a wait of at most 20 s (--threshold)" in as_table(ask(eight, "service-level", EIGHT))


def test_weekdays_are_rows_and_hours_columns(eight: Engine) -> None:
    lines = as_table(ask(eight, "heat-map", EIGHT)).splitlines()
    assert lines[2].split() == [*(f"{hour:02}" for hour in range(24)), "all"]
    assert [line.split()[0] for line in lines[3:6]] == ["Monday", "Sunday", "all"]
    assert lines[5].split()[16:18] == ["7", "1"]


def test_csv_is_for_spreadsheets(eight: Engine) -> None:
    head, *body = rows(as_csv(ask(eight, "volumes", EIGHT, by="day")))
    assert head == ["day", "calls", "taken", "not_taken", "open", "length_s"]
    assert body == [["2025-06-15", "7", "7", "0", "0", "23.429"], ["2025-06-16", "1", "1", "0", "0", "24.0"]]


@pytest.mark.parametrize("evil", ["=1+1", "+49", "-2", "@x", "\t=1", "\r=1", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(evil: str, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.db")
    call = Script("c1").at(0, "call.arrived", **arrived(flow=evil, did=evil))
    write(engine, call.at(2, "call.ended", ended_by="caller").events)
    assert rows(as_csv(ask(engine, "containment", EIGHT)))[1][0] == f"'{evil}"
    line = CallLine("c1", T0, T0, evil, evil, evil, evil, evil, evil)
    assert {cell[:1] for cell in rows(calls_as_csv([line], EIGHT, show_numbers=True))[1][2:4]} == {"'"}
    engine.dispose()


def test_json_has_everything(eight: Engine) -> None:
    told = as_json(ask(eight, "service-level", EIGHT, by="day"))
    assert (told["report"], told["zone"], told["threshold_s"]) == ("service-level", "UTC", 20)
    assert told["from"] == "2025-06-15T00:00:00+00:00"
    assert told["columns"]["of_offered"] == {"title": "of offered", "unit": "percent"}
    assert told["rows"][1] == {
        "day": "2025-06-16",
        "offered": 1,
        "answered": 0,
        "in_time": 0,
        "abandoned": 0,
        "of_answered": None,
        "incl_abandons": None,
        "of_offered": 0.0,
        "less_short": 0.0,
    }
    assert told["total"]["of_offered"] == 75.0
    assert any("In time" in sentence for sentence in told["definition"])
    assert as_json(ask(eight, "lines", EIGHT, by="day"))["rows"][0]["peak_at"] == "2025-06-15T15:06:40+00:00"


def test_a_list_of_calls_hides_who_called_unless_asked() -> None:
    lines = [CallLine("c1", T0, T0 + 90_000, "+4930123456", "1000", "main", "menu", None, "caller")]
    lines.append(CallLine("c2", T0, None, None, None, None, None, None, None))
    head, one, other = calls_as_table(lines, EIGHT, show_numbers=False).splitlines()
    assert head.split()[:5] == ["arrived", "call", "caller", "number", "lasted"]
    assert one.split() == [
        *("2025-06-15", "15:06:40", "c1", "••••••••456", "1000", "1:30", "main", "menu", "-", "caller")
    ]
    assert other.split()[2:] == ["c2", *"-------"]
    assert "+4930123456" in calls_as_table(lines, EIGHT, show_numbers=True)
    assert rows(calls_as_csv(lines, EIGHT, show_numbers=False))[1][2] == "••••••••456"
    assert calls_as_json(lines, EIGHT, show_numbers=False)[0]["caller"] == "••••••••456"


# Pictures. ------------------------------------------------------------------------------------------------


def pictures(engine: Engine) -> list[Answer]:
    cuts: list[tuple[str, By | None]] = [*((name, None) for name in REPORTS), ("outcomes", "flow")]
    cuts += [("handling-time", "hour"), ("funnel", "day"), ("lines", "week")]
    return [ask(engine, name, EIGHT, by=by) for name, by in cuts]


def test_every_report_can_be_drawn_however_it_is_cut(eight: Engine) -> None:
    for found in pictures(eight):
        drawn = ElementTree.fromstring(draw(found, "svg"))
        words = "".join(drawn.itertext())
        assert found.report.title in words


def test_a_picture_of_nothing_says_so(eight: Engine) -> None:
    assert b"nothing to count in that time" in draw(ask(eight, "funnel", span("2020-01-01")), "svg")


def test_a_png(eight: Engine) -> None:
    assert draw(ask(eight, "outcomes", EIGHT), "png").startswith(b"\x89PNG")


def test_neighbours_differ_in_luminance() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for one, other in ((0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 5)):
        light, dark = sorted((luminance(SERIES[one]), luminance(SERIES[other])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 1.5, (one, other)
