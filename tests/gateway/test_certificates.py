"""Certificates: made for local use, read from files, looked at again, and kept when what is there now is none."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.certificates import (
    CertificateError,
    CertificateFiles,
    Certificates,
    check_files,
    client_context,
    make_self_signed,
)


def pair(folder: Path, name: str = "own") -> CertificateFiles:
    files = CertificateFiles(folder / f"{name}.pem", folder / f"{name}-key.pem")
    make_self_signed(files)
    return files


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def shown(context: ssl.SSLContext) -> int:
    """The serial number of the certificate that a client gets to see."""
    ours, theirs = socket.socketpair()
    server = context.wrap_bio(incoming := ssl.MemoryBIO(), outgoing := ssl.MemoryBIO(), server_side=True)
    client = client_context(verify=False).wrap_bio(theirs_in := ssl.MemoryBIO(), theirs_out := ssl.MemoryBIO())
    done = set[str]()
    while len(done) < 2:
        for name, side in (("client", client), ("server", server)):
            try:
                side.do_handshake()
                done.add(name)
            except ssl.SSLWantReadError:
                pass
            theirs_in.write(outgoing.read())
            incoming.write(theirs_out.read())
    ours.close()
    theirs.close()
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def replace_by(files: CertificateFiles, others: CertificateFiles) -> None:
    others.certificate.replace(files.certificate)
    others.key.replace(files.key)


def test_one_is_made_for_local_use_and_kept(tmp_path: Path) -> None:
    made = Certificates(None, state=tmp_path / "var", names=["sip.example.net", "192.0.2.7"])
    path = tmp_path / "var" / "tls-certificate.pem"
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "sip.example.net"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "::1", "192.0.2.7"} <= {str(one) for one in names.get_values_for_type(x509.IPAddress)}
    assert stat.S_IMODE((tmp_path / "var" / "tls-key.pem").stat().st_mode) == 0o600
    assert shown(made.context) == serial(path)
    again = Certificates(None, state=tmp_path / "var")
    assert shown(again.context) == shown(made.context)


def test_one_that_runs_out_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.certificates._VALID", timedelta(days=20))
    made = Certificates(None, state=tmp_path)
    before = shown(made.context)
    monkeypatch.undo()
    made.look()
    assert shown(made.context) != before
    until = check_files(CertificateFiles(tmp_path / "tls-certificate.pem", tmp_path / "tls-key.pem"))
    assert until > datetime.now(UTC) + timedelta(days=300)


def test_a_client_believes_what_it_was_told_to(tmp_path: Path) -> None:
    files = pair(tmp_path)
    assert client_context(ca=files.certificate).check_hostname
    assert client_context(verify=False).verify_mode is ssl.CERT_NONE
    with pytest.raises(CertificateError, match=r"key.pem holds no certificates to trust"):
        client_context(ca=files.key)
    with pytest.raises(CertificateError, match=r"none.pem holds no certificates"):
        client_context(ca=tmp_path / "none.pem")


def test_new_connections_get_the_new_one(tmp_path: Path) -> None:
    files = pair(tmp_path)
    certificates = Certificates(files, state=tmp_path)
    before = shown(certificates.context)
    certificates.look()
    assert shown(certificates.context) == before
    replace_by(files, pair(tmp_path, "next"))
    certificates.look()
    assert shown(certificates.context) == serial(files.certificate) != before


def no_certificate(files: CertificateFiles) -> None:
    files.certificate.write_text("to be continued")


def another_key(files: CertificateFiles) -> None:
    pair(files.key.parent, "other").key.replace(files.key)


def half_a_key(files: CertificateFiles) -> None:
    files.key.write_bytes(files.key.read_bytes()[:60])


def nothing(files: CertificateFiles) -> None:
    files.certificate.unlink()


def no_end(files: CertificateFiles) -> None:
    files.certificate.unlink()
    files.certificate.symlink_to("/dev/zero")


def a_key_with_a_password(files: CertificateFiles) -> None:
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"open sesame")
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))


BREAKS = [no_certificate, another_key, half_a_key, nothing, no_end, a_key_with_a_password]


@pytest.mark.parametrize("breaks", BREAKS)
def test_a_broken_pair_changes_nothing_but_the_log(
    tmp_path: Path, breaks: Callable[[CertificateFiles], None], caplog: pytest.LogCaptureFixture
) -> None:
    files = pair(tmp_path)
    certificates = Certificates(files, state=tmp_path)
    before = shown(certificates.context)
    descriptors = len(os.listdir("/proc/self/fd"))
    breaks(files)
    with caplog.at_level(logging.ERROR):
        certificates.look()
        certificates.look()
    assert len(caplog.records) == 1, "it is told once"
    assert str(files.certificate) in caplog.text or str(files.key) in caplog.text
    assert shown(certificates.context) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors
    files.certificate.unlink(missing_ok=True)
    replace_by(files, pair(tmp_path, "next"))
    certificates.look()
    assert shown(certificates.context) == serial(files.certificate)


@pytest.mark.parametrize("breaks", BREAKS)
def test_nothing_starts_with_a_broken_pair(tmp_path: Path, breaks: Callable[[CertificateFiles], None]) -> None:
    files = pair(tmp_path)
    breaks(files)
    with pytest.raises(CertificateError, match=r"own.*\.pem"):
        Certificates(files, state=tmp_path)


def test_it_looks_by_itself(tmp_path: Path) -> None:
    files = pair(tmp_path)

    async def story() -> None:
        certificates = Certificates(files, state=tmp_path, look_every=0.02)
        certificates.watch()
        replace_by(files, pair(tmp_path, "next"))
        async with asyncio.timeout(10):
            while shown(certificates.context) != serial(files.certificate):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        await certificates.close()

    asyncio.run(story())


def test_one_that_is_about_to_run_out_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.certificates._VALID", timedelta(days=3))
    Certificates(pair(tmp_path), state=tmp_path)
    assert "renew it" in caplog.text
