"""Secrets: passwords by name, from the environment or from a file nobody else can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ivr.flow.loader import shown
from ivr.flow.model import Place
from ivr.flow.problem import Problem, with_lines
from ivr.flow.source import MappingNode, ScalarNode, read_source

_PREFIX = "IVR_SECRET_"


def read_secrets(path: Path | None, environment: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """Secrets by name and what is wrong with their file; the environment is stronger. No problem shows a value."""
    secrets: dict[str, str] = {}
    problems: list[Problem] = []
    if path is not None:
        secrets, problems = _from_file(path)
    for name, value in environment.items():
        if name.startswith(_PREFIX) and value:
            secrets[name.removeprefix(_PREFIX).lower()] = value
    return secrets, problems


def _from_file(path: Path) -> tuple[dict[str, str], list[Problem]]:
    file = shown(path)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        help = f"create it: install -m 600 /dev/null {file}"
        return {}, [
            Problem("E204", Place(file, 1), f"the file with the secrets cannot be read: {error.strerror}", help)
        ]
    if os.name == "posix" and mode & 0o077:
        message = f"others can read the file with the secrets (mode {mode:04o})"
        return {}, [Problem("E204", Place(file, 1), message, f"run: chmod 600 {file}")]
    source = read_source(path, file)
    problems = with_lines(source.problems, {file: [""] * len(source.lines)})
    secrets = {}
    if isinstance(source.root, MappingNode):
        for key, value in source.root.entries:
            if isinstance(value, ScalarNode) and value.text:
                secrets[key.text] = value.text
            else:
                problems.append(
                    Problem("E020", key.place, f"secret '{key.text[:60]}' has no value", "write name: value")
                )
    elif source.root is not None:
        problems.append(
            Problem("E013", source.root.place, "a file with secrets has names and values", "write name: value")
        )
    return secrets, problems
