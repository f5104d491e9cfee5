"""A baresip softphone without a screen, told what to do through its ctrl_tcp module.

What Debian's 1.0 cannot do, seen by trying: send keys by INFO (it understands them), refuse with another status than
486, and record after it has put a call on hold itself (the re-INVITE drops the recorder from its loudspeaker).
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.peers.namespace import connect_inside
from tests.peers.patience import SLACK, until
from tests.peers.phone import EventKind, Line, Phone, PhoneEvent
from tests.peers.ports import free_port, free_range
from tests.peers.process import Child, require
from tests.peers.sound import Sound, tone_file
from tests.peers.trace import Message, from_baresip

__all__ = ["Baresip"]

_EVENTS: dict[str, EventKind] = {
    "REGISTER_OK": "registered",
    "REGISTER_FAIL": "not_registered",
    "CALL_INCOMING": "incoming",
    "CALL_RINGING": "ringing",
    "CALL_PROGRESS": "progress",
    "CALL_ESTABLISHED": "established",
    "CALL_CLOSED": "closed",
    "CALL_DTMF_START": "key",
}

# The player is one end of a bridge whose other end nobody takes: it sets the pace that a sound card would.
_CONFIG = """\
poll_method epoll
sip_listen {host}:{sip}
net_interface {host}
call_local_timeout 120
call_max_calls 4
audio_player aubridge,loudspeaker
audio_source aufile,{tone}
audio_alert aubridge,bell
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports {rtp_first}-{rtp_last}
jitter_buffer_delay 1-5
ringback_disabled yes
menu_bell no
statmode_default off
module_path {modules}
module g711.so
module sndfile.so
module aufile.so
module aubridge.so
{more}module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {recordings}
"""


class Baresip(Phone):
    """One baresip process with a configuration of its own."""

    def __init__(self, line: Line, *, tone: int, folder: Path) -> None:
        super().__init__(line, tone=tone, folder=folder / f"baresip-{line.user}", port=free_port())
        program = require("baresip", package="baresip-core")
        self.folder.mkdir(parents=True)
        # It cuts off long paths, and then records nothing and says nothing.
        self._recordings = Path(tempfile.mkdtemp(prefix="heard-"))
        rtp, control = free_range(16), free_port()
        (self.folder / "accounts").touch()
        (self.folder / "config").write_text(
            _CONFIG.format(
                host=line.host,
                sip=self.port,
                tone=tone_file(tone),
                rtp_first=rtp.start,
                rtp_last=rtp.stop - 1,
                modules=_modules(),
                more="module srtp.so\n" if line.srtp else "",
                control=control,
                recordings=self._recordings,
            )
        )
        self.child = Child(
            f"baresip-{self.name}",
            [program, "-f", str(self.folder), "-v", "-s"],
            folder=self.folder,
            namespace=line.namespace,
        )
        self._socket = until(lambda: self._connect(control), self._missing("control port"))
        self._answers: list[dict[str, Any]] = []
        self._has_account = False
        threading.Thread(target=self._listen, name=f"{self.name} control", daemon=True).start()
        if line.password is None:
            self._add_account(0)

    def register(self, *, expires: int = 300, refused: bool = False) -> None:
        before = self._count()
        self._add_account(expires)
        wanted: EventKind = "not_registered" if refused else "registered"
        other: EventKind = "registered" if refused else "not_registered"

        def settled() -> PhoneEvent | None:
            return next((event for _, event in self._after(before) if event.kind in (wanted, other)), None)

        event = until(settled, self._missing("answer to REGISTER"))
        assert event.kind == wanted, f"{self.name}: {event.kind} {event.detail}"

    def unregister(self) -> None:
        self._command("uadel", self._account_of_record)
        self._has_account = False
        until(
            lambda: any(
                m.sent and m.method == "REGISTER" and (m.header("Contact") or "").endswith("expires=0")
                for m in self.messages()
            ),
            f"{self.name} did not unregister",
        )

    def _dial(self, uri: str) -> None:
        if not self._has_account:
            self._add_account(0)
        if self.line.transport != "udp":
            uri += f";transport={self.line.transport}"
        self._command("dial", uri)

    def sends_answer(self) -> None:
        self._command("accept")

    def refuses(self) -> None:
        self._command("hangup")

    def hangs_up(self) -> None:
        self._command("hangup")

    def presses(self, keys: str) -> None:
        for key in keys:
            self._command("sndcode", key)

    def _say(self, sound: Sound, file: Path) -> None:
        # At the end of its file it hangs up.
        self._command("ausrc", f"aufile,{sound.then_silence(150).write(file)}")

    def holds(self) -> None:
        self._reinvites(lambda: self._command("hold"), "a=sendonly")

    def resumes(self) -> None:
        self._reinvites(lambda: self._command("resume"), "a=sendrecv")

    def received_audio_s(self) -> float:
        """Seconds of audio decoded in the present call: goes on after a hold, unlike the recording."""
        found = re.search(r"rx:.*? time = ([\d.]+) sec", self._command("audio_debug"), re.DOTALL)
        return float(found[1]) if found else 0.0

    def receives_audio(self, within: float = SLACK) -> None:
        """Wait until half a second more of audio has come."""
        before = self.received_audio_s()
        until(lambda: self.received_audio_s() > before + 0.5, f"{self.name} receives no audio", within=within)

    def recorded(self) -> Sound:
        return Sound.read(*sorted(self._recordings.glob("*-dec.wav")))

    def messages(self) -> Sequence[Message]:
        return list(from_baresip(self.child.said(), self.port, self.line.server))

    def close(self) -> None:
        self.child.close()
        self._socket.close()
        shutil.rmtree(self._recordings, ignore_errors=True)

    @property
    def _account_of_record(self) -> str:
        suffix = f";transport={self.line.transport}" if self.line.transport != "udp" else ""
        return self.line.address_of_record + suffix

    def _add_account(self, expires: int) -> None:
        settings = [f"<{self._account_of_record}>", f"regint={expires}"]
        if self.line.password is not None:
            settings.append(f"auth_pass={self.line.password}")
        if self.line.domain is not None:
            settings.append(f'outbound="sip:{self.line.server};transport={self.line.transport}"')
        if self.line.srtp:
            settings.append("mediaenc=srtp-mand")
        if self.line.codecs:
            settings.append("audio_codecs=" + ",".join(f"{codec}/8000/1" for codec in self.line.codecs))
        self._command("uanew", ";".join(settings))
        self._has_account = True

    def _connect(self, port: int) -> socket.socket | None:
        if not self.child.is_running():
            raise AssertionError(f"baresip ended at once:\n{self.child.said()}")
        try:
            return connect_inside(self.line.namespace, port)
        except OSError:
            return None

    def _command(self, command: str, params: str = "") -> str:
        """Send one command, wait for its answer."""
        with self._lock:
            token = str(len(self._answers))
        self._send({"command": command, "params": params, "token": token})

        def answer() -> dict[str, Any] | None:
            with self._lock:
                return next((each for each in self._answers if each.get("token") == token), None)

        answered = until(answer, self._missing(f"answer to {command!r}"))
        assert answered["ok"], f"{self.name}: {command} {params} failed: {answered['data']}"
        return str(answered["data"])

    def _send(self, message: dict[str, str]) -> None:
        data = json.dumps(message).encode()
        self._socket.sendall(b"%d:%s," % (len(data), data))

    def _listen(self) -> None:
        """Netstrings of JSON: events and answers to commands."""
        buffer = b""
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while (colon := buffer.find(b":")) > 0:
                end = colon + 1 + int(buffer[:colon])
                if len(buffer) <= end:
                    break
                self._take(json.loads(buffer[colon + 1 : end]))
                buffer = buffer[end + 1 :]

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("response"):
            with self._lock:
                self._answers.append(message)
            return
        kind = _EVENTS.get(message.get("type", ""))
        if kind is not None:
            detail = str(message.get("param", ""))
            status = int(detail[:3]) if re.match(r"[3-6]\d\d\b", detail) else None
            self._happened(PhoneEvent(kind, detail, status))


def _modules() -> Path:
    for folder in ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"):
        if Path(folder).is_dir():
            return Path(folder)
    raise FileNotFoundError("baresip's modules are not where Debian puts them")
