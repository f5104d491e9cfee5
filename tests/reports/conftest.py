"""The databases of the tests of records, and the calls that reports are asked about."""

from __future__ import annotations

from tests.records.conftest import cluster, engine, url

__all__ = ["cluster", "engine", "url"]
