"""The certificate that servers of ours show: read from files, looked at again while we run, or made for local use.

One SSLContext for every listener. New connections get what the files hold now; a pair of files that does not fit
together, or is half written, changes nothing but the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "CertificateError",
    "CertificateFiles",
    "Certificates",
    "check_files",
    "client_context",
    "make_self_signed",
]

log = logging.getLogger(__name__)

# Seconds between two looks at the files: a renewal is minutes or weeks before the end of the old one.
_LOOK_EVERY = 10.0
_VALID = timedelta(days=397)
"""What browsers take at most from anybody."""
_RENEWED_BEFORE = timedelta(days=30)
_WARNED_BEFORE = timedelta(days=7)
_MOST_BYTES = 1_000_000
"""A chain has 10 kB; a path that leads to a device has no end."""


class CertificateError(ValueError):
    """A certificate or key that cannot be used: which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate and its key are: PEM, the certificate first in its chain; one file may hold both."""

    certificate: Path
    key: Path


class Certificates:
    """Owns the context of our TLS servers, and watches where its certificate comes from.

    Without ``files`` a certificate for ``names`` is made in ``state``, once, and again before it runs out.
    """

    def __init__(
        self,
        files: CertificateFiles | None,
        *,
        state: Path,
        names: Iterable[str] = (),
        look_every: float = _LOOK_EVERY,
    ) -> None:
        """Reads the files. Raises CertificateError."""
        self._made = files is None
        self._files = files or CertificateFiles(state / "tls-certificate.pem", state / "tls-key.pem")
        self._names = tuple(dict.fromkeys(names))
        self._look_every = look_every
        self._seen: tuple[object, ...] | None = None
        self._warned_of: datetime | None = None
        self._watching: asyncio.Task[None] | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._made:
            self._make_if_needed()
        self._seen = self._state_of_files()
        self._load()

    def watch(self) -> None:
        """Look at the files again and again from now on, until :meth:`close`."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="watch certificate")

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._look_every)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take what the files hold, if they have changed. Blocks; never raises for what is in them."""
        try:
            if self._made:
                self._make_if_needed()
            seen = self._state_of_files()
            if seen == self._seen:
                return
            self._seen = seen
            self._load()
        except CertificateError as error:
            log.error("the certificate is NOT renewed, the former one stays in use: %s", error)
        else:
            log.info("TLS: new connections get the certificate now in %s", self._files.certificate)

    def _state_of_files(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in (self._files.certificate, self._files.key):
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _load(self) -> None:
        files = self._files
        until = _load_into(self.context, files)
        if until - datetime.now(UTC) < _WARNED_BEFORE and until != self._warned_of:
            self._warned_of = until
            log.warning("the certificate in %s is valid until %s only: renew it", files.certificate, until)

    def _make_if_needed(self) -> None:
        with contextlib.suppress(CertificateError):
            until = _valid_until(_read(self._files.certificate), self._files.certificate)
            if until - datetime.now(UTC) > _RENEWED_BEFORE and self._files.key.is_file():
                return
        try:
            make_self_signed(self._files, self._names)
        except OSError as error:
            raise CertificateError(f"{error.filename}: no certificate can be made there: {error.strerror}") from error
        log.warning(
            "TLS: no certificate is configured; %s was made, which browsers and telephones warn of or refuse",
            self._files.certificate,
        )


def check_files(files: CertificateFiles) -> datetime:
    """Until when the certificate is valid. Raises CertificateError if it cannot be used."""
    return _load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)


def _load_into(context: ssl.SSLContext, files: CertificateFiles) -> datetime:
    # Read once: what has been tried is what is taken, whatever is written to the files meanwhile.
    certificate, key = _read(files.certificate), _read(files.key)
    until = _valid_until(certificate, files.certificate)
    with _as_file(certificate) as certificate_path, _as_file(key) as key_path:
        try:
            # In the real context a key that does not fit would leave the new certificate with the old key.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_path, key_path, _no_password)
            context.load_cert_chain(certificate_path, key_path, _no_password)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise CertificateError(
                f"{files.certificate} and {files.key} are not a certificate and its key: {_words_of(error)}; "
                "both must be PEM, the key without a password, and made for each other"
            ) from error
    return until


def make_self_signed(files: CertificateFiles, names: Iterable[str] = ()) -> None:
    """Make a certificate for this machine, and for ``names`` (hosts and addresses). Raises OSError."""
    wanted = dict.fromkeys(["localhost", "127.0.0.1", "::1", socket.gethostname(), *names])
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64] or "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of telephones are seldom right.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in wanted if name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files.certificate.parent.mkdir(parents=True, exist_ok=True)
    _write(
        files.key,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    _write(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def client_context(*, verify: bool = True, ca: Path | None = None) -> ssl.SSLContext:
    """For connections that we make: the server must prove the name it was called by (RFC 5922 section 7.3).

    ``ca``: certificates trusted beside the usual ones. Without ``verify`` anybody is believed, and the connection
    protects against listeners only. Raises CertificateError.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (ssl.SSLError, OSError) as error:
            raise CertificateError(f"{ca} holds no certificates to trust: {_words_of(error)}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode() if not name.isascii() else name)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise CertificateError(f"{path} is too large to be a certificate or a key")
    return data


def _valid_until(certificate: bytes, path: Path) -> datetime:
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)") from error
    return found.not_valid_after_utc


def _write(path: Path, data: bytes) -> None:
    """All or nothing, and for nobody else's eyes."""
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    passing.replace(path)


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path for OpenSSL, of a file that is nowhere on the disk."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _no_password() -> str:
    # Otherwise OpenSSL asks for one on the terminal, and everything waits for the answer.
    raise ValueError("the key wants a password")


def _words_of(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(error) or type(error).__name__
