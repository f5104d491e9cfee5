"""What all tests share: peers that end with the test, and whose words are shown when it fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.peers.company import Company

# How long an example takes says more of what else the machine does than of the program.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_COMPANY = pytest.StashKey["Company"]()


@pytest.fixture
def company(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Company]:
    """Starts telephones, servers and relays for this test."""
    # Here and not above: tests without telephones do not pay for them.
    from tests.peers.company import Company

    company = request.node.stash[_COMPANY] = Company(tmp_path)
    yield company
    company.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    company = item.stash.get(_COMPANY, None)
    if company is not None and report.when == "call" and report.failed:
        report.sections += [(f"{name} said", text) for name, text in company.logs()]
    return report
