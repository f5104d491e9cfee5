"""What flows say of speech: in both spellings, checked, and told to recognisers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.flow.conversion import convert, format_dsl
from ivr.flow.listening import wanted_of
from ivr.flow.loader import FlowSet, load_flows, load_text
from ivr.flow.model import Step
from ivr.flow.nodes.questions import Ask, Confirm, Menu
from ivr.flow.site_checks import check_hearing
from ivr.flow.sounding import alike, is_short, spoken, words_of
from ivr.flow.spoken_languages import heard_by
from ivr.hearing import Phrase, Wanted
from ivr.understanding.yes_no import YES_NO

ROOT = Path(__file__).parents[2]

IN_YAML = """\
flow: main
languages: [en, ko]
start: welcome
on_error: bye
input:
  barge_in: keys
  min_confidence: 0.6
  longest_speech: 20s

blocks:
  welcome:
    - answer
    - menu:
        prompt: hello
        keys:
          # what most callers want
          '1': {say: [sales, new order], go: more}  # selling
          '2': {say: {en: support, ko: ['지원 팀', '고객 센터']}, do: [{tag: {topic: support}}], go: bye}
          '9': {do: [{language: ko}], go: welcome}
        barge_in: speech
        speech_timeout: 1s

  more:
    - collect: {into: day, prompt: hello, digits: 8, speech: date}
    - confirm:
        prompt: hello
        speech: yes
        no_words: {en: [wait a moment, not yet], ko: '나중에'}
        no: welcome
    - ask:
        prompt: hello
        into: wish
        hints: [bicycle, front wheel]
        intents:
          order: {say: [new bicycle, 'buy; "one"'], go: bye}  # buying
          repair: {say: {en: repair, ko: '수리'}, do: [{tag: {topic: repair}}], go: bye}
        no_match: {say: 'Please say it again.'}
    - tag: {wish: '{wish}', sure: '{heard.confidence}'}
    - goto: bye

  bye:
    - hangup
"""

IN_DSL = """\
flow main
languages en, ko
start welcome
on error -> bye
input barge_in keys min_confidence 0.6 longest_speech 20s

block welcome {
  answer
  menu @hello barge_in speech speech_timeout 1s {
    // what most callers want
    key 1 "sales", "new order" -> more  // selling
    key 2 en "support" ko "지원 팀", "고객 센터" { tag topic = "support" } -> bye
    key 9 { language ko } -> welcome
  }
}

block more {
  collect day @hello digits 8 speech date
  confirm @hello speech yes {
    no_words { en ["wait a moment", "not yet"] ko "나중에" }
    no -> welcome
  }
  ask @hello into wish {
    hints "bicycle", "front wheel"
    intent order "new bicycle", "buy; \\"one\\"" -> bye  // buying
    intent repair en "repair" ko "수리" { tag topic = "repair" } -> bye
    no_match "Please say it again."
  }
  tag wish = "{wish}" sure = "{heard.confidence}"
  goto bye
}

block bye {
  hangup
}
"""


def step(flows: FlowSet, verb: str, flow: str = "main") -> Step:
    assert flows.ok, "\n".join(map(str, flows.problems))
    return next(one for block in flows.flows[flow].blocks.values() for one in block.steps if one.verb == verb)


def flow(*steps: str, head: str = "languages: [en]\n", blocks: str = "") -> FlowSet:
    """A flow whose first block has these steps and hangs up then."""
    lines = "".join(f"    - {one}\n" for one in steps)
    return load_text(
        f"flow: main\nstart: first\non_error: bye\n{head}blocks:\n  first:\n{lines}{blocks}  bye: [hangup]\n"
    )


def codes(flows: FlowSet) -> list[str]:
    return [problem.code for problem in flows.problems]


# Both spellings. --------------------------------------------------------------------------------------------


def test_both_spellings_are_one_flow() -> None:
    in_yaml, in_dsl = load_text(IN_YAML), load_text(IN_DSL, "main.flow")
    assert [str(one) for one in (*in_yaml.problems, *in_dsl.problems)] == []
    assert in_yaml.flows["main"].digest == in_dsl.flows["main"].digest


def test_each_is_made_of_the_other_with_its_comments() -> None:
    assert convert(IN_YAML, "main.yaml").text == IN_DSL
    back = convert(IN_DSL, "main.flow").text or ""
    assert convert(back, "main.yaml").text == IN_DSL
    assert [one for one in ("# selling", "# what most callers want", "# buying") if one not in back] == []
    assert format_dsl(IN_DSL.replace("  key 1", "      key   1"), "main.flow").text == IN_DSL


@pytest.mark.parametrize(
    ("written", "keys", "speech"),
    [
        ("yes", True, True),
        ("true", True, True),
        ("no", False, False),
        ("keys", True, False),
        ("speech", False, True),
    ],
)
@pytest.mark.parametrize("place", ["input", "step"])
def test_what_cuts_a_prompt(written: str, keys: bool, speech: bool, place: str) -> None:
    own = f", barge_in: {written}" if place == "step" else ""
    head = f"languages: [en]\ninput: {{barge_in: {written if place == 'input' else 'no'}}}\n"
    made = flow(f"menu: {{prompt: hello, keys: {{'1': {{say: sales, go: bye}}}}{own}}}", head=head)
    input = step(made, "menu").settings.input
    assert (input.barge_in, input.barge_in_speech) == (keys, speech)


def test_confirm_takes_the_usual_words_its_own_or_both() -> None:
    def said(settings: str) -> dict[str, tuple[str, ...]]:
        made = flow(f"confirm: {{prompt: hello, {settings}, yes: bye, no: bye}}")
        confirm: Confirm = step(made, "confirm").settings
        return {choice.name: choice.spoken("en") for choice in confirm.speech}

    usual = YES_NO["en"]
    assert said("tries: 2") == said("speech: no") == {}
    assert said("speech: yes") == {"yes": usual.yes, "no": usual.no}
    own = "yes_words: [go ahead, do it], no_words: stop it"
    assert said(own) == {"yes": ("go ahead", "do it"), "no": ("stop it",)}
    assert said(f"speech: yes, {own}") == {"yes": (*usual.yes, "go ahead", "do it"), "no": (*usual.no, "stop it")}


def test_the_words_of_keys_can_be_left_aside() -> None:
    for written, words in (("", ("sales",)), (", speech: yes", ("sales",)), (", speech: no", ())):
        made = flow(f"menu: {{prompt: hello, keys: {{'1': {{say: sales, go: bye}}}}{written}}}")
        assert tuple(form for choice in step(made, "menu").settings.speech for form in choice.spoken("en")) == words


# What steps do in a flow. -------------------------------------------------------------------------------------


INTENT = "intents: {sales: {say: new bicycle, go: bye}}"


def test_ask_goes_on_only_where_words_go_into_a_variable() -> None:
    assert codes(flow(f"ask: {{prompt: hello, {INTENT}}}", "say: 'Never.'", "goto: bye")) == ["E106"]
    assert codes(flow(f"ask: {{prompt: hello, {INTENT}, into: wish}}", "say: '{wish}'", "goto: bye")) == []
    assert codes(flow("ask: {prompt: hello, into: wish, next: bye}")) == []


def test_the_variable_of_an_ask_is_not_set_when_nothing_was_understood() -> None:
    ask = f"ask: {{prompt: hello, {INTENT.replace('bye', 'used')}, into: wish, failed: used, next: used}}"
    made = flow(ask, blocks="  used: [{say: '{wish}'}, hangup]\n")
    assert codes(made) == ["E131"]
    assert codes(flow(ask.replace("failed: used", "failed: bye"), blocks="  used: [{say: '{wish}'}, hangup]\n")) == []


def test_what_was_heard_can_be_read() -> None:
    asked = "confirm: {prompt: hello, speech: yes, no: bye}"
    when = "input == 'yes' or heard.text == 'yes' and heard.confidence < 0.8 or 'yeah' in heard.alternatives"
    assert codes(flow(asked, f'if: {{when: "{when}", then: bye}}', "goto: bye")) == []
    assert codes(flow(asked, "if: {when: heard.text > 3, then: bye}", "goto: bye")) == ["E134"]
    assert codes(flow("set: {heard: '1'}", "goto: bye")) == ["E133"]
    assert codes(flow("say: hello", "goto: bye", head="languages: [en]\nvars: {heard: text}\n")) == ["E133"]


def test_input_can_be_words_only_where_a_flow_listens() -> None:
    compared = ("if: {when: \"input == 'sales'\", then: bye}", "goto: bye")
    assert codes(flow("confirm: {prompt: hello, no: bye}", *compared)) == ["E134"]
    assert codes(flow("confirm: {prompt: hello, speech: yes, no: bye}", *compared)) == []


# Languages. ---------------------------------------------------------------------------------------------------


def heard_in(made: FlowSet, verb: str = "menu") -> tuple[str, ...]:
    return next(step.heard_in for step in made.written if step.verb == verb)


BOTH = "languages: [en, ko]\n"
MENU = "menu: {prompt: hello, keys: {'1': {say: sales, go: bye}}}"


@pytest.mark.parametrize(
    ("steps", "head", "languages"),
    [
        ((MENU,), BOTH, ("en",)),
        (("language: ko", MENU), BOTH, ("ko",)),
        (("language: ko", "say: hi", "language: en", MENU), BOTH, ("en",)),
        ((MENU.replace("go: bye", "do: [{language: ko}], go: first"),), BOTH, ("en", "ko")),
        (("call: {flow: other, failed: bye}", MENU), BOTH, ("en", "ko")),
        ((MENU,), f"{BOTH}vars: {{order: {{type: text, param: yes}}}}\n", ("en", "ko")),
    ],
    ids=["first", "switched", "switched twice", "by a key", "after a call", "called"],
)
def test_words_are_wanted_in_the_languages_a_call_can_have(
    steps: Sequence[str], head: str, languages: tuple[str, ...]
) -> None:
    assert heard_in(flow(*steps, head=head)) == languages


def test_a_fault_can_come_in_any_language_that_was_spoken() -> None:
    listens = "  sorry:\n    - " + MENU + "\n"
    for before, languages in (("say: hi", ("en",)), ("language: ko", ("en", "ko"))):
        made = load_text(
            f"flow: main\nstart: first\non_error: sorry\n{BOTH}blocks:\n  first: [{{{before}}}, hangup]\n{listens}"
            "  bye: [hangup]\n"
        )
        assert heard_in(made) == languages


def test_the_languages_of_a_flow_are_those_of_its_file() -> None:
    made = load_text(IN_YAML)
    assert made.ok
    by_step = {wanted for one in made.written for code in one.heard_in if (wanted := wanted_of(one.settings, code))}
    assert set(heard_by(made.flows["main"])) == by_step
    assert {wanted.language for wanted in by_step} == {"en", "ko"}
    assert {one.language for one in heard_by(load_flows([ROOT / "flows"]).flows["company"])} == {"en"}


def test_a_step_that_only_some_languages_come_to_needs_no_words_in_the_others() -> None:
    said = "menu: {prompt: hello, keys: {'1': {say: {en: sales}, go: bye}}}"
    assert codes(flow(said, head=BOTH)) == []
    assert codes(flow("language: ko", said, head=BOTH)) == ["W311"]


# What recognisers are told, and what they say to it. ------------------------------------------------------------


def test_what_is_listened_for() -> None:
    made = load_text(IN_YAML)
    menu = Phrase("1", ("sales", "new order")), Phrase("2", ("지원 팀", "고객 센터"))
    assert wanted_of(step(made, "menu").settings, "ko") == Wanted("ko", menu, speech_timeout=1.0, longest=20.0)
    assert wanted_of(step(made, "collect").settings, "en") == Wanted("en", type="date", longest=20.0)
    ask: Ask = step(made, "ask").settings
    wanted = wanted_of(ask, "en")
    assert wanted is not None
    assert (wanted.type, wanted.hints) == ("text", ("bicycle", "front wheel"))
    assert [one.name for one in wanted.phrases] == ["order", "repair"]
    assert wanted_of(step(made, "answer").settings, "en") is None
    silent: Menu = step(flow("menu: {prompt: hello, keys: {'1': bye}}"), "menu").settings
    assert wanted_of(silent, "en") is None


def test_a_language_nobody_hears_and_words_the_model_lacks_are_told() -> None:
    asked = [MENU.replace("sales", "{en: sales, ko: 판매}").replace("go: bye", "do: [{language: ko}], go: first")]

    def complaints(wanted: Wanted) -> list[str] | None:
        words = [form for phrase in wanted.phrases for form in phrase.forms]
        return [f"the model does not know '{word}'" for word in words] if wanted.language == "en" else None

    found = check_hearing(flow(*asked, head=BOTH), complaints, lambda language: f"get a model of {language}")
    assert "\n".join(map(str, found)) == (
        "flow.yaml:7:7: warning W354 the model does not know 'sales'\n"
        f"    7 |     - {asked[0]}\n"
        "      |       ^^^^ choose other words, or another recogniser under recognition: of the site file\n"
        "flow.yaml:7:7: warning W355 this menu listens in ko, but the site has no recogniser for it: "
        "callers can answer by keys only\n"
        f"    7 |     - {asked[0]}\n"
        "      |       ^^^^ get a model of ko"
    )
    assert check_hearing(flow("menu: {prompt: hello, keys: {'1': bye}}"), lambda _: None, str) == ()
    # Without keys nobody can answer.
    only = flow("ask: {prompt: hello, intents: {order: {say: [an order], go: bye}}}")
    assert [one.code for one in check_hearing(only, lambda _: None, str)] == ["E151"]


# How words sound. -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Sales!", "sales", "en"),
        ("line 2", "Line two", "en"),
        ("that's right", "thats  right", "en"),
        ("예약 부", "예약부", "ko"),
        ("三号线", "3号线", "zh"),
        ("ＡＢＣ", "abc", "ja"),
    ],
)
def test_phrases_that_are_spoken_the_same(one: str, other: str, language: str) -> None:
    assert spoken(one, language) == spoken(other, language)


@pytest.mark.parametrize(
    ("one", "other", "language", "expected"),
    [
        ("billing", "filling", "en", True),
        ("order", "older", "en", True),
        ("sales", "sails", "en", True),
        ("sales", "service", "en", False),
        ("support", "report", "en", False),
        ("line two", "line three", "en", False),
        ("front desk", "sales desk", "en", False),
        ("배송", "배상", "ko", True),
        ("내일", "네일", "ko", True),
        ("판매", "구매", "ko", False),
        ("예약", "환불", "ko", False),
        ("Bestellung", "Bestellungen", "de", True),
        ("Verkauf", "Werkstatt", "de", False),
        ("café", "cafe", "fr", True),
    ],
)
def test_phrases_that_sound_alike(one: str, other: str, language: str, expected: bool) -> None:
    first, second = spoken(one, language), spoken(other, language)
    assert alike(first, second, language) is alike(second, first, language) is expected


@pytest.mark.parametrize("language", YES_NO)
def test_the_usual_yes_is_never_the_usual_no(language: str) -> None:
    usual = YES_NO[language]
    assert not {spoken(one, language) for one in usual.yes} & {spoken(one, language) for one in usual.no}


def test_how_long_phrases_are() -> None:
    assert [is_short(one) for one in ("b", "buy", "팀", "音", "sales", "예약", "a b c d")] == [True] * 4 + [False] * 3
    assert [words_of(one) for one in ("new order", "예약을하고싶어요", "我要 repair")] == [2, 4, 2]


# Whatever is written. -------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3), st.sampled_from(["say", "yes_words", "hints"]))
@settings(deadline=None, max_examples=60)
def test_any_words_are_read_or_refused_and_the_other_spelling_says_the_same(words: list[str], where: str) -> None:
    said = json.dumps(words)
    line = {
        "say": f"menu: {{prompt: hello, keys: {{'1': {{say: {said}, go: bye}}}}}}",
        "yes_words": f"confirm: {{prompt: hello, yes_words: {{en: {said}}}, no_words: other, yes: bye, no: bye}}",
        "hints": f"ask: {{prompt: hello, into: wish, hints: {said}, next: bye}}",
    }[where]
    text = (
        f"flow: main\nstart: first\nlanguages: [en]\non_error: bye\nblocks:\n  first:\n    - {line}\n  bye: [hangup]\n"
    )
    made = load_text(text)
    if made.ok:
        assert convert(text, "main.yaml").text is not None


# What was there before. -------------------------------------------------------------------------------------------


def test_a_flow_that_does_not_listen_has_the_digest_it_had() -> None:
    """Or every flow would get a new version for nothing when the program is a newer one."""
    text = """\
flow: main
start: first
on_error: bye
input: {timeout: 4s, barge_in: no}
blocks:
  first:
    - menu: {prompt: hello, keys: {'1': bye}}
  more:
    - collect: {into: order, prompt: hello, barge_in: yes}
    - confirm: {prompt: hello, barge_in: no, no: first}
    - goto: bye
  bye: [hangup]
"""
    had = "9dcf5f9e3ac4f40e32cdc939ccbaede762a677f1a171caf5f8f78d31ccb01f13"
    assert load_text(text).flows["main"].digest == had
    for changed in ("{timeout: 4s, barge_in: keys}", "{timeout: 4s, barge_in: no, min_confidence: 0.6}"):
        assert load_text(text.replace("{timeout: 4s, barge_in: no}", changed)).flows["main"].digest != had
    assert load_text(text.replace("'1': bye", "'1': {say: bye, go: bye}")).flows["main"].digest != had
