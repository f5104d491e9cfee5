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
