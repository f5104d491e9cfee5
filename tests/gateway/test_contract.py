"""What the gateway uses of aiortc, aioice and pylibsrtp beyond what they document.

They may change it in any release. When their pins in constraints.txt move and something fails here, look at the
place that is named before anything else: gateway/rtc/peer.py and candidates.py for ICE and DTLS,
gateway/media/srtp.py for SRTP.
"""

from __future__ import annotations

import ctypes
import inspect
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aioice.candidate
import aioice.ice
import aioice.stun
import aiortc
import aiortc.rtcdtlstransport as dtls
import pytest

from gateway.media.srtp import find_libsrtp
from gateway.rtc import peer as ours

PEER = "gateway/rtc/peer.py"
CANDIDATES = "gateway/rtc/candidates.py"


def has(thing: object, name: str, where: str) -> Any:
    found = getattr(thing, name, None)
    owner = getattr(thing, "__name__", thing)
    assert found is not None, f"{owner}.{name} is gone; {where} needs it: read the new source and change it there"
    return found


def takes(function: Any, parameters: list[str], where: str) -> None:
    found = list(inspect.signature(function).parameters)
    missing = [name for name in parameters if name not in found]
    assert not missing, f"{function.__qualname__}{tuple(found)} has lost {missing}; {where} calls it with them"


def connection() -> aioice.ice.Connection:
    return aioice.ice.Connection(ice_controlling=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_protocols", list),
        ("_local_candidates", list),
        ("_local_candidates_start", bool),
        ("_local_candidates_end", bool),
        ("_nominated", dict),
        ("_check_list", list),
    ],
)
def test_what_our_ice_sets_of_a_connection(name: str, kind: type) -> None:
    found = vars(connection()).get(name)
    assert isinstance(found, kind), f"aioice.Connection.{name} is {found!r}; {PEER} _Ice takes it for a {kind.__name__}"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("check_complete", ["self", "pair"]),
        ("check_incoming", ["self", "message", "addr", "protocol"]),
        ("data_received", ["self", "data", "component"]),
        ("query_consent", ["self"]),
    ],
)
def test_what_our_ice_overrides(name: str, parameters: list[str]) -> None:
    function = has(aioice.ice.Connection, name, f"{PEER} _Ice overrides it and")
    found = list(inspect.signature(function).parameters)
    assert found == parameters, f"aioice.Connection.{name} takes {found}; {PEER} _Ice.{name} must take the same"
    source = inspect.getsource(aioice.ice)
    assert f".{name}(" in source, f"aioice calls {name} no more, so _Ice.{name} in {PEER} has no effect"


def test_names_of_aioice() -> None:
    for name in ("add_remote_candidate", "connect", "close", "get_event", "local_username", "local_password"):
        has(aioice.ice.Connection, name, PEER)
    for name in ("remote_username", "remote_password", "remote_is_lite", "ice_controlling"):
        assert name in vars(connection()), f"aioice.Connection.{name} is gone; {PEER} RtcPeer.apply sets it"
    for name in ("connection_made", "datagram_received"):
        has(aioice.ice.StunProtocol, name, PEER)
    has(aioice.ice.CandidatePair, "remote_addr", PEER)
    takes(aioice.ice.Connection.build_request, ["self", "pair", "nominate"], f"{PEER} _Ice._consent_on")
    assert "_query_consent_task" in vars(connection()), (
        f"{PEER} _Ice.query_consent clears Connection._query_consent_task"
    )
    takes(aioice.ice.server_reflexive_candidate, ["protocol", "stun_server"], PEER)
    takes(aioice.ice.get_host_addresses, ["use_ipv4", "use_ipv6"], CANDIDATES)
    takes(aioice.candidate.candidate_foundation, ["candidate_type", "candidate_transport", "base_address"], CANDIDATES)
    for name, usual in (("CONSENT_INTERVAL", 5), ("CONSENT_FAILURES", 6)):
        assert getattr(aioice.ice, name, None) == usual, (
            f"aioice.ice.{name} is not {usual}: consent ends at another time"
        )


def test_a_protocol_of_stun_has_what_is_asked_of_it() -> None:
    source = inspect.getsource(aioice.ice.StunProtocol)
    for words in ("self.transactions", "local_candidate", "self.transport.sendto", "self.transport.close()"):
        assert words in source, f"aioice.StunProtocol has no {words!r}; {PEER} _Ice and _LegSocket count on it"


@pytest.mark.parametrize(
    "name",
    ["_set_role", "_set_state", "_setup_srtp", "start", "stop", "state", "_recv_next", "_validate_peer_identity"],
)
def test_what_our_dtls_uses(name: str) -> None:
    has(aiortc.RTCDtlsTransport, name, f"{PEER} _Dtls")


def test_the_handshake_calls_what_our_dtls_overrides() -> None:
    source = inspect.getsource(aiortc.RTCDtlsTransport.start)
    steps = ["_do_handshake(", "_validate_peer_identity(", "_setup_srtp("]
    places = [source.find(step) for step in steps]
    assert -1 not in places, f"RTCDtlsTransport.start does not call all of {steps}"
    assert places == sorted(places), f"{steps} come in another order: {PEER} _Dtls takes keys of a verified peer only"
    assert "__run()" in source, f"{PEER} RtcPeer waits for the good-bye that __run() reads"


def test_what_the_handshake_uses_of_our_path() -> None:
    source = inspect.getsource(aiortc.RTCDtlsTransport)
    names = set(re.findall(r"self\.transport\.(\w+)", source))
    assert {"_recv", "_send"} <= names, f"RTCDtlsTransport has another way to its datagrams: {PEER} _DtlsPath"
    unknown = names - {"_recv", "_send", "role"}
    assert not unknown, f"RTCDtlsTransport uses {unknown} of its ICE transport; {PEER} _DtlsPath has none"


def test_profiles_are_known_to_both() -> None:
    known = {profile.openssl_profile for profile in dtls.SRTP_PROFILES}
    assert known == set(ours._PROFILES), f"{PEER} _PROFILES must name what aiortc offers, and no other: {known}"
    transport = ours._Dtls(ours._DtlsPath(lambda data: None), aiortc.RTCCertificate.generateCertificate(), "client")
    assert transport._srtp_profiles == dtls.SRTP_PROFILES
    for profile in dtls.SRTP_PROFILES:
        material = bytes(range(2 * (profile.key_length + profile.salt_length)))
        client, server = (profile.get_key_and_salt(material, index) for index in (0, 1))
        assert client[: profile.key_length] == material[: profile.key_length]
        assert server[: profile.key_length] == material[profile.key_length : 2 * profile.key_length]
        assert client[profile.key_length :] + server[profile.key_length :] == material[2 * profile.key_length :]
    assert {state.name for state in dtls.State} >= {"NEW", "CONNECTED", "CLOSED", "FAILED"}


@pytest.mark.parametrize(
    "name", ["srtp_init", "srtp_create", "srtp_dealloc", "srtp_protect", "srtp_unprotect", "srtp_protect_rtcp"]
)
def test_pylibsrtp_has_libsrtp_in_it(name: str) -> None:
    library = ctypes.CDLL(str(find_libsrtp()))
    assert hasattr(library, name), f"pylibsrtp's library does not export {name}; gateway/media/native needs it"


@pytest.mark.parametrize("package", ["aiortc", "aioice", "pylibsrtp"])
def test_what_is_installed_is_what_was_looked_at(package: str) -> None:
    pins = (Path(__file__).parents[2] / "constraints.txt").read_text("utf-8").lower().splitlines()
    pin = next((line for line in pins if line.startswith(f"{package}==")), None)
    assert pin is not None, f"{package} has no pin in constraints.txt, and its private names are used"
    assert version(package) == pin.split("==")[1].split()[0]
