"""Yes and no as callers say them, by language. A flow that asks ``speech: yes`` listens for these.

Only what is said as a whole answer: a word that also begins other answers would be heard in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ivr.understanding.phrases import normalised

__all__ = ["YES_NO", "YesNo", "spoken_yes_no", "usual_yes_no"]


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
        "de": YesNo(
            ("ja", "jawohl", "ja bitte", "genau", "richtig", "stimmt"), ("nein", "nein danke", "nee", "nö", "falsch")
        ),
        "el": YesNo(("ναι", "μάλιστα", "σωστά"), ("όχι", "λάθος")),
        "en": YesNo(
            ("yes", "yeah", "yep", "yes please", "correct", "that's right", "sure", "okay"),
            ("no", "nope", "no thanks", "no thank you", "wrong", "that's wrong", "not correct"),
        ),
        "es": YesNo(("sí", "sí por favor", "claro", "correcto", "así es", "vale"), ("no", "no gracias", "incorrecto")),
        "fa": YesNo(("بله", "آره", "درست است"), ("نه", "خیر")),
        "fi": YesNo(("kyllä", "joo", "oikein"), ("ei", "väärin")),
        "fr": YesNo(
            ("oui", "oui merci", "ouais", "d'accord", "c'est ça", "exact"), ("non", "non merci", "pas du tout", "faux")
        ),
        "hi": YesNo(("हाँ", "जी हाँ", "सही"), ("नहीं", "जी नहीं", "गलत")),
        "id": YesNo(("ya", "betul", "benar"), ("tidak", "bukan", "salah")),
        "it": YesNo(("sì", "sì grazie", "certo", "esatto", "va bene"), ("no", "no grazie", "sbagliato")),
        "ja": YesNo(("はい", "ええ", "そうです", "お願いします"), ("いいえ", "いや", "違います")),
        "ko": YesNo(
            ("네", "예", "네 맞아요", "맞아요", "맞습니다", "그래요"),
            ("아니요", "아니오", "아뇨", "아니에요", "아닙니다", "틀려요"),
        ),
        "nb": YesNo(("ja", "jo", "riktig"), ("nei", "feil")),
        "nl": YesNo(("ja", "ja graag", "jawel", "klopt", "juist"), ("nee", "nee bedankt", "klopt niet", "onjuist")),
        "pl": YesNo(("tak", "zgadza się", "dobrze"), ("nie", "źle", "nie zgadza się")),
        "pt": YesNo(
            ("sim", "sim por favor", "claro", "certo", "correto"), ("não", "não obrigado", "não obrigada", "errado")
        ),
        "ru": YesNo(("да", "ага", "верно", "правильно"), ("нет", "неверно", "неправильно")),
        "sv": YesNo(("ja", "jo", "det stämmer"), ("nej", "fel")),
        "tr": YesNo(("evet", "doğru", "tamam"), ("hayır", "yanlış")),
        "uk": YesNo(("так", "правильно"), ("ні", "неправильно")),
        "vi": YesNo(("vâng", "đúng", "có"), ("không", "sai")),
        "zh": YesNo(
            ("是", "是的", "对", "对的", "好", "好的", "没错", "嗯"),
            ("不", "不是", "不对", "不要", "错", "错了", "没有"),
        ),
    }
)
"""By language."""


def usual_yes_no(language: str) -> YesNo | None:
    """The words of a language code (``zh-TW``: those of ``zh``); None if they are not known."""
    parts = language.lower().replace("_", "-").split("-")
    codes = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((YES_NO[code] for code in codes if code in YES_NO), None)


_UNSPACED: Final = frozenset({"ja", "ko", "zh"})
"""Languages in which a recogniser sets its spaces as it likes."""


def spoken_yes_no(text: str, language: str) -> bool | None:
    """Whether it begins with a way to say yes or one to say no, and nothing of the other follows; None if neither."""
    base = language.lower().replace("_", "-").partition("-")[0]
    said = normalised(text, language)
    if base in _UNSPACED:
        said = said.replace(" ", "")
    meant = [means for _, means in _found(said, language, base)]
    return meant[0] if meant and _begins(said, language, base) and len(set(meant)) == 1 else None


def _begins(said: str, language: str, base: str) -> bool:
    at, _ = next(_found(said, language, base))
    return at == 0


def _found(said: str, language: str, base: str) -> Iterator[tuple[int, bool]]:
    """Where each way to say yes (True) or no stands, the longest first."""
    at = 0
    while at < len(said):
        form, means = next(
            ((form, means) for form, means in _forms(language, base) if _stands(said, at, form, base)), ("", False)
        )
        if form:
            yield at, means
            at += len(form)
        elif base in _UNSPACED:
            at += 1
        else:
            at = said.find(" ", at) + 1 or len(said)
        while at < len(said) and said[at] == " ":
            at += 1


def _stands(said: str, at: int, form: str, base: str) -> bool:
    return said.startswith(form, at) and (base in _UNSPACED or said[at + len(form) : at + len(form) + 1] in ("", " "))


@lru_cache(maxsize=32)
def _forms(language: str, base: str) -> tuple[tuple[str, bool], ...]:
    usual = usual_yes_no(language)
    if usual is None:
        return ()
    said = [(normalised(form, language), True) for form in usual.yes]
    said += [(normalised(form, language), False) for form in usual.no]
    if base in _UNSPACED:
        said = [(form.replace(" ", ""), means) for form, means in said]
    return tuple(sorted(said, key=lambda one: -len(one[0])))
