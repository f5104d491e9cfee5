"""The world outside a call: web services, tables, webhooks, plug-ins. Performs what flows ask for, off the call."""

from ivr.outside.world import World

__all__ = ["World"]
