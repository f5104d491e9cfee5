"""Rules of accounts: what they list, and that nothing wrong is passed over in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rtc.account_rule import MAX_ACCOUNTS, MAX_LENGTH, AccountRuleError, parse_account_rule


def accounts(text: str) -> list[str]:
    return list(parse_account_rule(text).accounts)


@pytest.mark.parametrize(
    ("rule", "listed"),
    [
        ("1016", "1016"),
        ("1016;1017;20[01-05]", "1016 1017 2001 2002 2003 2004 2005"),
        ("20[05-05]", "2005"),
        ("[08-11]", "08 09 10 11"),
        ("20[8-9]", "208 209"),
        ("0[098-101]", "0098 0099 0100 0101"),
        ("2[1-3]0", "210 220 230"),
        ("front-desk;sales.2;2[1-2]a", "front-desk sales.2 21a 22a"),
    ],
)
def test_expansion(rule: str, listed: str) -> None:
    assert accounts(rule) == listed.split()


@pytest.mark.parametrize(
    ("rule", "position", "words"),
    [
        ("", 1, "the rule is empty"),
        ("1016;", 5, "nothing follows the last ';'; take it away"),
        ("1016;;1017", 6, "an account is missing before ';'"),
        (";1016", 1, "an account is missing before ';'"),
        (";", 1, "an account is missing before ';'"),
        ("20[07-03]", 3, "[07-03] counts down; write [03-07]"),
        ("20[x]", 3, "[x] is no range"),
        ("20[]", 3, "[] is no range"),
        ("20[01]", 3, "[01] is no range"),
        ("20[01-]", 3, "is no range"),
        ("20[1-2-3]", 3, "is no range"),
        ("20[\u0661-\u0662]", 3, "is no range"),
        ("20[01-05", 3, "'[' is never closed"),
        ("1016;20[01-05;1017", 8, "'[' is never closed"),
        ("2001]", 5, "']' without '['"),
        ("20]01-05[", 3, "']' without '['"),
        ("20[01-05][1-2]", 10, "one range only"),
        ("20[[01-05]", 3, "is no range"),
        ("20[1-05]", 3, "write [01-05], or two parts"),
        ("2001-2005", 1, "a range stands in brackets"),
        ("1016, 1017", 5, "',' does not separate accounts; write ';'"),
        ("1016; 1017", 6, "without blanks"),
        ("1016;10\u00b2", 8, "cannot be part of an account"),
        ("1016;1017;1016", 11, "1016 is named by '1016' and before by '1016' (at character 1)"),
        ("20[01-05];20[05-07]", 11, "2005 is named by '20[05-07]' and before by '20[01-05]' (at character 1)"),
        ("2003;20[01-05]", 6, "2003 is named by"),
        ("[0000000-9999999]", 1, "10000000 accounts"),
        ("1" * 65, 1, "an account of 65 characters"),
        ("1" * 63 + "[01-02]", 1, "an account of 65 characters"),
        (";".join(f"{n}[0000-4999]" for n in (1, 2, 3)), 27, "more than 10000 accounts"),
    ],
)
def test_refusals_name_place_and_remedy(rule: str, position: int, words: str) -> None:
    with pytest.raises(AccountRuleError) as caught:
        parse_account_rule(rule)
    assert words in caught.value.text
    assert caught.value.position == position
    assert str(caught.value).startswith(f"at character {position}: ")


def test_size_is_bounded() -> None:
    assert len(accounts("1[0000-9999]")) == MAX_ACCOUNTS
    with pytest.raises(AccountRuleError):
        parse_account_rule("1[0000-9999];2")
    with pytest.raises(AccountRuleError):
        parse_account_rule("1;" * MAX_LENGTH)
    with pytest.raises(AccountRuleError):
        parse_account_rule("[" + "0" * 4000 + "-" + "9" * 4000 + "]")


def test_the_listing_is_for_people() -> None:
    rule = parse_account_rule("1016;20[01-03];3[000-999]")
    assert rule.listing() == [
        "1016",
        "20[01-03]: 2001, 2002, 2003",
        "3[000-999]: 3000, 3001, 3002, ... 3999 (1000 accounts)",
    ]


@given(st.text(alphabet="0123[]-;x ", max_size=24))
def test_no_text_is_half_taken(text: str) -> None:
    try:
        rule = parse_account_rule(text)
    except AccountRuleError as refusal:
        position = refusal.position
    else:
        position = 1
        listed = rule.accounts
        assert listed
        assert len(set(listed)) == len(listed)
        assert all(listed)
        assert not set("".join(listed)) & set("[]; ")
        assert ";".join(part for part, _ in rule.parts) == text
    assert 1 <= position <= max(len(text), 1)
