"""Performs what flows ask of the world outside, whichever kind it is."""

from __future__ import annotations

from ivr.run.requests import Asked, NoReply, Reply


class World:
    """Answers requests; what goes wrong is an answer too."""

    async def perform(self, asked: Asked) -> Reply:
        return NoReply(f"{type(asked).__name__} cannot be performed")

    async def close(self) -> None:
        """Let go of connections."""
