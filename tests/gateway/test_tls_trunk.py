"""A trunk over TLS: two gateways, one the carrier of the other. Whether it is believed, and what is encrypted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.call import (
    CallEvent,
    LegAnswered,
    LegEnded,
    LegFailed,
    ListenAddress,
    Target,
    TlsConfig,
    Trunk,
)
from gateway.certificates import CertificateFiles, make_self_signed
from tests.gateway.calls import says_hello
from tests.gateway.exchange import Exchange, Owned
from tests.peers.patience import until

NUMBER = Target("tel", "4930123456")
LISTEN = (ListenAddress("tls", "0.0.0.0", 0), ListenAddress("udp", "127.0.0.1", 0))


@dataclass
class Pair:
    carrier: Exchange
    office: Exchange
    shown: list[bytes]
    """What the office sends and gets over TLS."""

    def calls(self) -> Owned:
        """Somebody in the office who is put through to a number outside."""
        self.office.greets = lambda owned: owned.call.answer()
        self.carrier.greets = says_hello
        self.anna = self.office.wire()
        dialled = self.anna.invite()
        self.anna.takes(dialled, self.anna.is_answered(dialled))
        owned = self.office.takes()

        def react(event: CallEvent) -> None:
            if isinstance(event, LegAnswered):
                owned.call.connect("out")

        owned.react = react
        owned.asks(lambda call: call.dial("out", NUMBER))
        return owned

    def is_over(self, owned: Owned) -> None:
        owned.asks(lambda call: call.hangup())
        self.anna.replies(self.anna.sees("BYE"))
        self.office.is_clean()
        self.carrier.is_clean()


Make = Callable[..., Pair]


@pytest.fixture
def pair(open_exchange: Callable[..., Exchange], tmp_path: Path) -> Make:
    def make(*, trusted: bool = True, **trunk: Any) -> Pair:
        files = CertificateFiles(tmp_path / "carrier.pem", tmp_path / "carrier-key.pem")
        make_self_signed(files)
        carrier = open_exchange(listen=LISTEN, tls=TlsConfig(tmp_path, certificate=files.certificate, key=files.key))
        port = carrier.gateway.addresses[0].port
        host = trunk.pop("host", "127.0.0.1")
        shown: list[bytes] = []
        office = open_exchange(
            listen=tuple(reversed(LISTEN)),
            tls=TlsConfig(tmp_path / "office", ca=files.certificate if trusted else None),
            trunks={"carrier": Trunk("carrier", host, port, "tls", **trunk)},
            trace=lambda direction, data, hop: shown.append(data) if hop.startswith("tls") else None,
        )
        return Pair(carrier, office, shown)

    return make


@pytest.mark.parametrize("srtp", ["require", "prefer"])
def test_a_call_goes_out_encrypted(pair: Make, srtp: str) -> None:
    two = pair(srtp=srtp)
    owned = two.calls()
    owned.hears(LegAnswered)
    other = two.carrier.takes()
    invite = next(data for data in two.shown if data.startswith(b"INVITE"))
    assert (b"RTP/SAVP " in invite) == (srtp == "require")
    assert b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***" in invite
    assert b"Via: SIP/2.0/TLS " in invite
    assert all(b"inline:***" in data for data in two.shown if b"inline:" in data)
    until(lambda: received(two.office, owned) > 20, "nothing is heard of the carrier")
    other.asks(lambda call: call.hangup())
    owned.hears(LegEnded)
    two.is_over(owned)


def received(exchange: Exchange, owned: Owned) -> int:
    def count() -> int:
        party = owned.call._legs["out"]  # type: ignore[attr-defined]
        return int(party.media.statistics().packets_received)

    return exchange.do(count)


@pytest.mark.parametrize(
    "how",
    [{"trusted": False}, {"host": "127.0.0.2"}],
    ids=["signed by nobody we know", "for another name"],
)
def test_one_that_cannot_prove_who_it_is_gets_no_call(
    pair: Make, how: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    two = pair(**how)
    owned = two.calls()
    assert owned.hears(LegFailed).outcome == "failed"
    assert "is not trusted" in caplog.text
    assert not two.carrier.arrivals
    two.is_over(owned)


def test_one_that_is_believed_all_the_same(pair: Make) -> None:
    two = pair(trusted=False, verify=False)
    owned = two.calls()
    owned.hears(LegAnswered)
    two.is_over(owned)


def test_where_encryption_is_required_no_key_goes_out_in_the_clear(open_exchange: Callable[..., Exchange]) -> None:
    office = open_exchange(trunks={"carrier": Trunk("carrier", "127.0.0.1", 9, srtp="require")})
    office.greets = lambda owned: owned.call.answer()
    anna = office.wire()
    dialled = anna.invite()
    anna.takes(dialled, anna.is_answered(dialled))
    owned = office.takes()
    owned.asks(lambda call: call.dial("out", NUMBER))
    assert owned.hears(LegFailed).status == 488
    owned.asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE"))
