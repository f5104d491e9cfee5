"""Our registration at a trunk: with a registrar of our own as the trunk, and with a scripted one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.sip.events import TrunkRegistered, TrunkRegistrationFailed
from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.registration import TrunkRegistration, TrunkSettings
from gateway.sip.settings import Credentials, RegistrarSettings
from gateway.sip.uri import SipUri
from tests.sip.session_link import Network, Node, Phone, Script, plain_config


def settings(gateway: Phone, trunk: Node, **more: object) -> TrunkSettings:
    made = TrunkSettings(
        name="carrier",
        registrar=SipUri.parse(f"sip:{trunk.place[0]}"),
        address=SipUri.parse(f"sip:me@{trunk.place[0]}"),
        hop=gateway.hop_to(trunk),
        credentials=Credentials("me", "secret"),
        expires=600,
    )
    return replace(made, **more)  # type: ignore[arg-type]


class Carrier:
    """A gateway that registers at a scripted trunk."""

    def __init__(self, **more: object) -> None:
        self.network = Network()
        self.gateway = Phone(self.network, "192.0.2.1")
        self.trunk = Script(self.network, "192.0.2.9")
        self.registration: TrunkRegistration = self.gateway.agent.register_trunk(
            settings(self.gateway, self.trunk, **more)
        )
        self.network.run(0.1)

    @property
    def latest(self) -> Request:
        return self.trunk.requests("REGISTER")[-1]

    def says(self, status: int, headers: Iterable[tuple[str, str]] = (), *, echo: int | None = None) -> None:
        items = [*headers]
        if echo is not None:
            items.append(("Contact", f"<{self.latest.contacts[0].uri}>;expires={echo}"))
        self.trunk.responds(self.latest, status, self.gateway, headers=items, contact=False)
        self.network.run(0.1)

    def failed(self) -> TrunkRegistrationFailed:
        return self.gateway.last(TrunkRegistrationFailed)


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


def test_registers_refreshes_and_leaves_at_a_real_registrar() -> None:
    network = Network()
    config = plain_config(accounts={"me": "secret"}, registrar=RegistrarSettings(max_expires=120))
    trunk, gateway = Phone(network, "192.0.2.9", config=config), Phone(network, "192.0.2.1")
    registration = gateway.agent.register_trunk(settings(gateway, trunk))
    network.run(1)
    assert gateway.last(TrunkRegistered).expires == 120
    assert trunk.agent.registrar.bindings("me")[0].hop.host == "192.0.2.1"
    network.run(1000)
    assert registration.registered
    assert len(gateway.told(TrunkRegistered)) == 1 + 1000 // 90
    assert not gateway.told(TrunkRegistrationFailed)
    # The nonce was good for many requests, and when it was not, the trunk was asked again.
    assert len(network.sent(401)) <= 1 + 1000 // 300
    gateway.agent.unregister_trunk("carrier")
    network.run(1)
    assert trunk.agent.registrar.bindings("me") == []
    network.run(200)
    assert set(gateway.agent.sizes().values()) == {0}


def test_same_call_id_and_rising_cseq(carrier: Carrier) -> None:
    carrier.says(200, echo=100)
    carrier.network.run(76)
    carrier.says(200, echo=100)
    first, second = carrier.trunk.requests("REGISTER")[0], carrier.latest
    assert first.call_id == second.call_id
    assert second.cseq.number == first.cseq.number + 1
    assert str(first.to) == str(second.to) == "<sip:me@192.0.2.9>"
    assert str(first.uri) == "sip:192.0.2.9"


def test_granted_time_of_our_contact_counts(carrier: Carrier) -> None:
    ours = carrier.latest.contacts[0].uri
    carrier.says(200, [("Contact", "<sip:other@192.0.2.77>;expires=10"), ("Contact", f"<{ours}>;expires=300")])
    assert carrier.gateway.last(TrunkRegistered).expires == 300


def test_too_brief(carrier: Carrier) -> None:
    carrier.says(423, [("Min-Expires", "1800")])
    assert carrier.latest.expires == 1800
    assert carrier.latest.contacts[0].params["expires"] == "1800"
    carrier.says(200, [("Expires", "1800")])
    assert carrier.gateway.last(TrunkRegistered).expires == 1800


def test_too_brief_without_saying_what_is_not(carrier: Carrier) -> None:
    carrier.says(423)
    assert carrier.failed().status == 423


def challenge(nonce: str, stale: bool = False) -> list[tuple[str, str]]:
    mark = ", stale=true" if stale else ""
    return [("WWW-Authenticate", f'Digest realm="carrier", nonce="{nonce}", qop="auth"{mark}')]


def test_stale_nonce(carrier: Carrier) -> None:
    carrier.says(401, challenge("one"))
    carrier.says(200, echo=100)
    carrier.network.run(76)
    # By the challenge that is known already.
    assert 'nonce="one"' in (carrier.latest.headers.get("Authorization") or "")
    carrier.says(401, challenge("two", stale=True))
    assert carrier.latest.headers.get_all("Authorization")[0].count('nonce="two"') == 1
    assert len(carrier.latest.headers.get_all("Authorization")) == 1
    carrier.says(200, echo=100)
    assert carrier.registration.registered


def test_wrong_password_goes_out_once_an_attempt(carrier: Carrier) -> None:
    carrier.says(401, challenge("one"))
    carrier.says(401, challenge("two"))
    assert len(carrier.trunk.requests("REGISTER")) == 2
    assert carrier.failed().status == 401
    assert 15 <= (carrier.failed().retry_after or 0) <= 30


def test_pauses_grow_and_are_bounded(carrier: Carrier) -> None:
    pauses = []
    for _ in range(12):
        carrier.says(500)
        pause = carrier.failed().retry_after or 0
        pauses.append(pause)
        before = len(carrier.trunk.requests("REGISTER"))
        carrier.network.run(pause + 0.1)
        assert len(carrier.trunk.requests("REGISTER")) == before + 1
    assert pauses[0] <= 30
    assert 30 <= pauses[2] <= 120
    assert all(900 <= pause <= 1800 for pause in pauses[-4:])
    carrier.says(200, echo=100)
    carrier.network.run(80)
    carrier.says(500)
    assert (carrier.failed().retry_after or 0) <= 30


def test_retry_after_is_heeded(carrier: Carrier) -> None:
    carrier.says(503, [("Retry-After", "120 (maintenance)")])
    assert carrier.failed().retry_after == 120


def test_silence(carrier: Carrier) -> None:
    carrier.network.run(33)
    assert (carrier.failed().status, carrier.failed().reason) == (None, "timeout")
    assert not carrier.registration.registered


def test_lost_connection_registers_again_soon() -> None:
    hop = Hop("tcp", "192.0.2.9", 5060, None, ("192.0.2.1", 5060))
    carrier = Carrier(hop=hop)
    carrier.says(200, echo=3600)
    before = len(carrier.trunk.requests("REGISTER"))
    carrier.gateway.agent.hop_lost(replace(hop, connection=4), carrier.network.now)
    carrier.network.run(3)
    assert len(carrier.trunk.requests("REGISTER")) == before + 1


def test_stop_before_the_answer(carrier: Carrier) -> None:
    carrier.gateway.agent.unregister_trunk("carrier")
    carrier.says(200, echo=100)
    carrier.network.run(200)
    assert not carrier.gateway.told(TrunkRegistered)
    assert set(carrier.gateway.agent.sizes().values()) == {0}


@pytest.mark.parametrize(
    "headers", [[("Contact", "<<")], [("Expires", "junk")], [("Contact", "<sip:x@y>;expires=zzz")], []]
)
def test_odd_answers_count_as_what_was_asked(carrier: Carrier, headers: list[tuple[str, str]]) -> None:
    carrier.says(200, headers)
    assert carrier.gateway.last(TrunkRegistered).expires == 600
