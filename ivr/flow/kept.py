"""Files of flows as they were checked, kept on disk: whoever starts next need not check what has not changed.

A kept file is a pickle of plain data: classes of the flow language and nothing else are made of it, so that what
somebody else may have put there runs nothing. One that is damaged, or not our own, is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import stat
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import date, time
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType, MethodType
from typing import Any, Final

import ivr
from ivr.bounded_folder import BoundedFolder
from ivr.flow.draft import make_flow
from ivr.flow.flow_file import FlowFile, written_in
from ivr.flow.keys import KeyPatterns
from ivr.flow.model import Place
from ivr.flow.nodes import VERBS, Verb
from ivr.flow.source import ScalarNode

__all__ = ["KeptFlows"]

_BOUND: Final = 512 * 2**20
"""Bytes of the folder. A flow of 50 blocks takes 60,000."""
_FILE_LIMIT: Final = 64 * 2**20
"""Bytes of one file: the largest flow there may be takes a tenth."""
_PACKAGES: Final = ("PyYAML", "lark", "babel", "phonenumbers", "jellyfish")
"""Other people's code that has a say in what a flow is."""


class KeptFlows:
    """A folder of checked files. Nothing here raises for what is on disk: what cannot be kept, or found, is checked
    again."""

    def __init__(self, folder: BoundedFolder) -> None:
        self._folder = folder

    @classmethod
    def within(cls, state: Path, bound: int = _BOUND) -> KeptFlows | None:
        """Those of a site, in the folder where the program keeps its state. None if that is not there, or somebody
        else's: a check by another user leaves nothing that those who serve could not change."""
        folder = state / "flows"
        try:
            if state.stat().st_uid != os.geteuid():
                return None
            folder.mkdir(mode=0o700, exist_ok=True)
            _program()
        except (OSError, PackageNotFoundError):
            return None
        return cls(BoundedFolder(folder, ".kept", bound, "checked flows"))

    def get(self, file: str, mark: bytes) -> FlowFile | None:
        """What became of the file of this name and SHA-256."""
        key = _key(file, mark)
        content = _own(self._folder.path(key))
        found = None if content is None else _unpacked(content)
        if found is None or (found.name, found.mark) != (file, mark):
            return None
        self._folder.asked_for(key)
        return found

    def put(self, made: FlowFile) -> None:
        """Keep a file without errors: the others are few, and may show what nobody should read."""
        content = None if made.flow is None else _packed(made)
        if content is not None:
            self._folder.write(_key(made.name, made.mark), content)


def _key(file: str, mark: bytes) -> str:
    return hashlib.sha256(_program() + mark + file.encode("utf-8", "surrogateescape")).hexdigest()


@cache
def _program() -> bytes:
    """Changes with all that makes a flow of a file: an edited module, another version, another Python."""
    found = hashlib.sha256(sys.version.encode())
    for package in _PACKAGES:
        found.update(f"{package} {version(package)}\n".encode())
    for folder in ivr.__path__:
        for root, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(files):
                status = os.stat(os.path.join(root, name))
                found.update(f"{root}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.digest()


def _own(path: Path) -> bytes | None:
    """The content of a file that nobody else could have written."""
    try:
        # A pipe would be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(file)
        ours = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return os.read(file, min(status.st_size, _FILE_LIMIT)) if ours and stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None
    finally:
        os.close(file)


def _packed(made: FlowFile) -> bytes | None:
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 5)
    pickler.dispatch_table = _WAYS
    try:
        # The draft has all there is: what is made of it is as soon made as read.
        pickler.dump(replace(made, flow=None, written=()))
    except (pickle.PicklingError, TypeError, AttributeError):
        # The settings of a verb hold something that is no data: the tests know all verbs there are.
        return None
    content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpacked(content: bytes) -> FlowFile | None:
    mark, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != mark:
        return None
    # A stranger's can be wrong in any way.
    with contextlib.suppress(Exception):
        found = _Unpickler(io.BytesIO(content)).load()
        if isinstance(found, FlowFile) and found.draft is not None:
            return replace(found, flow=make_flow(found.draft), written=written_in(found.draft))
    return None


class _Unpickler(pickle.Unpickler):
    """Makes data of the flow language and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        other = _OTHERS.get((module, name))
        if other is not None:
            return other
        found = getattr(sys.modules.get(module), name, None) if module.startswith("ivr.flow.") else None
        if isinstance(found, type) and _is_data(found):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no data of a flow")


def _is_data(kind: type[Any]) -> bool:
    return is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


def _verb(name: str) -> Verb:
    found: Verb = VERBS[name]
    return found


def _places_of(node: ScalarNode) -> Callable[[int], Place]:
    return node.place_at


_OTHERS: Final[dict[tuple[str, str], Any]] = {
    (one.__module__, one.__qualname__): one for one in (_read_only, _verb, _places_of, KeyPatterns, Decimal, date, time)
}


class _Ways(dict[type[Any], Callable[[Any], tuple[Any, ...]]]):
    """How an object is taken apart, by its type: data into the arguments it is made of, which takes half the time of
    what Python does."""

    def __missing__(self, kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
        if not _is_data(kind):
            raise KeyError(kind)
        names = [one.name for one in fields(kind) if one.init] if is_dataclass(kind) else kind._fields
        # A getter of one name gives no tuple.
        get: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

        def way(made: Any) -> tuple[Any, ...]:
            return kind, (get(made),) if len(names) == 1 else get(made)

        self[kind] = way
        return way


_WAYS: Final = _Ways(
    {
        MappingProxyType: lambda mapping: (_read_only, (dict(mapping),)),
        Verb: lambda verb: (_verb, (verb.name,)),
        MethodType: lambda method: (_places_of, (method.__self__,)),
    }
)
