"""A folder of files that can be made again, bounded in size; what was not asked for longest goes first."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import time
from pathlib import Path

__all__ = ["BoundedFolder"]

log = logging.getLogger(__name__)

# A file of another process that is being written now is never this old.
_ABANDONED_AFTER_S = 3600


class BoundedFolder:
    """Any thread may call any method, and any number of processes may share the folder. What it holds is a copy: a full
    disk costs time and nothing else, so nothing here raises for one."""

    def __init__(self, folder: Path, ending: str, bound: int, what: str) -> None:
        """``folder`` is there; ``ending`` of its files' names; ``bound``: bytes they may take; ``what``: said in the
        log."""
        self._folder = folder
        self._ending = ending
        self._bound = bound
        self._what = what
        self._lock = threading.Lock()
        self._written = bound  # unknown at first, so that the first file written makes us look
        self._warned = False

    def path(self, name: str) -> Path:
        return self._folder / f"{name}{self._ending}"

    def asked_for(self, name: str) -> None:
        """It was of use: others go first."""
        with contextlib.suppress(OSError):
            os.utime(self.path(name))

    def write(self, name: str, content: bytes) -> None:
        """Whoever reads meanwhile, here or in another process, sees all of it or nothing."""
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as file:
                try:
                    file.write(content)
                    file.close()
                    os.replace(file.name, self.path(name))
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            self._warn(error)
            return
        with self._lock:
            self._written += len(content)
            # Looking at a folder of thousands of files is not for every one.
            if self._written * 10 >= self._bound:
                self._written = 0
                self._evict()

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            log.warning("%s are not kept in %s: %s", self._what, self._folder, error)

    def _evict(self) -> None:
        """Bring the folder to nine tenths of its bound, so that between two looks it stays below."""
        files: list[tuple[float, int, str]] = []
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                # Another process may have been faster.
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if entry.name.endswith(self._ending):
                        files.append((status.st_mtime, status.st_size, entry.path))
                    elif entry.name.endswith(".part") and time.time() - status.st_mtime > _ABANDONED_AFTER_S:
                        os.unlink(entry.path)
        size = sum(file[1] for file in files)
        for _, file_size, path in sorted(files):
            if size <= self._bound * 9 // 10:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            size -= file_size
