"""Reports by mail, through a real mail server; and on their way there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from gateway.certificates import CertificateFiles, make_self_signed
from ivr.records.database import open_database
from ivr.reports.mail import MailError, message, send
from ivr.reports.schedule import MailSettings
from tests.cli.commands import ivr
from tests.peers.ports import free_port
from tests.records.test_recovery import write
from tests.reports.busy_day import busy_day


class Mailbox:
    """What the server was given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[str] = []

    async def handle_DATA(self, server: object, session: object, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.to += envelope.rcpt_tos
        return "250 OK"

    async def handle_RCPT(
        self, server: object, session: object, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"


def let_in(server: object, session: object, envelope: object, mechanism: str, given: Any) -> AuthResult:
    right = (given.login, given.password) == (b"ivr", b"open sesame")
    return AuthResult(success=right, handled=right)


class Server:
    """Speaks only after STARTTLS, and only with who has the password."""

    def __init__(self, folder: Path, *, safe: bool) -> None:
        self.box = Mailbox()
        self.trust: ssl.SSLContext | None = None
        more: dict[str, Any] = {}
        if safe:
            files = CertificateFiles(folder / "cert.pem", folder / "key.pem")
            make_self_signed(files)
            own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            own.load_cert_chain(files.certificate, files.key)
            self.trust = ssl.create_default_context(cafile=str(files.certificate))
            more = {"tls_context": own, "require_starttls": True, "authenticator": let_in, "auth_required": True}
        self.port = free_port()
        self.controller = Controller(self.box, hostname="127.0.0.1", port=self.port, **more)
        self.controller.start()

    def settings(self, tls: Any, user: str | None = None, password: str | None = None) -> MailSettings:
        return MailSettings("127.0.0.1", self.port, "ivr@example.com", tls, user, password)


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, safe=request.param == "safe")
    yield server
    server.controller.stop()


REPORT = message("ivr@example.com", ["chief@example.com"], "day,\n2026", "Calls  412\n", "day.html", b"<h1>Calls</h1>")


@pytest.mark.parametrize("server", ["safe"], indirect=True)
def test_through_a_server_that_asks_for_encryption_and_a_password(server: Server) -> None:
    settings = server.settings("starttls", "ivr", "open sesame")
    send(REPORT, settings, server.trust)
    (mail,) = server.box.mails
    assert (mail["Subject"], mail["To"], mail["From"]) == ("day, 2026", "chief@example.com", "ivr@example.com")
    assert mail["Date"]
    assert mail["Message-ID"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert "Calls  412" in body.get_content()
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("day.html", "text/html")
    assert "<h1>Calls</h1>" in attached.get_content()
    with pytest.raises(MailError, match="does not take the user and password under smtp:"):
        send(REPORT, replace(settings, password="wrong"), server.trust)
    with pytest.raises(MailError, match="cannot be trusted"):
        send(REPORT, settings)
    assert len(server.box.mails) == 1


@pytest.mark.parametrize("server", ["open"], indirect=True)
def test_what_the_server_cannot_do_is_said(server: Server) -> None:
    with pytest.raises(MailError, match=r"cannot do that: STARTTLS"):
        send(REPORT, server.settings("starttls"))
    nobody = message("ivr@example.com", ["nobody@example.com"], "day", "", "day.csv", b"")
    with pytest.raises(MailError, match=r"did not take the mail: .*no such user"):
        send(nobody, server.settings("none"))


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(MailError, match=r"127.0.0.1:\d+ did not take the mail: .*refused"):
        send(REPORT, MailSettings("127.0.0.1", free_port(), "ivr@example.com", "none"))


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Path:
    engine = open_database(f"sqlite:///{tmp_path}/records.db")
    write(engine, *busy_day(date(2026, 11, 26)))
    engine.dispose()
    (tmp_path / "flows").mkdir()
    (tmp_path / "site.yaml").write_text(f"""
numbers: {{'1000': main}}
records: sqlite:///records.db
zone: Europe/Berlin
smtp: {{host: 127.0.0.1, port: {server.port}, tls: none, from: ivr@example.com}}
reports:
  daily: {{report: day, when: '07:00', to: ['reports/{{date}}.html', chief@example.com]}}
  seats: {{report: offers, when: 'Mon 07:00', span: last week, to: chief@example.com, format: csv}}
""")
    return tmp_path


@pytest.mark.parametrize("server", ["open"], indirect=True)
def test_a_report_of_the_site_goes_where_it_says(site: Path, server: Server) -> None:
    result = ivr("report", "--job", "daily", "--due", "2026-11-27T07:00:00+01:00", "--site", site / "site.yaml")
    assert (result.exit_code, result.stderr) == (
        0,
        f"Report 'daily' went to {site}/reports/2026-11-26.html, chief@example.com.\n",
    )
    assert "<h1>Calls, 2026-11-26</h1>" in (site / "reports/2026-11-26.html").read_text()
    (mail,) = server.box.mails
    body = mail.get_body(("plain",))
    assert body is not None
    assert "Service level" in body.get_content()
    assert [one.get_filename() for one in mail.iter_attachments()] == ["day-2026-11-26.html"]
    ivr("report", "--job", "seats", "--due", "2026-11-30T07:00:00+01:00", "--site", site / "site.yaml")
    assert [one.get_filename() for one in server.box.mails[1].iter_attachments()] == ["offers-2026-11-23.csv"]


@pytest.mark.parametrize("server", ["open"], indirect=True)
def test_any_report_can_be_sent_by_hand(site: Path, server: Server) -> None:
    words = ("report", "containment", "--from", "2026-11-26", "--until", "2026-11-26", "--site", site / "site.yaml")
    assert ivr(*words, "--mail", "a@example.com", "--mail", "b@example.com").exit_code == 0
    assert server.box.to == ["a@example.com", "b@example.com"]
    result = ivr(*words, "--mail", "nobody@example.com")
    assert result.exit_code == 1
    assert "did not take the mail" in result.stderr


@pytest.mark.parametrize("server", ["open"], indirect=True)
def test_a_report_that_the_site_has_not(site: Path) -> None:
    result = ivr("report", "--job", "weekly", "--site", site / "site.yaml")
    assert result.exit_code == 1
    assert "no report 'weekly' under reports: (daily, seats)" in result.stderr
