"""The messages: what is taken, what is refused and how, and that the documents say the same as the program."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtc.answers import Failure, LoginOk, PresenceOk
from gateway.rtc.asyncapi import document, document_text, message_schema
from gateway.rtc.errors import CODES
from gateway.rtc.fields import ProtocolError, example, in_wire_form
from gateway.rtc.limits import CONTENT_BYTES, FRAME_BYTES, MESSAGE_BYTES, SUBSCRIPTIONS
from gateway.rtc.notifications import NOTIFICATIONS, Invited, MessageReceived
from gateway.rtc.protocol import CLOSINGS, Envelope, answer_text, notification_text, parse_request
from gateway.rtc.requests import REQUESTS, Ack, Invite, Login, OfferCandidate, Request, SendMessage
from gateway.rtc.values import Candidate, Description, IceServerInfo, RightsInfo

DOCS = Path(__file__).parents[2] / "docs"
OFFER = {"type": "offer", "sdp": "v=0\r\n"}


def said(**fields: Any) -> Envelope:
    return parse_request(json.dumps(fields))


def refused(**fields: Any) -> ProtocolError:
    envelope = said(**fields)
    assert envelope.request is None
    assert envelope.error is not None
    assert envelope.error.code in CODES
    return envelope.error


def test_the_document_is_made_from_the_messages() -> None:
    written = (DOCS / "rtc-protocol.asyncapi.yaml").read_text(encoding="utf-8")
    assert written == document_text(), "python -m gateway.rtc.asyncapi"
    assert yaml.safe_load(written) == json.loads(json.dumps(document()))


def test_every_code_is_explained_in_words() -> None:
    words = (DOCS / "rtc-protocol.md").read_text(encoding="utf-8")
    for code in CLOSINGS:
        assert f"| {code} |" in words
    for type_ in REQUESTS:
        assert type_ in words
    for type_ in NOTIFICATIONS:
        assert type_ in words


@pytest.mark.parametrize("request_class", REQUESTS.values(), ids=REQUESTS)
def test_the_sample_of_every_request_is_taken_and_fits_its_schema(request_class: type[Request]) -> None:
    sample: dict[str, Any] = {"type": request_class.type, **example(request_class)}
    if request_class is not Ack:
        sample["id"] = 3
    jsonschema.validate(sample, message_schema(request_class))
    envelope = said(**sample)
    assert envelope.error is None
    assert isinstance(envelope.request, request_class)
    assert envelope.id == sample.get("id")
    assert in_wire_form(envelope.request) == example(request_class)


@pytest.mark.parametrize("request_class", REQUESTS.values(), ids=REQUESTS)
def test_what_a_request_lacks_or_has_too_much_is_named(request_class: type[Request]) -> None:
    sample: dict[str, Any] = {"type": request_class.type, "id": 3, **example(request_class)}
    schema = message_schema(request_class)
    if request_class is Ack:
        del sample["id"]
    for name in schema["required"]:
        without = {key: value for key, value in sample.items() if key != name}
        error = refused(**without)
        assert error.code in ("bad_field", "unknown_type")
        assert name in error.text
    error = refused(**sample, chanel="x")
    assert error.code == "bad_field"
    assert "'chanel' is not known here" in error.text


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        ("", "not_json", "not JSON"),
        ("[1]", "not_json", "not an object"),
        ("null", "not_json", "not an object"),
        ('{"type":"ping","id":1', "not_json", "not JSON"),
        ('{"type":"ping","id":NaN}', "not_json", "NaN is not JSON"),
        ('{"type":"ping","id":' + "9" * 5000 + "}", "not_json", "not JSON"),
        ("[" * 100_000, "not_json", ""),
        ('{"a":' * 50_000, "not_json", ""),
        ('"' + "x" * FRAME_BYTES + '"', "too_long", "longer than"),
        ("{}", "bad_field", "type is missing"),
        ('{"type":7,"id":1}', "bad_field", "type is missing"),
        ('{"type":"pong","id":1}', "unknown_type", "there are: login, ping"),
        ('{"type":"\\ud800","id":1}', "unknown_type", "no request '?'"),
        ('{"type":"ping","id":1,"\\ud800":2}', "bad_field", "'?' is not known"),
        ('{"type":"ping"}', "bad_field", "id is missing"),
        ('{"type":"ping","id":0}', "bad_field", "id must be a whole number from 1"),
        ('{"type":"ping","id":true}', "bad_field", "id is true or false"),
        ('{"type":"ping","id":1.0}', "bad_field", "id is a number; it must be a whole number"),
        ('{"type":"ping","id":null}', "bad_field", "id is null"),
    ],
)
def test_frames_that_are_no_request(frame: str, code: str, words: str) -> None:
    envelope = parse_request(frame)
    assert envelope.request is None
    assert envelope.error is not None
    assert envelope.error.code == code
    assert words in envelope.error.text
    answer = json.loads(answer_text(envelope.id, Failure(code=code, text=envelope.error.text)).encode())
    jsonschema.validate(answer, message_schema(Failure))


def test_the_id_of_a_refused_request_is_told() -> None:
    assert said(type="message", id=7, to="bob").id == 7
    assert said(type="nothing", id=8).id == 8


def test_lengths_are_counted_in_bytes() -> None:
    content = "\u00e4" * (CONTENT_BYTES // 2)
    assert isinstance(said(type="invite", id=1, to="1000", content=content, description=OFFER).request, Invite)
    error = refused(type="invite", id=1, to="1000", content=content + "x", description=OFFER)
    assert error.code == "too_long"
    assert error.text == "content is 8193 bytes of UTF-8, at most 8192 are allowed"
    assert refused(type="invite", id=1, to="1" * 65, description=OFFER).code == "too_long"
    assert said(type="invite", id=1, to="1" * 64, channel="c" * 64, description=OFFER).error is None
    assert refused(type="message", id=1, to="bob", text="x" * (MESSAGE_BYTES + 1)).code == "too_long"
    worst = json.dumps({"type": "message", "id": 2**53 - 1, "to": "b" * 64, "text": "\0" * MESSAGE_BYTES})
    assert isinstance(parse_request(worst).request, SendMessage)


def test_places_within_objects_and_lists_are_named() -> None:
    assert "description.sdp is missing" in refused(type="invite", id=1, to="1", description={"type": "offer"}).text
    error = refused(type="invite", id=1, to="1", description={"type": "pranswer", "sdp": "v"})
    assert error.text == "description.type must be one of: offer, answer"
    assert refused(type="presence.subscribe", id=1, users=["bob", 5]).text == "users[1] is a number; it must be text"
    assert refused(type="presence.subscribe", id=1, users=[]).code == "bad_field"
    assert refused(type="presence.subscribe", id=1, users=["b"] * (SUBSCRIPTIONS + 1)).code == "too_long"
    assert (
        "resume.session must be an id"
        in refused(type="login", id=1, token="t", device="d", resume={"session": "a b", "seq": 1}).text
    )


def test_what_goes_into_logs_and_other_messages_is_one_line_of_visible_characters() -> None:
    for bad in ("10\r\n00", "a\x00b", "\u202eevil", "a\u2028b"):
        assert "cannot be seen" in refused(type="invite", id=1, to=bad, description=OFFER).text
        assert "cannot be seen" in refused(type="login", id=1, token="t", device=bad).text
    assert "surrogate" in refused(type="message", id=1, to="bob", text="\ud800").text
    assert refused(type="keys", id=1, invitation="i", keys="12x").text == "keys must be keys: 0-9, *, #, A-D"


def test_what_need_not_be_there_may_be_null() -> None:
    request = said(type="login", id=1, token="t", device="d", resume=None).request
    assert request == Login(token="t", device="d")
    last = said(type="candidate", id=1, invitation="i", candidate=None).request
    assert last == OfferCandidate(invitation="i", candidate=None)


def test_answers_and_notifications_fit_their_schemas() -> None:
    rights = RightsInfo(call_in=True, be_called=False, call_out=("20XX",), peers=False)
    login = LoginOk(
        session="s",
        user="alice",
        name="",
        rights=rights,
        ice_servers=(IceServerInfo(urls=("stun:192.0.2.1",)),),
        ping_ms=2000,
        grace_ms=30000,
        resumed=False,
    )
    value = json.loads(answer_text(3, login))
    jsonschema.validate(value, message_schema(LoginOk))
    assert value["ice_servers"] == [{"urls": ["stun:192.0.2.1"]}]
    jsonschema.validate(json.loads(answer_text(4, PresenceOk(states={"bob": "busy"}))), message_schema(PresenceOk))
    invited = Invited(
        invitation="i",
        caller="",
        name="",
        number="3001",
        channel="c",
        expires_ms=60000,
        description=Description(type="offer", sdp="v=0"),
    )
    value = json.loads(notification_text(1, invited))
    jsonschema.validate(value, message_schema(Invited))
    assert value["from"] == ""
    assert "content" not in value
    value = json.loads(notification_text(2, MessageReceived(sender="alice", text="\u4f60\u597d")))
    assert value == {"type": "message", "seq": 2, "from": "alice", "text": "\u4f60\u597d"}


@pytest.mark.parametrize("notification", NOTIFICATIONS.values(), ids=NOTIFICATIONS)
def test_the_sample_of_every_notification_fits_its_schema(notification: type[Any]) -> None:
    sample = {"type": notification.type, "seq": 1, **example(notification)}
    jsonschema.validate(sample, message_schema(notification))


def test_names_on_the_wire_are_those_of_webrtc() -> None:
    candidate = Candidate(candidate="candidate:1", sdp_mid="0", sdp_m_line_index=0, username_fragment="u")
    assert in_wire_form(candidate) == {
        "candidate": "candidate:1",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "u",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(REQUESTS)), st.integers(0, 20), JSON, st.data())
def test_whatever_stands_in_a_field_it_is_taken_or_refused_in_words(
    type_: str, position: int, value: Any, data: st.DataObject
) -> None:
    sample: dict[str, Any] = {"type": type_, "id": 3, **example(REQUESTS[type_])}
    if REQUESTS[type_] is Ack:
        del sample["id"]
    sample[sorted(sample)[position % len(sample)]] = value
    envelope = parse_request(json.dumps(sample))
    if envelope.error is None:
        assert envelope.request is not None
        assert dataclasses.is_dataclass(envelope.request)
        jsonschema.validate(sample, message_schema(type(envelope.request)))
    else:
        assert envelope.error.code in CODES
        answer_text(envelope.id, Failure(code=envelope.error.code, text=envelope.error.text)).encode()


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_frame_does_harm(text: str) -> None:
    envelope = parse_request(text)
    assert (envelope.request is None) is (envelope.error is not None)


def test_what_clients_send_is_closed_and_what_they_get_may_grow() -> None:
    def closed(schema: dict[str, Any]) -> list[bool]:
        found = [schema.get("additionalProperties") is False] if "properties" in schema else []
        for inner in [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]:
            found += closed(inner)
        return found

    for request in REQUESTS.values():
        assert all(closed(message_schema(request)))
    for message in (*NOTIFICATIONS.values(), LoginOk, Failure):
        assert not any(closed(message_schema(message)))
