"""Replay: what recorded callers did, done again with an edited flow, before anybody hears it."""
