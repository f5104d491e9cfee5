"""What the site file says of TLS: our certificate, and whose we believe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.certificates import CertificateError, CertificateFiles, check_files, client_context
from ivr.flow.kinds import Text
from ivr.flow.loader import shown
from ivr.flow.settings import setting
from ivr.flow.source import Node
from ivr.site.kinds import SiteReader
from ivr.site.model import TlsSettings

__all__ = ["TlsPart", "read_tls"]


@dataclass(frozen=True, slots=True)
class TlsPart:
    certificate: str | None = setting(
        Text("a path", 1000),
        "what we show to telephones and browsers: a certificate with its chain (PEM); read again when it changes; "
        "unset, one for local use is made",
        default=None,
    )
    key: str | None = setting(
        Text("a path", 1000), "its key (PEM, without a password); unset, it is in the same file", default=None
    )
    ca: str | None = setting(
        Text("a path", 1000), "certificates that trunks may show beside the usual ones (PEM)", default=None
    )


def read_tls(part: TlsPart, node: Node, folder: Path, reader: SiteReader) -> TlsSettings:
    """The files that are named, looked into: a start that fails for them is found before it."""
    certificate, key, ca = (None if path is None else folder / path for path in (part.certificate, part.key, part.ca))
    if certificate is None and key is not None:
        reader.problem("E012", node, "tls has a key without a certificate", "add certificate:, or leave key out")
    try:
        if certificate is not None:
            check_files(CertificateFiles(Path(shown(certificate)), Path(shown(key or certificate))))
        if ca is not None:
            client_context(ca=Path(shown(ca)))
    except CertificateError as error:
        reader.problem("E209", node, str(error), "name files that hold what TLS needs, and that we may read")
    return TlsSettings(certificate, key, ca)
