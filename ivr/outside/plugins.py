"""Calling plug-ins, within bounds of time and number."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ivr.outside.threads import Busy, Threads
from ivr.plugin import Argument, Leave, Plugin
from ivr.run.requests import NoReply, PluginCall, PluginResult, Reply

log = logging.getLogger("ivr.outside")

AT_A_TIME = 16


@dataclass(slots=True)
class Plugins:
    """Calls those that can be used."""

    plugins: Mapping[str, Plugin]
    threads: Threads = field(default_factory=lambda: Threads("plugin", AT_A_TIME))

    async def call(self, asked: PluginCall) -> Reply:
        plugin = self.plugins.get(asked.plugin)
        if plugin is None:
            return NoReply(f"there is no plug-in '{asked.plugin}'")
        timeout = asked.timeout if asked.timeout is not None else plugin.timeout
        try:
            given = {
                argument.name: fitting(asked.arguments[argument.name], argument)
                for argument in plugin.arguments
                if argument.name in asked.arguments
            }
            if inspect.iscoroutinefunction(plugin.call):
                async with asyncio.timeout(timeout):
                    result = await plugin.call(**given)
            else:
                result = await self.threads.run(lambda: plugin.call(**given), timeout)
        except Busy:
            return NoReply(f"busy: {AT_A_TIME} plug-ins are at work")
        except TimeoutError:
            return NoReply(f"plug-in {asked.plugin} took more than {timeout:g} s")
        except Exception as error:
            # Its words may hold what it was given: they are for the log of those who look for faults.
            log.info("plug-in %s", asked.plugin, exc_info=True)
            return NoReply(f"plug-in {asked.plugin} raised {type(error).__name__}")
        leave = result if isinstance(result, Leave) else Leave(value=result)
        if leave.exit != "next" and leave.exit not in plugin.exits:
            return NoReply(f"plug-in {asked.plugin} left by '{leave.exit}', which it does not declare")
        return PluginResult(leave.exit, leave.value)


def fitting(value: object, argument: Argument) -> object:
    """The value in the argument's type. Raises ValueError or TypeError."""
    if argument.type is int:
        if not isinstance(value, Decimal) or value != value.to_integral_value():
            raise TypeError(f"{argument.name} is no whole number")
        return int(value)
    if argument.type is float:
        return float(value)  # type: ignore[arg-type]  # what is no number raises TypeError
    if argument.type in (list, tuple) and isinstance(value, list | tuple):
        return list(value) if argument.type is list else tuple(value)
    if isinstance(argument.type, type) and not isinstance(value, argument.type):
        raise TypeError(f"{argument.name} has another type")
    return value
