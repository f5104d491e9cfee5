"""Tests of flows, written by operators: read from ``*.test.yaml``, acted in virtual time by the real interpreter."""
