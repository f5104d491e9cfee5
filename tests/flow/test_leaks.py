"""What looks like a secret in a flow, and what does not."""

import pytest

from ivr.flow.loader import load_text

FLOW = "flow: main\nstart: a\nvars: {{password: digits, token: text}}\nblocks:\n  a:\n    - {step}\n    - hangup\n"


def found(step: str) -> list[str]:
    return [problem.code for problem in load_text(FLOW.format(step=step)).problems]


@pytest.mark.parametrize(
    "step",
    [
        "log: '+8613800000000 called 4008200000'",
        "log: 'order 12345674 of {caller.number}'",
        "log: 'https://crm.example/orders/{call.did}?token={call.id}'",
        "log: 'the bearer of this'",
        "log: 'basic understanding'",
        "tag: {token: '{caller.number}'}",
        "tag: {token: secret:crm_token}",
        "set: {password: digits(caller.number)}",
        "collect: {into: password, prompt: enter_password, secret: yes, digits: 8, failed: a}",
        "goto: a_block_with_a_rather_long_name_2024",
        "log: '00000000000000000000000000000000'",
    ],
)
def test_this_is_no_secret(step: str) -> None:
    assert not {"E180", "W350"} & set(found(step))


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("log: 'Basic dXNlcjpwYXNzd29yZA=='", "E180"),
        ("log: 'postgresql://user:hunter2@host/name'", "E180"),
        ("log: 'https://crm.example/?api_key=abcdef123'", "E180"),
        ("tag: {api_key: abcdef123456}", "E180"),
        ("log: 'AKIAABCDEFGHIJKLMNOP'", "E180"),
        ("log: '378282246310005'", "W350"),
    ],
)
def test_this_is_one_and_nobody_prints_it(step: str, code: str) -> None:
    problems = load_text(FLOW.format(step=step)).problems
    assert code in [problem.code for problem in problems]
    assert all("•" in str(problem) for problem in problems if problem.place.line == 6)


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("log: 'postgresql://user:hunter2@host/name'", "E180"),
        ("log: 'Basic dXNlcjpwYXNzd29yZA=='", "E180"),
        ("log: 'BEARER a1b2c3d4e5f6g7h8'", "E180"),
        ("log: 'see /?auth=abcdef123'", "E180"),
        ("tag: {API_KEY: abcdef123456}", "E180"),
        ("tag: {x_passwd: abcdef123456}", "E180"),
        ("log: 'AKIAABCDEFGHIJKLMNOP'", "E180"),
        ('log: "\\x41KIAABCDEFGHIJKLMNOP"', "E180"),
        ("log: '3782 822463\n      10005'", "W350"),
        ("log: >\n        3782 8224\n        6310 005", "W350"),
        ("log: 'Zk3vQ9xW1mB7nT5rY2uC8aE4'", "W350"),
    ],
    ids=range(11),
)
def test_it_is_found_where_nothing_else_in_the_file_hints_at_one(step: str, code: str) -> None:
    text = f"flow: main\nstart: a\nblocks:\n  a:\n    - {step}\n    - hangup\n"
    assert code in [problem.code for problem in load_text(text).problems]
