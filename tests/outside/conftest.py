"""The databases that records are tested on are asked here as those of others."""

from tests.records.conftest import cluster, url

__all__ = ["cluster", "url"]
