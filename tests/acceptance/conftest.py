"""Fixtures of the acceptance tests."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import CallCentre
from tests.peers.company import Company


@pytest.fixture
def centre(company: Company) -> CallCentre:
    """The usual call centre, up and running."""
    return CallCentre(company)
