"""The commands: one file each. What they do is done elsewhere; here it is asked for and shown."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

_COMMANDS: Final = {
    "run": "run:run",
    "init": "init:init",
    "check": "check:check",
    "schema": "schema:schema",
    "test": "test:run_tests",
    "convert": "convert:convert",
    "format": "convert:format_files",
    "sim": "sim:sim",
    "try": "sim:try_call",
    "calls": "calls:calls",
    "trace": "trace:trace",
    "top": "top:top",
    "report": "report:report",
    "records": "records:app",
    "graph": "graph:graph",
    "replay": "replay:replay",
    "when": "calendars:when",
    "calendars": "calendars:calendars",
    "close": "calendars:close",
    "open": "calendars:open_again",
    "plugins": "plugins:plugins",
    "models": "models:models",
    "prompts": "prompts:app",
    "clients": "clients:clients",
    "token": "clients:token",
    "publish": "publish:publish",
    "rollback": "publish:rollback",
    "status": "publish:status",
    "history": "publish:history",
    "diff": "publish:diff",
}
"""In the order of the help: the file here, and the function in it, or the Typer of further commands."""


class _Commands(TyperGroup):
    """Reads a command's file when that command is asked for: all of them together take two seconds."""

    def list_commands(self, ctx: object) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        file, _, name = _COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(f"{__name__}.{file}"), name)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False, rich_markup_mode="rich")
            found.command()(function)
        command = get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="ivr",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _ivr() -> None:
    """An IVR call centre: answers calls, runs menus that operators write, puts callers through."""


def main() -> None:
    """Entry point of the console script ``ivr``."""
    app()
