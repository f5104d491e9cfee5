"""What people say for yes and for no, by language: what a ``confirm`` listens for if its flow has no words of its own.

Only what is said as a whole answer: a word that also begins other answers would be heard in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class YesNoWords(NamedTuple):
    yes: tuple[str, ...]
    no: tuple[str, ...]


USUAL: Final[Mapping[str, YesNoWords]] = MappingProxyType(
    {
        "de": YesNoWords(
            ("ja", "jawohl", "ja bitte", "genau", "richtig", "stimmt"),
            ("nein", "nein danke", "nee", "falsch"),
        ),
        "en": YesNoWords(
            ("yes", "yeah", "yep", "yes please", "sure", "correct", "that's right"),
            ("no", "nope", "no thanks", "no thank you", "wrong", "that's wrong"),
        ),
        "es": YesNoWords(
            ("sí", "sí por favor", "claro", "correcto", "vale"),
            ("no", "no gracias", "incorrecto"),
        ),
        "fr": YesNoWords(
            ("oui", "oui merci", "d'accord", "exact"),
            ("non", "non merci", "pas du tout", "faux"),
        ),
        "it": YesNoWords(
            ("sì", "sì grazie", "certo", "esatto"),
            ("no", "no grazie", "sbagliato"),
        ),
        "ja": YesNoWords(
            ("はい", "ええ", "そうです", "お願いします"),
            ("いいえ", "違います", "いや"),
        ),
        "ko": YesNoWords(
            ("네", "예", "네 맞아요", "맞아요", "맞습니다", "그래요"),
            ("아니요", "아니오", "아뇨", "아니에요", "아닙니다", "틀려요"),
        ),
        "nl": YesNoWords(
            ("ja", "ja graag", "klopt", "juist"),
            ("nee", "nee bedankt", "klopt niet", "onjuist"),
        ),
        "pt": YesNoWords(
            ("sim", "sim por favor", "claro", "certo", "correto"),
            ("não", "não obrigado", "não obrigada", "errado"),
        ),
        "zh": YesNoWords(
            ("是", "是的", "对", "对的", "好的", "没错"),
            ("不", "不是", "不对", "不要", "错了"),
        ),
    }
)
