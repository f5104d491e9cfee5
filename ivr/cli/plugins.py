"""``ivr plugins``: what is installed beside the program for flows to call."""

from __future__ import annotations

import typer
from rich.console import Console

from ivr.plugin import Plugin, installed


def plugins() -> None:
    """List the plug-ins that flows can call, with their arguments and exits.

    The exit code is 1 if one of them cannot be used.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    found = installed()
    if not found:
        console.print("There are no plug-ins. A package brings them by entry points of the group ivr.plugins.")
    for name, one in sorted(found.items()):
        if one.plugin is None:
            console.print(f"{name}  ({one.package})  cannot be used: {one.fault}", style="bold red")
        else:
            console.print(f"{name}  ({one.package})  {one.plugin.doc}".rstrip())
            console.print(f"    {_terms(one.plugin)}")
    if any(one.plugin is None for one in found.values()):
        raise typer.Exit(1)


def _terms(plugin: Plugin) -> str:
    arguments = ", ".join(
        f"{one.name}: {getattr(one.type, '__name__', one.type)}{'' if one.required else ' (may be left out)'}"
        for one in plugin.arguments
    )
    return f"arguments: {arguments or 'none'};  exits: {', '.join((*plugin.exits, 'failed'))};  {plugin.timeout:g} s"
