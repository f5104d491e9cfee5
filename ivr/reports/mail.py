"""Reports by mail: words in the message, the report itself attached."""

from __future__ import annotations

import mimetypes
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

from ivr.reports.schedule import MailSettings

PATIENCE_S: Final = 30.0
"""For each answer of the server."""


class MailError(Exception):
    """The mail did not leave: why, and what to do about it."""


def message(sender: str, to: Sequence[str], subject: str, text: str, file: str, content: bytes) -> EmailMessage:
    """A mail with the report as a file. Headers cannot be broken by line ends in a subject."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = formatdate(localtime=True)
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    kind, _ = mimetypes.guess_type(file)
    main, _, sub = (kind or "application/octet-stream").partition("/")
    mail.add_attachment(content, maintype=main, subtype=sub, filename=file)
    return mail


def send(mail: EmailMessage, settings: MailSettings, context: ssl.SSLContext | None = None) -> None:
    """Hand it to the server. ``context``: whom to trust; unless given, the authorities of the system.

    Raises MailError.
    """
    place = f"{settings.host}:{settings.port}"
    try:
        context = context or ssl.create_default_context()
        if settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=PATIENCE_S, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=PATIENCE_S)
        with server:
            if settings.tls == "starttls":
                server.starttls(context=context)
            if settings.user is not None:
                server.login(settings.user, settings.password or "")
            refused = server.send_message(mail)
    except smtplib.SMTPAuthenticationError as error:
        raise MailError(f"the mail server {place} does not take the user and password under smtp: ({error})") from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailError(f"the mail server {place} cannot do that: {error}. See smtp: tls, user") from error
    except ssl.SSLError as error:
        raise MailError(f"the mail server {place} cannot be trusted: {error}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(f"the mail server {place} did not take the mail: {error}") from error
    if refused:
        raise MailError(f"the mail server {place} refused {', '.join(refused)}")
