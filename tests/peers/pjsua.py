"""A pjsua2 user agent in a process of its own, told what to do by JSON lines (see ``pjsua_agent.py``)."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.peers.patience import until
from tests.peers.phone import EventKind, KeyMode, Line, Phone, PhoneEvent
from tests.peers.ports import free_port, free_range
from tests.peers.process import Child, unavailable
from tests.peers.sound import Sound, tone_file
from tests.peers.trace import Message, from_pjsip

__all__ = ["Pjsua"]

_ROOT = Path(__file__).resolve().parents[2]


class Pjsua(Phone):
    """One pjsua2 process; sends its keys by RFC 4733 or by INFO, and may insist on reliable provisional answers."""

    def __init__(
        self,
        line: Line,
        *,
        tone: int,
        folder: Path,
        keys: KeyMode = "rfc4733",
        prack: bool = False,
    ) -> None:
        super().__init__(line, tone=tone, folder=folder / f"pjsua-{line.user}", port=free_port())
        if find_spec("pjsua2") is None:
            unavailable("pjsua2 is not installed (pip install pjsua2-python)")
        self._keys = keys
        self._recordings = self.folder / "recordings"
        self._recordings.mkdir(parents=True)
        self._trace = self.folder / "pjsip.log"
        self._errors: list[str] = []
        self.codec = ""
        """What the present call's media run on, as pjsip names it."""
        suffix = f";transport={line.transport}" if line.transport != "udp" else ""
        domain = line.domain or line.server
        settings = {
            "tone": str(tone_file(tone)),
            "log": str(self._trace),
            "recordings": str(self._recordings),
            "host": line.host,
            "port": self.port,
            "rtp": free_range(16).start,
            "transport": line.transport,
            "codecs": list(line.codecs),
            "id": line.address_of_record,
            "user": line.user,
            "password": line.password,
            "registrar": f"sip:{domain}{suffix}",
            "proxy": f"sip:{line.server};lr{suffix}" if line.domain else "",
            "prack": prack,
            "srtp": line.srtp,
        }
        self.child = Child(
            f"pjsua-{self.name}",
            [sys.executable, "-m", "tests.peers.pjsua_agent", json.dumps(settings)],
            folder=self.folder,
            cwd=_ROOT,
            namespace=line.namespace,
            piped=True,
        )
        self._is_ready = threading.Event()
        threading.Thread(target=self._listen, name=f"{self.name} events", daemon=True).start()
        until(self._is_ready.is_set, self._missing("start"))

    def register(self, *, expires: int = 300, refused: bool = False) -> None:
        before = self._count()
        self._command("register", **({} if expires == 300 else {"expires": expires}))
        wanted: EventKind = "not_registered" if refused else "registered"
        other: EventKind = "registered" if refused else "not_registered"

        def settled() -> PhoneEvent | None:
            return next((event for _, event in self._after(before) if event.kind in (wanted, other)), None)

        event = until(settled, self._missing("answer to REGISTER"))
        assert event.kind == wanted, f"{self.name}: {event.kind} {event.detail}"

    def unregister(self) -> None:
        before = self._count()
        self._command("unregister")
        until(
            lambda: any(event.kind == "unregistered" for _, event in self._after(before)),
            self._missing("answer to un-REGISTER"),
        )

    def _dial(self, uri: str) -> None:
        self._command("dial", uri=uri + (f";transport={self.line.transport}" if self.line.transport != "udp" else ""))

    def sends_answer(self) -> None:
        self._command("answer")

    def refuses(self, status: int = 486) -> None:
        self._command("hangup", status=status)

    def hangs_up(self) -> None:
        self._command("hangup")

    def presses(self, keys: str) -> None:
        self._command("keys", keys=keys, info=self._keys == "info")

    def _say(self, sound: Sound, file: Path) -> None:
        self._command("say", file=str(sound.write(file)))

    def holds(self) -> None:
        self._reinvites(lambda: self._command("hold"), "a=sendonly")

    def resumes(self) -> None:
        self._reinvites(lambda: self._command("resume"), "a=sendrecv")

    def recorded(self) -> Sound:
        return Sound.read(*sorted(self._recordings.glob("*.wav")))

    def messages(self) -> Sequence[Message]:
        return list(from_pjsip(self._trace.read_text(errors="replace"))) if self._trace.exists() else []

    def close(self) -> None:
        self.child.close()

    def _command(self, command: str, **details: object) -> None:
        assert self.child.process.stdin is not None
        self.child.process.stdin.write(json.dumps({"do": command, **details}).encode() + b"\n")
        self.child.process.stdin.flush()

    def _listen(self) -> None:
        assert self.child.process.stdout is not None
        for line in self.child.process.stdout:
            self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        status, reason = event.get("status"), event.get("reason", "")
        match event["event"]:
            case "ready":
                self._is_ready.set()
            case "media":
                self.codec = event["codec"]
            case "key":
                self._happened(PhoneEvent("key", event["key"]))
            case "incoming":
                self._happened(PhoneEvent("incoming", event["uri"]))
            case "error":
                self._happened(PhoneEvent("error", f"{event['line']}: {event['text']}"))
            case kind:
                refused = status if isinstance(status, int) and status >= 300 else None
                self._happened(PhoneEvent(kind, f"{status} {reason}", refused))
