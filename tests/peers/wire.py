"""A telephone whose every byte is the test's own: sends what no real one would, and reads what comes back."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import time
from dataclasses import dataclass, field

from tests.peers.patience import SLACK
from tests.peers.trace import Message

__all__ = ["Dialled", "Wire", "session_description"]


def session_description(address: str = "127.0.0.1", port: int = 9, *, media: str | None = None) -> str:
    line = f"m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n" if media is None else media
    return f"v=0\r\no=wire 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n{line}"


@dataclass
class Dialled:
    """An INVITE that was sent, and what is needed to say more about it."""

    uri: str
    call_id: str
    from_: str
    branch: str
    cseq: int = 1
    to: str = ""
    """With the tag of the answer, once there is one."""
    target: str = ""
    answers: list[Message] = field(default_factory=list)


class Wire:
    """One UDP socket on an address of loopback; anything in 127/8 is a source of its own to the server."""

    def __init__(self, server: str, *, host: str = "127.0.0.1", user: str = "wire") -> None:
        address, _, port = server.rpartition(":")
        self.server = (address, int(port))
        self.user = user
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.host = host
        self.port: int = self.socket.getsockname()[1]
        self.other: list[Message] = []
        """What came and was not asked for."""

    def close(self) -> None:
        self.socket.close()

    def sends(self, data: bytes | str) -> None:
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
        try:
            self.socket.sendto(raw, self.server)
        except ConnectionRefusedError:
            pass

    def receives(self, within: float = SLACK) -> Message | None:
        """The next datagram; None if there is none in time."""
        self.socket.settimeout(max(within, 0.0001))
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, BlockingIOError, ConnectionRefusedError):
            return None
        return Message(False, data.decode("utf-8", "replace").replace("\r", "").strip("\n"))

    def sees(self, start: str, call_id: str | None = None, within: float = SLACK) -> Message:
        """Wait for a message whose first line starts so."""
        end = time.monotonic() + within
        seen: list[str] = []
        while (left := end - time.monotonic()) > 0:
            message = self.receives(left)
            if message is None:
                continue
            if message.start_line.startswith(start) and call_id in (None, message.header("Call-ID")):
                return message
            seen.append(message.start_line)
            self.other.append(message)
        raise AssertionError(f"no {start!r} but {seen}")

    # Requests -------------------------------------------------------------------------------------------------

    def via(self, branch: str | None = None) -> str:
        return f"Via: SIP/2.0/UDP {self.host}:{self.port};rport;branch={branch or 'z9hG4bK' + secrets.token_hex(8)}"

    def contact(self) -> str:
        return f"Contact: <sip:{self.user}@{self.host}:{self.port}>"

    def invite(
        self,
        number: str = "1000",
        *,
        uri: str | None = None,
        from_: str | None = None,
        sdp: str | None = "usual",
        headers: tuple[str, ...] = (),
        call_id: str | None = None,
    ) -> Dialled:
        """Send an INVITE and remember it. ``sdp`` None: without an offer."""
        uri = uri or f"sip:{number}@{self.server[0]}:{self.server[1]}"
        dialled = Dialled(
            uri,
            call_id or secrets.token_hex(8),
            f"{from_ or f'<sip:{self.user}@{self.host}>'};tag={secrets.token_hex(4)}",
            "z9hG4bK" + secrets.token_hex(8),
            to=f"<{uri}>",
        )
        body = session_description() if sdp == "usual" else sdp or ""
        self.sends(self._request("INVITE", dialled, body=body, headers=(self.contact(), *headers)))
        return dialled

    def is_answered(self, dialled: Dialled, within: float = SLACK) -> Message:
        """Wait for the 200 and acknowledge it."""
        answer = self.sees("SIP/2.0 200", dialled.call_id, within)
        self.takes(dialled, answer)
        self.acknowledges(dialled)
        return answer

    def takes(self, dialled: Dialled, answer: Message) -> None:
        dialled.to = answer.header("To")
        dialled.target = re.sub(r"^<|>.*$", "", answer.header("Contact"))
        dialled.answers.append(answer)

    def acknowledges(self, dialled: Dialled, sdp: str = "") -> None:
        self.sends(self._request("ACK", dialled, uri=dialled.target or dialled.uri, body=sdp, branch=None))

    def is_refused(self, dialled: Dialled, status: int, within: float = SLACK) -> Message:
        """Wait for a final refusal and acknowledge it."""
        answer = self.sees("SIP/2.0 [3-6]" if status == 0 else f"SIP/2.0 {status}", dialled.call_id, within)
        dialled.to = answer.header("To")
        self.sends(self._request("ACK", dialled, branch=dialled.branch))
        return answer

    def cancels(self, dialled: Dialled) -> None:
        self.sends(self._request("CANCEL", dialled))

    def asks(
        self, dialled: Dialled, method: str, *, body: str = "", headers: tuple[str, ...] = (), kind: str | None = None
    ) -> None:
        """A request within the dialog."""
        dialled.cseq += 1
        dialled.branch = "z9hG4bK" + secrets.token_hex(8)
        uri = dialled.target or dialled.uri
        self.sends(self._request(method, dialled, uri=uri, body=body, headers=(self.contact(), *headers), kind=kind))

    def hangs_up(self, dialled: Dialled) -> None:
        self.asks(dialled, "BYE")

    def replies(self, request: Message, status: str = "200 OK", *, sdp: str = "", tag: str = "seat") -> None:
        """Answer a request that came."""
        lines = [f"SIP/2.0 {status}"]
        for name in ("Via", "From", "Call-ID", "CSeq", "Record-Route"):
            lines += [f"{name}: {value}" for value in _all(request, name)]
        to = request.header("To")
        lines.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag={tag}")
        lines.append(self.contact())
        if sdp:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(sdp.encode())}")
        self.sends("\r\n".join(lines) + "\r\n\r\n" + sdp)

    def registers(
        self, account: str, password: str, *, expires: int = 300, contact: str | None = None, within: float = SLACK
    ) -> tuple[Message, str]:
        """Register, challenge and all; the last answer, and the request that it answers."""
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        address = f"sip:{account}@{self.server[0]}"
        request, answer = "", None
        authorization: tuple[str, ...] = ()
        for number in (1, 2):
            lines = [
                f"REGISTER sip:{self.server[0]} SIP/2.0",
                self.via(),
                f"From: <{address}>;tag={tag}",
                f"To: <{address}>",
                f"Call-ID: {call_id}",
                f"CSeq: {number} REGISTER",
                "Max-Forwards: 70",
                contact or f"Contact: <sip:{account}@{self.host}:{self.port}>",
                f"Expires: {expires}",
                *authorization,
                "Content-Length: 0",
            ]
            request = "\r\n".join(lines) + "\r\n\r\n"
            self.sends(request)
            answer = self.sees("SIP/2.0 ", call_id, within)
            if answer.status != 401:
                break
            authorization = (self.proves(answer, account, password, "REGISTER", f"sip:{self.server[0]}"),)
        assert answer is not None
        return answer, request

    @staticmethod
    def proves(challenge: Message, account: str, password: str, method: str, uri: str) -> str:
        """Authorization by MD5 without qop's sequel: enough for whoever offers MD5."""
        said = next(line for line in _all(challenge, "WWW-Authenticate") if "algorithm=MD5" in line)
        realm, nonce = re.search(r'realm="([^"]*)"', said), re.search(r'nonce="([^"]*)"', said)
        assert realm
        assert nonce
        cnonce = secrets.token_hex(8)
        secret = hashlib.md5(f"{account}:{realm[1]}:{password}".encode()).hexdigest()
        subject = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()
        response = hashlib.md5(f"{secret}:{nonce[1]}:00000001:{cnonce}:auth:{subject}".encode()).hexdigest()
        return (
            f'Authorization: Digest username="{account}", realm="{realm[1]}", nonce="{nonce[1]}", uri="{uri}", '
            f'response="{response}", algorithm=MD5, qop=auth, nc=00000001, cnonce="{cnonce}"'
        )

    def _request(
        self,
        method: str,
        dialled: Dialled,
        *,
        uri: str | None = None,
        body: str = "",
        headers: tuple[str, ...] = (),
        branch: str | None = "",
        kind: str | None = None,
    ) -> str:
        if body:
            headers = (*headers, f"Content-Type: {kind or 'application/sdp'}")
        lines = [
            f"{method} {uri or dialled.uri} SIP/2.0",
            self.via(dialled.branch if branch == "" else branch),
            f"From: {dialled.from_}",
            f"To: {dialled.to}",
            f"Call-ID: {dialled.call_id}",
            f"CSeq: {dialled.cseq} {method}",
            "Max-Forwards: 70",
            *headers,
            f"Content-Length: {len(body.encode())}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body


def _all(message: Message, name: str) -> list[str]:
    return re.findall(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*)$", message.text, re.IGNORECASE | re.MULTILINE)
