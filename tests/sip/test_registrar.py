"""The registrar: telephones come, stay, move and go; and those who guess passwords."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gateway.sip.digest import answer_challenge
from gateway.sip.events import RegistrationChanged
from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response
from gateway.sip.settings import RegistrarSettings
from tests.sip.session_link import OFFER, Network, Packet, Phone, Script, plain_config

PASSWORDS = {"101": "eins", "102": "zwei"}


class Site:
    """A gateway with two seats, and telephones that are scripts."""

    def __init__(self, **settings: object) -> None:
        self.network = Network()
        registrar = replace(RegistrarSettings(ping_interval=None), **settings)  # type: ignore[arg-type]
        config = plain_config(accounts=PASSWORDS, registrar=registrar)
        self.gateway = Phone(self.network, "192.0.2.1", config=config)
        self.registrar = self.gateway.agent.registrar
        self.phone = Script(self.network, "192.0.2.2")
        self.cseq = 0

    def sends(self, request: Request, phone: Script | None = None) -> Response:
        phone = phone or self.phone
        phone.says(request, self.gateway)
        self.network.run(0.1)
        found = [m for m in phone.received if isinstance(m, Response)]
        return found[-1]

    def register(
        self,
        account: str = "101",
        *,
        password: str | None = None,
        phone: Script | None = None,
        contacts: Iterable[str] | None = None,
        expires: str | None = None,
        call_id: str | None = None,
        to: str | None = None,
        cseq: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        phone = phone or self.phone
        host = phone.place[0]
        self.cseq = self.cseq + 2 if cseq is None else cseq
        contacts = [f"<sip:{account}@{host}:{phone.place[1]}>"] if contacts is None else contacts

        def request(number: int) -> Request:
            made = phone.request("REGISTER", self.gateway, cseq=number, call_id=call_id or f"reg-{host}")
            made.headers.remove("Contact")
            made.headers.set("To", to or f"<sip:{account}@192.0.2.1>")
            made.headers.set("From", f"<sip:{account}@192.0.2.1>;tag=x")
            for contact in contacts:
                made.headers.add("Contact", contact)
            if expires is not None:
                made.headers.add("Expires", expires)
            for name, value in headers:
                made.headers.add(name, value)
            return made

        first = request(self.cseq)
        reply = self.sends(first, phone)
        if reply.status != 401:
            return reply
        second = request(self.cseq + 1)
        answer = answer_challenge(first, reply, account, password or PASSWORDS.get(account, "?"))
        assert answer is not None
        second.headers.add(*answer)
        return self.sends(second, phone)

    def hops(self, account: str = "101") -> list[Hop]:
        return [binding.hop for binding in self.registrar.bindings(account)]


@pytest.fixture
def site() -> Site:
    return Site()


def expires_of(response: Response) -> list[int]:
    return [int(contact.params["expires"] or 0) for contact in response.contacts]


def test_telephone_registers_refreshes_and_leaves(site: Site) -> None:
    reply = site.register()
    assert reply.status == 200
    assert expires_of(reply) == [3600]
    assert site.gateway.last(RegistrationChanged).account == "101"
    site.network.run(100)
    assert expires_of(site.register(contacts=[])) == [3500]
    assert expires_of(site.register(expires="600")) == [600]
    assert len(site.gateway.told(RegistrationChanged)) == 1
    assert site.register(expires="0").contacts == ()
    assert site.gateway.last(RegistrationChanged).bindings == ()
    assert site.registrar.bindings("101") == []


def test_binding_ends_with_its_time(site: Site) -> None:
    site.register(expires="120")
    site.network.run(119)
    assert site.registrar.bindings("101")
    site.network.run(2)
    assert not site.registrar.bindings("101")
    assert site.gateway.last(RegistrationChanged).bindings == ()
    assert site.gateway.agent.sizes()["seats"] == 0


@pytest.mark.parametrize(
    ("contact", "header", "granted"),
    [
        ("<sip:101@192.0.2.2>;expires=300", "600", 300),
        ("<sip:101@192.0.2.2>", "30", 30),
        ("<sip:101@192.0.2.2>", "600", 600),
        ("<sip:101@192.0.2.2>", None, 3600),
        ("<sip:101@192.0.2.2>;expires=junk", "600", 3600),
        ("<sip:101@192.0.2.2>;expires=999999", None, 7200),
    ],
)
def test_how_long(site: Site, contact: str, header: str | None, granted: int) -> None:
    assert expires_of(site.register(contacts=[contact], expires=header)) == [granted]


def test_too_brief(site: Site) -> None:
    reply = site.register(expires="4")
    assert (reply.status, reply.headers.get("Min-Expires")) == (423, "5")
    assert not site.registrar.bindings("101")


def test_several_telephones_by_preference(site: Site) -> None:
    site.register(contacts=["<sip:a@192.0.2.2>;q=0.5, <sip:b@192.0.2.2>", "<sip:c@192.0.2.2>;q=nonsense"])
    assert [binding.q for binding in site.registrar.bindings("101")] == [1.0, 1.0, 0.5]
    site.register(contacts=["*"], expires="0")
    assert not site.registrar.bindings("101")


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [(["*"], "10"), (["*"], None), (["*", "<sip:a@b>"], "0"), (["<mailto:x@y>"], None), (["<<"], None)],
)
def test_contacts_that_are_none(site: Site, contacts: list[str], expires: str | None) -> None:
    assert site.register(contacts=contacts, expires=expires).status == 400


def test_order_of_requests_with_one_call_id(site: Site) -> None:
    site.register(cseq=100)
    assert site.register(cseq=50, expires="0").status == 500
    assert site.register(cseq=50, contacts=["*"], expires="0").status == 500
    assert site.registrar.bindings("101")
    assert site.register(cseq=1, call_id="another", expires="0").status == 200
    assert not site.registrar.bindings("101")


def test_all_of_a_request_or_nothing(site: Site) -> None:
    assert site.register(contacts=["<sip:a@192.0.2.2>", "<sip:b@192.0.2.2>;expires=4"]).status == 423
    assert not site.registrar.bindings("101")


def test_one_not_heard_of_longest_makes_room() -> None:
    site = Site(max_bindings=3)
    for number in range(6):
        site.register(contacts=[f"<sip:101@192.0.2.2:{6000 + number}>"], call_id=f"boot-{number}")
    ports = [binding.contact.port for binding in site.registrar.bindings("101")]
    assert ports == [6005, 6004, 6003]
    assert site.register(contacts=[f"<sip:x@192.0.2.2:{n}>" for n in range(1, 5)]).status == 403


def test_same_telephone_under_another_address(site: Site) -> None:
    instance = '+sip.instance="<urn:uuid:1>";reg-id=1'
    site.register(contacts=[f"<sip:101@192.0.2.2:6000>;{instance}"])
    site.register(contacts=[f"<sip:101@192.0.2.2:7000>;{instance}"], call_id="after-boot")
    assert [binding.contact.port for binding in site.registrar.bindings("101")] == [7000]


def test_who_may_register(site: Site) -> None:
    assert site.register(password="wrong").status == 403
    assert site.register("999", password="x").status == 403
    assert site.register(to="<sip:102@192.0.2.1>").status == 403
    assert site.gateway.agent.authentication.failures == 2
    config = site.gateway.agent.config
    assert config.domains == frozenset()


def test_foreign_domain() -> None:
    site = Site()
    site.registrar._config = replace(site.gateway.agent.config, domains=frozenset({"pbx.example"}))
    assert site.register().status == 404
    assert site.register(to="<sip:101@PBX.example>").status == 200


def test_guessing_is_braked(site: Site) -> None:
    for _ in range(10):
        assert site.register(password="wrong").status == 403
    assert site.register().status == 403
    assert site.gateway.agent.authentication.refused_unseen == 1
    # The neighbour behind the same address is not locked out by one telephone with an old password.
    assert site.register("102").status == 200
    other = Script(site.network, "192.0.2.77")
    assert site.register(phone=other).status == 200
    site.network.run(301)
    assert site.register().status == 200


def test_memory_of_failures_is_bounded() -> None:
    site = Site(failure_sources=20)
    for number in range(50):
        site.gateway.agent.authentication.brake.failed(f"10.0.0.{number}", "101", site.network.now)
    assert len(site.gateway.agent.authentication.brake) == 20


def test_behind_a_nat_the_source_counts(site: Site) -> None:
    site.register(contacts=["<sip:101@10.1.2.3:5060>"])
    binding = site.registrar.bindings("101")[0]
    assert (binding.hop.host, binding.hop.port, binding.behind_nat) == ("192.0.2.2", 5060, True)
    site.gateway.agent.invite(binding.contact, binding.hop, from_=NameAddr.parse("<sip:x@y>"), sdp=OFFER)
    site.network.run(0.1)
    invite = site.phone.requests("INVITE")[0]
    assert str(invite.uri) == "sip:101@10.1.2.3:5060"
    site.phone.responds(invite, 200, site.gateway, body=OFFER, headers=[("Contact", "<sip:101@203.0.113.5:1234>")])
    site.network.run(0.1)
    # Its own idea of where it is stays wrong in the Contact of the answer.
    assert site.phone.requests("ACK")


def test_connection_lost_takes_the_binding_along(site: Site) -> None:
    hop = Hop("tcp", "192.0.2.2", 50_000, 7, ("192.0.2.1", 5060))
    request = site.phone.request("REGISTER", site.gateway, contact="<sip:101@10.0.0.1;transport=tcp>")
    request.headers.set("To", "<sip:101@192.0.2.1>")
    agent = site.gateway.agent
    agent.receive(request.encode(), hop, site.network.now)
    (challenge,) = [data for data, _ in agent.messages_to_send()]
    answer = answer_challenge(request, Packet(challenge, ("", 0), ("", 0)).message, "101", "eins")  # type: ignore[arg-type]
    assert answer is not None
    again = request.copy()
    again.headers.set("CSeq", "2 REGISTER")
    again.headers.set("Via", "SIP/2.0/TCP 10.0.0.1;branch=z9hG4bKother")
    again.headers.add(*answer)
    agent.receive(again.encode(), hop, site.network.now)
    assert site.hops() == [hop]
    assert agent.registrar.account_at(hop) == "101"
    agent.hop_lost(hop, site.network.now)
    assert site.hops() == []
    assert agent.registrar.account_at(hop) is None


def test_pings_keep_the_door_open_and_silence_drops_the_binding() -> None:
    site = Site(ping_interval=30.0, ping_failures=2)
    site.register(contacts=["<sip:101@10.1.2.3>"])
    site.network.run(35)
    ping = site.phone.requests("OPTIONS")[0]
    assert str(ping.uri) == "sip:101@10.1.2.3"
    site.phone.says(ping.respond(404, to_tag="p"), site.gateway)
    site.network.run(61)
    assert site.registrar.bindings("101")
    site.network.run(60)
    assert not site.registrar.bindings("101")
    site.network.run(100)
    assert set(site.gateway.agent.sizes().values()) == {0}


def test_no_pings_without_a_nat() -> None:
    site = Site(ping_interval=30.0)
    site.register()
    site.network.run(200)
    assert not site.phone.requests("OPTIONS")


def test_no_registrar_without_accounts() -> None:
    network = Network()
    gateway, phone = Phone(network, "192.0.2.1"), Script(network, "192.0.2.2")
    phone.says(phone.request("REGISTER", gateway), gateway)
    network.run()
    refused = phone.responses(405)[0]
    assert "REGISTER" not in refused.allow
