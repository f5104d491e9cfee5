"""Where one sentence ends and the next begins, in the languages that callers hear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.speech.sentences import pause_ms, sentences


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            ["Your order no. 3.5 is ready.", "Dr. Smith will call you at 5 p.m. tomorrow.", "It costs $3.50!", "OK?"],
        ),
        ("en-US", ["We are open Mon. to Fri. from 9 a.m. to 5 p.m.", "Press 1."]),
        ("de", ["Am 3. Mai kostet es z. B. 3,5 Euro.", "Dr. Müller ruft Sie an.", "Danke!"]),
        ("fr", ["Bonjour M. Dupont.", "Votre commande est prête !", "Merci."]),
        ("ko", ["전화해 주셔서 감사합니다.", "상담원 연결은 1번을 눌러 주세요."]),
        ("hi", ["नमस्ते।", "आपका स्वागत है।"]),
        ("ar", ["مرحبا.", "كيف حالك؟", "شكرا."]),
        ("xx", ["Hello there.", "How are you?"]),
        ("en", ["no full stop at all"]),
    ],
)
def test_sentences(language: str, expected: list[str]) -> None:
    assert sentences(" ".join(expected), language) == expected
    assert sentences("  \n".join(expected) + "\n", language) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("zh-TW", ["您好，欢迎致电。", "您的订单已发货！", "价格是3.5元。", "请按一？"]),
        ("ja", ["お電話ありがとうございます。", "価格は3.5円です。"]),
    ],
)
def test_sentences_without_blanks_between_them(language: str, expected: list[str]) -> None:
    assert sentences("".join(expected), language) == expected


@given(st.text(max_size=200), st.sampled_from(["en", "zh_CN", "ko", "", "-", "nonsense"]))
def test_nothing_of_a_text_is_lost(text: str, language: str) -> None:
    assert "".join("".join(sentences(text, language)).split()) == "".join(text.split())


def test_a_slow_voice_pauses_longer() -> None:
    assert pause_ms(150) == 235
    assert pause_ms(100) > 500
    assert pause_ms(450) == 0
