"""``ivr clients`` and ``ivr token``: who may log in with a browser, and a token for one of them, or for a test."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from gateway.call import (
    LONGEST_TOKEN_LIFETIME,
    Rights,
    RightsError,
    SecretError,
    Tokens,
    check_pattern,
    secret_in,
    token_secret_file,
)
from ivr.cli.loading import errors, program, site_or_exit
from ivr.cli.spans import seconds_of
from ivr.site import Client, RtcSettings, Site
from ivr.site.kinds import USER

_SITE = Annotated[Path, typer.Option("--site", help="The site file.")]


def clients(
    site: _SITE = Path("site.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """List the RTC clients of a site, with their numbers and rights, and the accounts that they may call."""
    loaded = site_or_exit(site)
    rtc = _rtc(loaded)
    if as_json:
        typer.echo(json.dumps(_as_json(loaded, rtc), ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if loaded.clients:
        table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
        for column in ("user", "name", "number", "logs in by", "may"):
            table.add_column(column)
        for client in loaded.clients.values():
            way = "token" if client.password is None else "password"
            table.add_row(client.user, client.name, client.number or "-", way, _rights(client.rights))
        console.print(table)
    else:
        console.print("The site names no clients.")
    if loaded.tokens_from_elsewhere:
        console.print("Others may log in with tokens that are signed with the site's key.")
    if rtc.accounts is not None:
        console.print("accounts")
        for line in rtc.accounts.listing():
            console.print(f"  {line}")
    if rtc.pstn is not None:
        console.print(f"pstn\n  {rtc.pstn.prefix}*: through trunk {rtc.pstn.trunk}")


def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who logs in with it.")],
    site: _SITE = Path("site.yaml"),
    valid: Annotated[
        str, typer.Option("--valid", metavar="SPAN", help="How long it lets in: 10m, 1h; 24h at most.")
    ] = "1h",
    name: Annotated[str, typer.Option("--name", help="Who that is, for those who are called.")] = "",
    call_in: Annotated[bool, typer.Option("--call-in", help="It may call numbers that flows answer.")] = False,
    be_called: Annotated[bool, typer.Option("--be-called", help="It can be called.")] = False,
    call_out: Annotated[
        list[str] | None,
        typer.Option(
            "--call-out", metavar="PATTERN", help="What else it may call: 20XX, tel:0*, rtc:bob, *. Repeatable."
        ),
    ] = None,
    peers: Annotated[bool, typer.Option("--peers", help="It may see who is there, and send messages.")] = False,
) -> None:
    """Print a token with which a client logs in, for tests and for programs that hand out such tokens.

    A client of the site has the rights that the site file gives it, unless rights are given here.
    """
    loaded = site_or_exit(site)
    rtc = _rtc(loaded)
    known = loaded.clients.get(user)
    given = call_in or be_called or peers or bool(call_out)
    if not USER.fullmatch(user):
        _fail(
            f"'{user[:40]}' cannot be the name of a client: letters and digits, and . _ @ + - between them, at most 64"
        )
    if known is None and not given:
        _fail(f"The site has no client '{user}': say what it may do, by --call-in, --be-called or --call-out PATTERN")
    seconds = seconds_of(valid)
    if seconds > LONGEST_TOKEN_LIFETIME:
        _fail(f"A token lets in for {LONGEST_TOKEN_LIFETIME / 3600:.0f} hours at most: it cannot be called back")
    try:
        for pattern in call_out or ():
            check_pattern(pattern)
        rights = Rights(call_in, be_called, tuple(call_out or ()), peers) if given or known is None else known.rights
        tokens = Tokens(rtc.secret or secret_in(token_secret_file(loaded.state)), clock=time.time, lifetime=seconds)
    except (RightsError, SecretError) as error:
        _fail(str(error))
    typer.echo(tokens.make(user, rights, name=name or ("" if known is None else known.name)))


def _rtc(site: Site) -> RtcSettings:
    if site.rtc is None:
        _fail(f"{site.file} has no rtc: browsers find nobody there. See {program} schema site")
    return site.rtc


def _fail(text: str) -> NoReturn:
    errors.print(text, style="bold red")
    raise typer.Exit(1)


def _rights(rights: Rights) -> str:
    words = [
        *(["call in"] if rights.call_in else []),
        *(["be called"] if rights.be_called else []),
        *([f"call {', '.join(rights.call_out)}"] if rights.call_out else []),
        *(["see others"] if rights.peers else []),
    ]
    return "; ".join(words) or "nothing"


def _as_json(site: Site, rtc: RtcSettings) -> dict[str, object]:
    def told(client: Client) -> dict[str, object]:
        rights = client.rights
        return {
            "user": client.user,
            "name": client.name,
            "number": client.number,
            "password": client.password is not None,
            "call_in": rights.call_in,
            "be_called": rights.be_called,
            "call_out": list(rights.call_out),
            "peers": rights.peers,
        }

    return {
        "clients": [told(client) for client in site.clients.values()],
        "others": site.tokens_from_elsewhere,
        "accounts": [] if rtc.accounts is None else list(rtc.accounts.accounts),
        "pstn": None if rtc.pstn is None else {"prefix": rtc.pstn.prefix, "trunk": rtc.pstn.trunk},
    }
