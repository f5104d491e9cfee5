"""A service that takes calls, in a thread, and the files it is made of."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import yaml

from ivr.service import Service
from ivr.site import load_site
from tests.peers.patience import until
from tests.peers.ports import free_port, free_range
from tests.peers.sound import write_tone

FLOW = """\
flow: main
start: menu
blocks:
  menu:
    - answer
    - menu: {prompt: hello, timeout: 60s, keys: {'1': bye}, failed: bye}
  bye:
    - say: 'You called {call.did}'
    - if: {when: "call.did == '1000'", then: last, else: last}
  last:
    - hangup: {cause: CAUSE}
"""
BROKEN = "flow: main\nstart: nowhere\nblocks:\n  menu: [hangup]\n"
OTHER = "flow: other\nstart: bye\nblocks:\n  bye:\n    - hangup\n"


class Running:
    """The service in a thread."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, port, media = folder, free_port(), free_range(400)
        (folder / "flows").mkdir(exist_ok=True)
        self.main = folder / "flows" / "main.yaml"
        if not self.main.exists():
            self.main.write_text(FLOW.replace("CAUSE", "first"))
            write_tone(folder / "prompts" / "hello.wav", 700, 0.5)
        self.file = folder / "site.yaml"
        self.settings: dict[str, Any] = {
            "sip": {"listen": [f"udp:127.0.0.1:{port}"], "domain": "localhost"},
            "media": {"address": "127.0.0.1", "ports": f"{media.start}-{media.stop - 1}"},
            "records": f"sqlite:///{folder / 'records.db'}",
            "numbers": {"1000": "main"},
            **settings,
        }
        self.rewrites()
        self.address = f"127.0.0.1:{port}"
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        site = load_site(self.file).site
        assert site is not None
        self.service = Service(site)
        self.awaits(self.service.start())

    def rewrites(self) -> None:
        """The site file, as the settings are now."""
        self.file.write_text(yaml.safe_dump(self.settings))

    def awaits(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def live(self) -> str:
        return str(self.service.release.versions["main"])

    def goes_live(self, version: str) -> None:
        until(lambda: self.live() == version, lambda: f"{self.live()}, {self.service.complaints}", within=30)

    def close(self) -> None:
        self.awaits(self.service.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
