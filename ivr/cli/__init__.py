"""The commands: one file each. What they do is done elsewhere; here it is asked for and shown."""

from __future__ import annotations

import typer

from ivr.cli.calendars import calendars, close, open_again, when
from ivr.cli.calls import calls
from ivr.cli.check import check
from ivr.cli.clients import clients, token
from ivr.cli.convert import convert, format_files
from ivr.cli.graph import graph
from ivr.cli.init import init
from ivr.cli.models import models
from ivr.cli.plugins import plugins
from ivr.cli.prompts import app as prompts
from ivr.cli.publish import diff, history, publish, rollback, status
from ivr.cli.records import app as records
from ivr.cli.replay import replay
from ivr.cli.report import report
from ivr.cli.run import run
from ivr.cli.schema import schema
from ivr.cli.sim import sim, try_call
from ivr.cli.test import run_tests
from ivr.cli.top import top
from ivr.cli.trace import trace

app = typer.Typer(
    name="ivr",
    help="An IVR call centre: answers calls, runs menus that operators write, puts callers through.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(init)
app.command()(check)
app.command()(schema)
app.command("test")(run_tests)
app.command()(convert)
app.command("format")(format_files)
app.command()(sim)
app.command("try")(try_call)
app.command()(calls)
app.command()(trace)
app.command()(top)
app.command()(graph)
app.command()(report)
app.command()(replay)
app.command()(when)
app.command()(calendars)
app.command()(close)
app.command("open")(open_again)
app.command()(plugins)
app.command()(models)
app.add_typer(prompts, name="prompts")
app.add_typer(records, name="records")
app.command()(clients)
app.command()(token)
for command in (publish, rollback, status, history, diff):
    app.command()(command)


def main() -> None:
    """Entry point of the console script ``ivr``."""
    app()
