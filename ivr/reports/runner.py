"""Makes reports when they are due, beside the calls: each by a process of its own, so that no call waits for one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from ivr.reports.schedule import ReportJob, Schedule

log = logging.getLogger("ivr.reports")

LOOK_EVERY_S: Final = 20.0
PATIENCE_S: Final = 1800.0
"""After which a report is given up."""
SUM_UP_EVERY_S: Final = 3600.0
SUM_UP_AFTER_S: Final = 600.0
"""Not at the very start: a server that comes up has better things to do."""

Jobs = Callable[[], tuple[Mapping[str, ReportJob], ZoneInfo]]
"""What the site wants now: it may change under way."""


class ReportRunner:
    """Owns the processes that make reports, and the file that remembers which were made."""

    def __init__(
        self,
        site: Path,
        state: Path,
        jobs: Jobs,
        *,
        clock: Callable[[], float] = time.time,
        command: Sequence[str] = (sys.executable, "-m", "ivr"),
    ) -> None:
        """``state``: the folder of what the program keeps."""
        self._site = site
        self._file = state / "reports.json"
        self._jobs = jobs
        self._clock = clock
        self._command = command
        self._sum_up_at = clock() + SUM_UP_AFTER_S
        self._schedule = Schedule(_remembered(self._file))

    async def run(self) -> None:
        """Until cancelled; then what is being made is ended."""
        while True:
            try:
                await self.look()
            except Exception:
                # Reports are no reason to end anything.
                log.exception("reports: looking for what is due failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Make what is due now, one after the other."""
        jobs, zone = self._jobs()
        known = self._schedule.done
        due = self._schedule.due(jobs, zone, self._clock())
        if self._schedule.done != known:
            self._remember()
        for job, at in due:
            said = await self._make("report", "--job", job.name, "--due", at.isoformat(), "--site", str(self._site))
            if said is None:
                log.info("report '%s' of %s: made", job.name, at.strftime("%Y-%m-%d %H:%M"))
                self._schedule.made(job, at)
            elif self._schedule.failed(job, at, self._clock()):
                log.warning("report '%s' could not be made, and is tried again in 5 minutes: %s", job.name, said)
            else:
                log.error("report '%s' could not be made, and is given up: %s", job.name, said)
            self._remember()
        await self._sum_up()

    async def _sum_up(self) -> None:
        """The sums of days that have settled meanwhile."""
        if self._clock() >= self._sum_up_at:
            said = await self._make("report", "--summarise", "--site", str(self._site))
            if said is not None:
                log.warning("reports: days could not be summed up: %s", said)
            self._sum_up_at = self._clock() + SUM_UP_EVERY_S

    async def _make(self, *words: str) -> str | None:
        """None if it went well, else what it said last."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                _, said = await process.communicate()
        except TimeoutError:
            return f"it took more than {PATIENCE_S:.0f} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return None
        return " ".join(said.decode(errors="replace").split())[-500:] or f"it ended with {process.returncode}"

    def _remember(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self._schedule.done, indent=1), encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            log.warning("reports: %s cannot be written: a restart may make a report again: %s", self._file, error)


def _remembered(file: Path) -> dict[str, float]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): float(at) for name, at in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("reports: %s cannot be read, and is begun anew: %s", file, error)
        return {}
