"""``ivr init``: a new site that runs as it is."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ivr.cli.loading import errors, program
from ivr.resources import resource

_SAMPLE_PASSWORD = re.compile(r"change-me-(\w+)")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the new site; made if it is not there.")],
) -> None:
    """Make a new site: site file, sample flows with tests, folder for recordings.

    The seats and clients get passwords of their own, kept in secrets.yaml, which only its owner can read.
    Nothing that is there already is overwritten.
    """
    clashes = [name for name in ("site.yaml", "secrets.yaml", "flows", "prompts") if (folder / name).exists()]
    if clashes:
        errors.print(f"{folder} has {', '.join(clashes)} already. Choose another folder.", style="bold red")
        raise typer.Exit(1)
    try:
        passwords = _make(folder)
    except OSError as error:
        errors.print(f"{folder}: {error.strerror or error}", style="bold red")
        raise typer.Exit(1) from None
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"Made a site in {folder}. Its telephones, and browsers:")
    for account, password in passwords.items():
        console.print(f"  user {account}  password {password}")
    console.print(f"Start it:  {program} run --site {folder / 'site.yaml'}   then call 1000.")


def _make(folder: Path) -> dict[str, str]:
    """Write everything; the passwords made, by seat and client."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(resource("flows"), folder / "flows")
    shutil.copytree(resource("prompts"), folder / "prompts")
    passwords: dict[str, str] = {}
    kept = []

    def by_name(match: re.Match[str]) -> str:
        account = match[1]
        name = f"{'seat' if account.isdigit() else 'client'}_{account}"
        passwords[account] = secrets.token_urlsafe(9)
        kept.append(f"{name}: '{passwords[account]}'")
        return f"secret:{name}"

    text = _SAMPLE_PASSWORD.sub(by_name, resource("site.yaml").read_text())
    text = text.replace("# CHANGE THE PASSWORDS before anybody can reach this machine from outside.\n", "")
    text = text.replace("# CHANGE THE PASSWORDS, as above.\n", "")
    text = text.replace("# secrets: secrets.yaml", "secrets: secrets.yaml        # readable by its owner only")
    secrets_file = folder / "secrets.yaml"
    secrets_file.touch(mode=0o600)
    lines = ["# Passwords by name; the site file says secret:NAME. Keep this file out of version control."]
    secrets_file.write_text("\n".join([*lines, *kept]) + "\n")
    (folder / "site.yaml").write_text(text)
    return passwords
