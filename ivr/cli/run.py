"""``ivr run``: takes calls, in the foreground, until told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from gateway.call import SecretError
from ivr.cli.loading import count, errors, load_checked, program, show_problems
from ivr.flow.problem import has_errors
from ivr.live.publisher import Refused
from ivr.log import LogForm, LogWriter, start_log
from ivr.records.database import RecordsError
from ivr.service import Service
from ivr.site import Site


def run(
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    trace_sip: Annotated[
        bool, typer.Option("--trace-sip", help="Show every SIP message on stderr, credentials masked.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what happens.")] = False,
    log_as: Annotated[
        LogForm, typer.Option("--log", help="Lines for people, or for programs: a JSON object each, with its call.")
    ] = LogForm.TEXT,
) -> None:
    """Take calls until told to stop.

    A line beginning with "ready" says that calls are taken. The first SIGTERM (or Ctrl-C) lets running calls end,
    for as long as the site file allows (limits: drain), while new ones are turned away; a second one ends at once.
    SIGUSR1 has it log how much it remembers.
    """
    log = start_log(verbose=verbose, form=log_as)
    loaded, flows, problems = load_checked(site)
    show_problems(problems)
    if loaded is None or flows is None:
        errors.print(f"{count(problems)}: nothing was started. Correct them, and try {program} check {site}")
        raise typer.Exit(1)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(loaded, log if trace_sip else None, log_as))
    except Refused as refused:
        if has_errors(problems):
            errors.print(f"{count(problems)}: nothing was started. Correct them, and try {program} check {site}")
        else:
            for complaint in refused.complaints:
                errors.print(complaint, style="bold red")
        raise typer.Exit(1) from None
    except (RecordsError, SecretError) as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    except OSError as error:
        places: list[object] = [*loaded.sip.listen, *(loaded.rtc.listen if loaded.rtc is not None else ())]
        if loaded.monitoring is not None and loaded.monitoring.listen is not None:
            places.append(loaded.monitoring.listen)
        wanted = " ".join(str(entry) for entry in places)
        errors.print(f"Cannot listen on {wanted}: {error.strerror or error}", style="bold red")
        errors.print(
            "Is another program (or another ivr) on that port? Change listen: under sip:, rtc: or monitoring:."
        )
        raise typer.Exit(1) from None


async def _serve(site: Site, trace_to: LogWriter | None, log_as: LogForm) -> None:
    stop = asyncio.Event()
    at_once = asyncio.Event()

    def told_to_stop() -> None:
        (at_once if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    service = Service(
        site,
        trace=None if trace_to is None else partial(_show_message, trace_to),
        # For people the lines that the calls write themselves are enough.
        events_at=logging.INFO if log_as is LogForm.JSON else logging.DEBUG,
    )
    loop.add_signal_handler(signal.SIGUSR1, _say_sizes, service)
    try:
        await _start(service)
        _settle()
        _say_ready(service, site)
        await stop.wait()
        logging.getLogger("ivr").info("stopping: no new calls, %d to end", service.calls)
        drained = asyncio.create_task(service.drain())
        hurry = asyncio.create_task(at_once.wait())
        await asyncio.wait({drained, hurry}, return_when=asyncio.FIRST_COMPLETED)
        for task in (drained, hurry):
            task.cancel()
    finally:
        await service.stop()


async def _start(service: Service) -> None:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=errors, transient=True
    ) as shown:
        task = shown.add_task("Making prompts ready", total=None)
        models = shown.add_task("Loading what listens to callers", total=None, visible=False)
        await service.start(
            lambda done, total: shown.update(task, completed=done, total=total),
            lambda done, total: shown.update(models, completed=done, total=total, visible=True),
        )


def _settle() -> None:
    """What start-up made stays: the garbage collector need not walk through it again while calls wait.

    A call leaves hardly any garbage that only the collector can find, so that it need not look often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _say_sizes(service: Service) -> None:
    logging.getLogger("ivr").info("remembered: %s", json.dumps(service.sizes()))


def _say_ready(service: Service, site: Site) -> None:
    print("ready", *service.addresses, flush=True)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    listening = next(iter(service.addresses))
    host = _own_address() if listening.host in ("0.0.0.0", "::") else listening.host
    server = host if listening.port == 5060 else f"{host}:{listening.port}"
    if site.seats:
        seats = ", ".join(seat.name for seat in site.seats.values())
        console.print(f"  Telephones may register at {server} as {seats} (passwords: {site.file}).")
    if service.complaints:
        mistakes = f"{len(service.complaints)} mistake{'' if len(service.complaints) == 1 else 's'}"
        console.print(
            f"  THE FLOWS ON DISK ARE BROKEN ({mistakes}): those that were live last serve.", style="bold red"
        )
    for rule in service.release.site.numbers:
        flow = None if rule.flow is None else service.release.flows[rule.flow]
        leads_to = rule.direct if flow is None else flow.title or flow.name
        console.print(f"  Call sip:{rule.number}@{server}  for {leads_to}{_WHO[rule.callers]}")
    pages = next(iter(service.rtc_addresses), None)
    if pages is not None:
        host = _own_address() if pages.host in ("0.0.0.0", "::") else pages.host
        host = f"[{host}]" if ":" in host else host
        url = f"{pages.scheme}://{host}:{pages.port}"
        users = ", ".join(client.user for client in site.clients.values() if client.password is not None)
        console.print(f"  In a browser:  {url}/softphone" + (f"  as {users}" if users else ""))
        if site.rtc is not None and site.rtc.guests:
            console.print(f"  For callers:   {url}/call?to={site.rtc.guests[0]}")
    console.print(f"  Afterwards:  {program} calls --site {site.file}   Stop: Ctrl-C, twice to stop at once.")
    sys.stdout.flush()


_WHO = {
    "anyone": "",
    "seats": "  (only registered telephones)",
    "clients": "  (only clients)",
    "signed_in": "  (only registered telephones, and clients)",
}


def _own_address() -> str:
    """The address of this machine that others are likely to reach: that of the way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # TEST-NET-1; connecting a datagram socket sends nothing.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _show_message(log: LogWriter, direction: str, data: bytes, hop: str) -> None:
    arrow = "<<<" if direction == "in" else ">>>"
    log.write(f"{arrow} {hop}\n{data.decode(errors='replace').rstrip()}\n\n")
