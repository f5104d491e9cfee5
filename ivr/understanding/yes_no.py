"""Yes and no as callers say them, by language. A flow that asks ``speech: yes`` listens for these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["YES_NO", "YesNo", "usual_yes_no"]


@dataclass(frozen=True, slots=True)
class YesNo:
    """The usual words of a language, most usual first."""

    yes: tuple[str, ...]
    no: tuple[str, ...]


YES_NO: Final[Mapping[str, YesNo]] = MappingProxyType(
    {
        "ar": YesNo(("نعم", "أجل", "صحيح"), ("لا", "كلا")),
        "cs": YesNo(("ano", "jo", "správně"), ("ne", "nikoliv")),
        "da": YesNo(("ja", "jo", "det er rigtigt"), ("nej", "det er forkert")),
        "de": YesNo(("ja", "jawohl", "genau", "richtig", "stimmt"), ("nein", "nö", "falsch", "nicht richtig")),
        "el": YesNo(("ναι", "μάλιστα", "σωστά"), ("όχι", "λάθος")),
        "en": YesNo(
            ("yes", "yeah", "yep", "yes please", "correct", "that's right", "sure", "okay"),
            ("no", "nope", "no thanks", "no thank you", "wrong", "that's wrong", "not correct"),
        ),
        "es": YesNo(("sí", "claro", "correcto", "así es", "vale"), ("no", "incorrecto", "no es correcto")),
        "fa": YesNo(("بله", "آره", "درست است"), ("نه", "خیر")),
        "fi": YesNo(("kyllä", "joo", "oikein"), ("ei", "väärin")),
        "fr": YesNo(("oui", "ouais", "d'accord", "c'est ça", "exact"), ("non", "c'est faux", "pas du tout")),
        "hi": YesNo(("हाँ", "जी हाँ", "सही"), ("नहीं", "जी नहीं", "गलत")),
        "id": YesNo(("ya", "betul", "benar"), ("tidak", "bukan", "salah")),
        "it": YesNo(("sì", "certo", "esatto", "va bene"), ("no", "sbagliato", "non è giusto")),
        "ja": YesNo(("はい", "ええ", "そうです"), ("いいえ", "いや", "違います")),
        "ko": YesNo(("네", "예", "맞아요", "그래요"), ("아니요", "아니오", "아닙니다", "아니")),
        "nb": YesNo(("ja", "jo", "riktig"), ("nei", "feil")),
        "nl": YesNo(("ja", "jawel", "klopt", "goed"), ("nee", "fout", "klopt niet")),
        "pl": YesNo(("tak", "zgadza się", "dobrze"), ("nie", "źle", "nie zgadza się")),
        "pt": YesNo(("sim", "claro", "correto", "está certo"), ("não", "errado", "não está certo")),
        "ru": YesNo(("да", "ага", "верно", "правильно"), ("нет", "неверно", "неправильно")),
        "sv": YesNo(("ja", "jo", "det stämmer"), ("nej", "fel")),
        "tr": YesNo(("evet", "doğru", "tamam"), ("hayır", "yanlış")),
        "uk": YesNo(("так", "правильно"), ("ні", "неправильно")),
        "vi": YesNo(("vâng", "đúng", "có"), ("không", "sai")),
        "zh": YesNo(("是", "是的", "对", "对的", "好", "好的", "没错"), ("不", "不是", "不对", "不要", "错", "没有")),
    }
)
"""By language. What may be said by the way in the same breath is not among them."""


def usual_yes_no(language: str) -> YesNo | None:
    """The words of a language code (``zh-TW``: those of ``zh``); None if they are not known."""
    parts = language.lower().replace("_", "-").split("-")
    codes = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((YES_NO[code] for code in codes if code in YES_NO), None)
