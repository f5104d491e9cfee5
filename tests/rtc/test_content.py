"""What stands in the content of invitations, and the message that ends a call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtc.content import CallContent, end_call_of
from gateway.rtc.fields import ProtocolError


def test_fields_keep_their_names() -> None:
    text = (
        '{"Mode":"audio","Conference":"c","ChanId":"x1","DisplayName":"Alice","UserData":"u","SipData":"s",'
        '"Pstn":"1","SipNumber":"2001","Other":"ignored"}'
    )
    content = CallContent.parse(text)
    assert content == CallContent("audio", "c", "x1", "Alice", "u", "s", "1", "2001")
    assert json.loads(str(content)) == {key: value for key, value in json.loads(text).items() if key != "Other"}


def test_what_old_clients_write_instead_of_texts() -> None:
    content = CallContent.parse(
        '{"Mode":1,"Pstn":true,"Conference":false,"UserData":{"a":[1]},"SipData":null,"ChanId":""}'
    )
    assert content == CallContent(mode="1", pstn="true", user_data='{"a":[1]}')


@pytest.mark.parametrize("text", [None, "", "hello", "[1]", "{", '{"a":' * 5000, "null", '"x"', "\ud800"])
def test_content_that_is_no_object_has_no_fields(text: str | None) -> None:
    assert CallContent.parse(text) == CallContent()


@given(st.dictionaries(st.sampled_from(("Mode", "DisplayName", "UserData", "Pstn")), st.text() | st.integers()))
def test_fields_can_always_be_sent_on(fields: dict[str, str | int]) -> None:
    content = CallContent.parse(json.dumps(fields))
    str(content).encode()
    assert CallContent.parse(str(content)) == content


def test_the_message_that_ends_a_call() -> None:
    assert end_call_of('{"Cmd":"EndCall","Call":"x1"}') == "x1"
    assert end_call_of(' {"Call":"x1", "Cmd":"EndCall"}') == "x1"
    for text in ("hello", "EndCall", '{"Cmd":"Other","Call":"EndCall"}', '["EndCall"]', '{"EndCall'):
        assert end_call_of(text) is None
    for text in ('{"Cmd":"EndCall"}', '{"Cmd":"EndCall","Call":""}', '{"Cmd":"EndCall","Call":5}'):
        with pytest.raises(ProtocolError, match="EndCall names its call"):
            end_call_of(text)
