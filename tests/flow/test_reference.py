"""The reference in docs/ is the one the registry makes."""

from pathlib import Path

from ivr.flow.reference import TARGET, reference


def test_the_reference_is_up_to_date() -> None:
    written = (Path(__file__).parents[2] / TARGET).read_text(encoding="utf-8")
    assert written == reference(), "run: python -m ivr.flow.reference"
