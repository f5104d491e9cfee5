"""``ivr convert`` and ``ivr format``: a flow in its other spelling, and the DSL in its usual form."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ivr.cli.loading import count, errors, show_problems
from ivr.flow.conversion import Converted, format_dsl
from ivr.flow.conversion import convert as converted
from ivr.flow.loader import shown
from ivr.flow.source import SIZE_LIMIT


def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A flow: NAME.yaml, or NAME.flow.")],
    target: Annotated[
        Path | None, typer.Argument(metavar="[TO]", help="Where to write it. Unless given: printed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a YAML flow in the DSL, or a DSL flow in YAML.

    Both say the same to callers; that is compared before anything is written. Comments are kept.
    """
    found = converted(_content(source), shown(source))
    text = _text_or_exit(found)
    if target is None:
        typer.echo(text, nl=False)
    else:
        if (target.suffix == ".flow") == (source.suffix == ".flow"):
            errors.print(f"{target} must end in {'.yaml' if source.suffix == '.flow' else '.flow'}.")
            raise typer.Exit(1)
        if target.exists() and not force:
            errors.print(f"{target} is there already; --force writes over it.")
            raise typer.Exit(1)
        _write(target, text)
    for comment in found.moved:
        errors.print(f"The comment of line {comment.line} stands above its step now: {comment.text}")


def format_files(
    paths: Annotated[list[Path], typer.Argument(help="Files *.flow, or folders with such files.")],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
) -> None:
    """Indent flows of the DSL by their braces and tidy spaces and empty lines. Words and comments stay."""
    changes, failed = 0, False
    for path in _files(paths):
        before = _content(path)
        found = format_dsl(before, shown(path))
        if found.text is None:
            show_problems(found.problems)
            failed = True
            continue
        if found.text.encode() == before:
            continue
        changes += 1
        if diff:
            old = before.decode().splitlines(keepends=True)
            name = shown(path)
            typer.echo("".join(difflib.unified_diff(old, found.text.splitlines(keepends=True), name, name)), nl=False)
        elif check:
            typer.echo(f"{shown(path)} would change")
        else:
            _write(path, found.text)
            typer.echo(f"{shown(path)} changed")
    if failed or (check and changes):
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*.flow") if not one.name.startswith("."))
        else:
            if path.suffix != ".flow":
                errors.print(f"{path} is no .flow file; YAML is not formatted.")
                raise typer.Exit(1)
            yield path


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        errors.print(f"{path} cannot be read: {error.strerror}")
        raise typer.Exit(1) from None


def _text_or_exit(found: Converted) -> str:
    if found.text is None:
        show_problems(found.problems)
        errors.print(f"{count(found.problems)}: nothing was written.")
        raise typer.Exit(1)
    return found.text


def _write(path: Path, text: str) -> None:
    """All of it or nothing: the file takes its name when it is complete."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        fresh.write_bytes(text.encode())
        if path.exists():
            fresh.chmod(path.stat().st_mode)
        fresh.replace(path)
    except OSError as error:
        errors.print(f"{path} cannot be written: {error.strerror}")
        raise typer.Exit(1) from None
    finally:
        fresh.unlink(missing_ok=True)
