"""The words that make numbers, amounts, dates and times of day: what an engine with grammars listens for.

Of a language that is not here such values are sought in what is heard freely.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from ivr.hearing import SpokenType
from ivr.speech.voice import nearest_code
from ivr.understanding.yes_no import usual_yes_no

__all__ = ["FILLERS", "vocabulary"]

_EN_DIGITS: Final = "zero oh one two three four five six seven eight nine double triple"
_EN_NUMBERS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand "
    "million a and point half "
    "minus oh"
)
_KO_SINO: Final = "영 공 일 이 삼 사 오 육 칠 팔 구"
_KO_NUMBERS: Final = (
    f"{_KO_SINO} 십 백 천 만 억 점 마이너스 하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 스물 서른 마흔 "
    "쉰 예순 일흔 여든 아흔 "
    "십일 십이 십삼 십사 십오 십육 십칠 십팔 십구 이십 삼십 사십 오십 육십 칠십 팔십 구십 이백 삼백 "
    "사백 오백 육백 칠백 팔백 구백 "
    "이천 삼천 사천 오천 육천 칠천 팔천 구천 십만 백만 천만"
)
_ZH_DIGITS: Final = "零 一 二 三 四 五 六 七 八 九 幺"
_ZH_NUMBERS: Final = f"{_ZH_DIGITS} 两 十 百 千 万 亿 点 负 半"

_WORDS: Final[Mapping[str, Mapping[SpokenType, str]]] = MappingProxyType(
    {
        "en": MappingProxyType(
            {
                "digits": f"{_EN_DIGITS} star hash",
                "number": _EN_NUMBERS,
                "money": f"{_EN_NUMBERS} dollar dollars cent cents pound pounds penny pence euro euros yuan "
                "won yen bucks",
                "date": f"{_EN_NUMBERS} first second third fourth fifth sixth seventh eighth ninth tenth "
                "eleventh twelfth "
                "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth "
                "twentieth thirtieth january "
                "february march april may june july august september october november december "
                "monday tuesday wednesday "
                "thursday friday saturday sunday today tomorrow yesterday next this the of on in day days week weeks "
                "after before ago",
                "time": f"{_EN_NUMBERS} past to quarter o'clock noon midnight midday in the morning afternoon "
                "evening at "
                "night am pm a.m. p.m. minutes",
            }
        ),
        "ko": MappingProxyType(
            {
                "digits": f"{_KO_SINO} 하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 별표",
                "number": _KO_NUMBERS,
                "money": f"{_KO_NUMBERS} 원 달러 센트 유로 엔 위안",
                "date": f"{_KO_NUMBERS} 년 월 일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 십일월 십이월 "
                "일일 이일 삼일 사일 오일 육일 "
                "칠일 팔일 구일 십일 이십일 삼십일 월요일 화요일 수요일 목요일 금요일 토요일 일요일 "
                "오늘 내일 모레 글피 어제 다음 이번 주 후 전",
                "time": f"{_KO_NUMBERS} 한 두 세 네 열한 열두 시 분 반 오전 오후 아침 저녁 밤 새벽 정오 자정 전",
            }
        ),
        "zh": MappingProxyType(
            {
                "digits": f"{_ZH_DIGITS} 星 井 号",
                "number": _ZH_NUMBERS,
                "money": f"{_ZH_NUMBERS} 元 块 角 毛 分 钱 美元 欧元",
                "date": f"{_ZH_NUMBERS} 年 月 日 号 今天 明天 后天 大后天 昨天 前天 星期 周 礼拜 星期一 "
                "星期二 星期三 星期四 星期五 星期六 "
                "星期天 星期日 周一 周二 周三 周四 周五 周六 周日 下 这 个 天 后 前",
                "time": f"{_ZH_NUMBERS} 点 分 刻 半 钟 差 上午 下午 早上 晚上 中午 凌晨 零点 半夜",
            }
        ),
    }
)

FILLERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ko": (
            "그런데",
            "그래서",
            "잠깐만",
            "하지만",
            "그리고",
            "있어요",
            "없어요",
            "합니다",
            "했어요",
            "주세요",
            "어떻게",
            "좋아요",
            "싫어요",
            "몰라요",
            "감사합니다",
            "죄송합니다",
            "여보세요",
        )
    }
)
"""By language: usual words that stand for all that is none of the phrases, where models have no word for it.

Long ones: of short ones any phrase can be made."""


@lru_cache(maxsize=64)
def vocabulary(type: SpokenType, language: str) -> tuple[str, ...]:
    """The words, one by one; empty if they are not known or may be any."""
    if type == "yes_no":
        usual = usual_yes_no(language)
        return () if usual is None else (*usual.yes, *usual.no)
    words = nearest_code(language, _WORDS)
    return tuple(dict.fromkeys(words.get(type, "").split())) if words is not None else ()
