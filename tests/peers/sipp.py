"""SIPp with the scenarios of ``scenarios/``: callers, seats and carriers that do exactly what they are told.

A scenario is an XML file of SIPp's in which ``@name@`` stands for a value that is put in here before it starts, so
that one file serves several tests. Its captures are sent through a raw socket, which needs root.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.peers.patience import SLACK, until
from tests.peers.ports import free_port, free_range
from tests.peers.process import Child, require, unavailable
from tests.peers.rtp import Handset, Key, Payload, Tone, packets, write_pcap
from tests.peers.trace import Message, from_sipp

__all__ = ["Sipp", "Statistics"]

_SCENARIOS = Path(__file__).parent / "scenarios"

_SESSION = """v=0
o=sipp 1 @version@ IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[local_ip_type] [local_ip]
t=0 0
m=audio @audio_port@ RTP/AVP @payload@ 101
a=rtpmap:@payload@ @codec@/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=@direction@"""

_DEFAULTS = {
    "caller": "sipp",
    "direction": "sendrecv",
    "version": "1",
    "leave_after": "60000",
    "ring_for": "200",
    "status": "486 Busy Here",
    "status_code": "486",
    "provisional": "180",
    "challenge": "407",
    "hold_after": "1000",
    "hold_for": "2000",
    "press_after": "1000",
    "user": "user",
    "qop": "auth,auth-int",
    "prack_after": "0",
    # Some telephones look for it among what is supported only.
    "reliability": "Supported: 100rel\n      Require",
    "key": "1",
    "expires": "300",
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """SIPp's own counts at its end."""

    successful: int
    failed: int
    retransmissions: int
    unexpected: int


class Sipp:
    """One SIPp process running one scenario; a caller if it is given a server, else it waits for calls."""

    def __init__(
        self,
        scenario: str,
        *,
        folder: Path,
        server: str | None = None,
        number: str = "1000",
        calls: int = 1,
        at_once: int | None = None,
        rate: int = 10,
        port: int | None = None,
        transport: Literal["udp", "tcp"] = "udp",
        host: str = "127.0.0.1",
        password: str = "",
        codec: Literal["PCMU", "PCMA"] = "PCMU",
        says: Sequence[Tone | Key] = (),
        handset: Handset | None = None,
        namespace: int | None = None,
        within: float = 60.0,
        options: Sequence[str] = (),
        **values: str,
    ) -> None:
        program = require("sipp", package="sip-tester")
        self.port = port or free_port()
        self.address = f"{host}:{self.port}"
        self.scenario = scenario
        self.folder = folder / f"sipp-{scenario}-{self.port}-{len(list(folder.glob('sipp-*')))}"
        self.folder.mkdir(parents=True)
        payload: Payload = 0 if codec == "PCMU" else 8
        # SIPp takes three pairs of ports from the one it is given.
        media_port = free_range(8).start
        values = {
            **_DEFAULTS,
            "audio_port": str(handset.port if handset else media_port),
            "payload": str(payload),
            "codec": codec,
            "password": password,
            **values,
        }
        if says:
            if os.geteuid() != 0:
                unavailable("SIPp plays captures through a raw socket, which needs root")
            write_pcap(self.folder / "speech.pcap", packets(says, payload=payload))
            values["speech"] = '<nop><action><exec play_pcap_audio="speech.pcap"/></action></nop>'
        else:
            values["speech"] = ""
        (self.folder / "scenario.xml").write_text(_fill((_SCENARIOS / f"{scenario}.xml").read_text(), values))
        argv = [program]
        if server is not None:
            argv += [server]
        argv += ["-sf", "scenario.xml", "-i", host, "-p", str(self.port), "-mi", host, "-mp", str(media_port)]
        argv += ["-s", number, "-m", str(calls), "-r", str(rate), "-l", str(at_once or calls)]
        argv += ["-t", "t1" if transport == "tcp" else "u1", "-nostdin", "-timeout", f"{within:.0f}s", "-timeout_error"]
        argv += ["-cp", str(free_port()), "-skip_rlimit"]
        for log in ("message", "error"):
            argv += [f"-{log}_file", f"{log}.log"]
        argv += ["-trace_msg", "-trace_err", "-trace_stat", "-stf", "stat.csv", "-fd", "1"]
        argv += options
        self._within = within
        self.child = Child(f"sipp-{scenario}", argv, folder=self.folder, namespace=namespace)
        if server is None:
            until(self._is_listening, lambda: f"SIPp did not start:\n{self._errors()}")

    def finishes(self, within: float | None = None) -> Statistics:
        """Wait for the end of all its calls; every one must have gone as the scenario says."""
        code = self.child.ends(within if within is not None else self._within + 10)
        statistics = self.statistics()
        assert code == 0, (
            f"SIPp {self.scenario} ended with {code}, {statistics}\n{self._errors()}\n{self._last_words()}"
        )
        return statistics

    def statistics(self) -> Statistics:
        file = self.folder / "stat.csv"
        rows = list(csv.DictReader(file.open(), delimiter=";")) if file.exists() else []
        last = rows[-1] if rows else {}

        def count(name: str) -> int:
            return int(last.get(f"{name}(C)") or 0)

        return Statistics(
            successful=count("SuccessfulCall"),
            failed=count("FailedCall"),
            retransmissions=count("Retransmissions"),
            unexpected=count("FailedUnexpectedMessage"),
        )

    def messages(self) -> list[Message]:
        log = self.folder / "message.log"
        return list(from_sipp(log.read_text(errors="replace"))) if log.exists() else []

    def received(self, start: str) -> list[Message]:
        return [each for each in self.messages() if not each.sent and each.start_line.startswith(start)]

    def receives(self, start: str, within: float = SLACK) -> Message:
        def words() -> str:
            return f"SIPp {self.scenario} received no {start!r}\n{self._errors()}\n{self._last_words()}"

        return until(lambda: self.received(start) or None, words, within=within)[-1]

    def sends(self, start: str, within: float = SLACK) -> Message:
        def sent() -> list[Message] | None:
            return [each for each in self.messages() if each.sent and each.start_line.startswith(start)] or None

        return until(sent, f"SIPp {self.scenario} sent no {start!r}", within=within)[-1]

    def media_address(self, within: float = SLACK) -> tuple[str, int]:
        """Where the other side wants its audio: from the last session description it sent."""

        def told() -> tuple[str, int] | None:
            for message in reversed(self.messages()):
                port = re.search(r"^m=audio (\d+)", message.text, re.MULTILINE)
                host = re.search(r"^c=IN IP[46] (\S+)", message.text, re.MULTILINE)
                if not message.sent and port and host:
                    return host[1], int(port[1])
            return None

        return until(told, lambda: f"SIPp {self.scenario} got no session description", within=within)

    def close(self) -> None:
        self.child.close()

    def _is_listening(self) -> bool:
        if not self.child.is_running():
            raise AssertionError(f"SIPp ended with {self.child.process.returncode}:\n{self._errors()}")
        wanted = f":{self.port:04X} "
        tables = [Path(f"/proc/{self.child.pid}/net/{name}") for name in ("udp", "tcp")]
        return any(wanted in table.read_text() for table in tables)

    def _errors(self) -> str:
        file = self.folder / "error.log"
        own = file.read_text(errors="replace")[-4000:] if file.exists() else ""
        # Its screens are of no use; what it says when it gives up comes after them.
        return own + self.child.said()[-600:]

    def _last_words(self) -> str:
        return "\n".join(f"{'->' if m.sent else '<-'} {m.start_line}" for m in self.messages()[-30:])

    def log(self) -> str:
        file = self.folder / "message.log"
        return self._errors() + (file.read_text(errors="replace")[-20000:] if file.exists() else "")


def _fill(text: str, values: Mapping[str, str]) -> str:
    # Twice, because the session description has places of its own.
    held = _SESSION.replace("@direction@", "sendonly").replace("@version@", "2")
    every = {
        **values,
        "session": _SESSION,
        "session_held": held,
        "session_again": _SESSION.replace("@version@", "3"),
    }
    for _ in range(2):
        text = re.sub(r"@([a-z_]+)@", lambda found: every[found[1]], text)
    return text
