"""``ivr convert`` and ``ivr format``: nothing is written over, nothing half-written, and what is wrong is told."""

from pathlib import Path

import pytest

from tests.cli.commands import ivr

ROOT = Path(__file__).parents[2]


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = Path("main.yaml")
    file.write_text((ROOT / "flows" / "main.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return file


def test_there_and_back_and_not_over_a_file_that_is_there(flow: Path) -> None:
    assert ivr("convert", flow, "main.flow").exit_code == 0
    written = Path("main.flow").read_text(encoding="utf-8")
    assert ivr("convert", flow).stdout.startswith(written)
    assert ivr("check", "main.flow").exit_code == 0
    assert ivr("convert", "main.flow", flow).exit_code == 1
    assert ivr("convert", "main.flow", flow, "--force").exit_code == 0
    assert ivr("check", flow).exit_code == 0
    assert ivr("convert", flow, "other.yaml").exit_code == 1
    assert sorted(one.name for one in Path().iterdir()) == ["main.flow", "main.yaml"]


def test_a_broken_flow_is_not_converted(flow: Path) -> None:
    flow.write_text(flow.read_text(encoding="utf-8").replace("- answer", "- anser"), encoding="utf-8")
    assert ivr("convert", flow, "main.flow").exit_code == 1
    assert not Path("main.flow").exists()
    assert ivr("convert", "none.yaml").exit_code == 1


def test_format_checks_shows_and_writes(flow: Path) -> None:
    ivr("convert", flow, "main.flow")
    file = Path("main.flow")
    good = file.read_text(encoding="utf-8")
    assert ivr("format", ".", "--check").exit_code == 0
    file.write_text(good.replace("  answer\n", "\tanswer  \n"), encoding="utf-8")
    assert ivr("format", ".", "--check").exit_code == 1
    assert "+  answer" in ivr("format", file, "--diff").stdout
    assert ivr("format", file).exit_code == 0
    assert file.read_text(encoding="utf-8") == good
    assert ivr("format", flow).exit_code == 1
