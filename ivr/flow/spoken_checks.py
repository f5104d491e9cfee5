"""What is wrong with the words that callers may say: words that mean two things, sound alike, or are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import Final, NamedTuple

from ivr.flow.draft import Draft, DraftStep
from ivr.flow.listening import choices_of, listens
from ivr.flow.model import InputSettings, SpokenChoice
from ivr.flow.nodes.questions import Ask, Confirm
from ivr.flow.problem import Problem, listed
from ivr.flow.sounding import alike, is_short, spoken, words_of
from ivr.flow.spoken_languages import languages_of_steps

PHRASES_LIMIT: Final = 20
"""Of one step, in one language: more are confused more often, and each takes a recogniser some time."""
WORDS_LIMIT: Final = 6
"""Of one phrase: few callers say a long one as it is written."""
_COMPARED: Final = 100
"""Phrases that are compared with each other; beyond that there are too many anyway."""


class _Said(NamedTuple):
    """One phrase of a choice."""

    choice: SpokenChoice
    phrase: str
    spoken: str


def check_speech(draft: Draft) -> None:
    """Add what is wrong to the draft's problems."""
    told_language = draft.says_languages
    listening = any(listens(step.settings) for _, step in draft.steps())
    languages = languages_of_steps(draft) if listening else {}
    for _, step in draft.steps():
        if step.settings is None:
            continue
        if isinstance(step.settings, Ask):
            _ask(draft, step, step.settings)
        if not listens(step.settings):
            _deaf(draft, step)
            continue
        if not told_language:
            message = f"this flow does not say which language its callers speak: {draft.languages[0]} is listened for"
            draft.problem("W316", step, message, f"add languages: [{draft.languages[0]}] at the top")
            told_language = True
        _secret(draft, step)
        _choices(draft, step, choices_of(step.settings), languages.get(id(step), draft.languages))


def _ask(draft: Draft, step: DraftStep, ask: Ask) -> None:
    if not ask.choices and ask.into is None:
        help = "add intents: {name: {say: [words], go: block_name}}, or into: variable for whatever is said"
        draft.problem("E115", step, "ask does not say what it listens for", help)
    elif ask.hints and ask.into is None:
        help = "add into: variable, or put the words into say of an intent"
        draft.problem("E115", step, "hints are for what is said freely, and nothing takes it", help)


def _deaf(draft: Draft, step: DraftStep) -> None:
    input = getattr(step.settings, "input", None)
    if isinstance(input, InputSettings) and input.barge_in_speech and not input.barge_in:
        message = f"barge_in is speech, but this {step.verb.name} does not listen: nothing cuts its prompt"
        draft.problem("W315", step, message, "write barge_in: yes or no, or give it words to listen for")


def _secret(draft: Draft, step: DraftStep) -> None:
    into = getattr(step.settings, "into", None)
    variable = draft.variables.get(into or "")
    if getattr(step.settings, "secret", False) or (variable is not None and variable.secret):
        message = f"'{into}' is secret, but callers say it aloud: who is near them hears it"
        draft.problem("W314", step, message, "leave speech out; what is said stays out of records either way")


def _choices(draft: Draft, step: DraftStep, choices: Sequence[SpokenChoice], languages: Sequence[str]) -> None:
    """``languages``: those that the call can have here."""
    if not choices:
        return
    _not_spoken(draft, step, choices)
    _missing(draft, step, choices, languages)
    told: set[tuple[str, str]] = set()
    for language in languages:
        said = [_Said(one, phrase, spoken(phrase, language)) for one in choices for phrase in one.spoken(language)]
        where = f" in {language}" if len(draft.languages) > 1 else ""
        _ambiguous(draft, step, said, where, told)
        if not isinstance(step.settings, Confirm):
            _hard_to_hear(draft, step, said, language, where, told)


def _not_spoken(draft: Draft, step: DraftStep, choices: Sequence[SpokenChoice]) -> None:
    for one in choices:
        for language in one.forms.keys() - {"", *draft.languages}:
            help = f"add {language} to languages: [{', '.join(draft.languages)}] at the top, or leave the words out"
            _problem(draft, step, "E103", one, f"this flow does not speak '{language}'", help)


def _missing(draft: Draft, step: DraftStep, choices: Sequence[SpokenChoice], languages: Sequence[str]) -> None:
    """Words that are there in one language, and missing in another that the call can have here."""
    for language in languages:
        without = [one for one in choices if not one.spoken(language)]
        if not without:
            continue
        if len(without) == len(choices) and isinstance(step.settings, Ask) and step.settings.into is None:
            message = f"this step has no words in {language}: callers who speak it cannot answer"
            draft.problem("E192", step, message, f"add {language}: [words] to say of each intent")
        elif len(without) == len(choices):
            message = f"this step has no words in {language}: callers who speak it can only press keys"
            draft.problem("W311", step, message, f"add {language}: [words] beside those of the other languages")
        else:
            names = listed([_named(step, one) for one in without])
            message = f"there are no words in {language} for {names}"
            _problem(draft, step, "W311", without[0], message, f"add {language}: [words] to its say")


def _ambiguous(draft: Draft, step: DraftStep, said: Sequence[_Said], where: str, told: set[tuple[str, str]]) -> None:
    first: dict[str, _Said] = {}
    for one in said:
        other = first.setdefault(one.spoken, one)
        if other.choice is one.choice or (one.choice.name, one.spoken) in told:
            continue
        told.add((one.choice.name, one.spoken))
        written = "" if other.phrase == one.phrase else f", written '{other.phrase}'"
        message = f"'{one.phrase}'{where} also stands for {_named(step, other.choice)}{written}"
        _problem(draft, step, "E191", one.choice, message, "a word can mean one of the two only: change or remove one")


def _hard_to_hear(
    draft: Draft, step: DraftStep, said: Sequence[_Said], language: str, where: str, told: set[tuple[str, str]]
) -> None:
    if len(said) > PHRASES_LIMIT:
        message = f"there are {len(said)} phrases to tell apart{where}; beyond {PHRASES_LIMIT} they are confused more"
        draft.problem(
            "W312", step, message, "leave out what hardly anybody says, or put some choices into a second step"
        )
    for one in said:
        if (one.choice.name, one.spoken) in told:
            continue
        if words_of(one.spoken) > WORDS_LIMIT:
            message = f"few callers say '{one.phrase[:60]}' as it is written"
            help = f"write the words that count, at most {WORDS_LIMIT}"
            _problem(draft, step, "W312", one.choice, message, help)
        elif is_short(one.spoken):
            message = f"'{one.phrase}' is so short that noise and other words are taken for it"
            _problem(draft, step, "W313", one.choice, message, "write a longer word, or two")
        else:
            continue
        told.add((one.choice.name, one.spoken))
    for one, other in _alike(said, language):
        message = f"'{other.phrase}' sounds like '{one.phrase}' of {_named(step, one.choice)}{where}"
        if ("", message) not in told:
            told.add(("", message))
            _problem(
                draft, step, "W310", other.choice, message, "choose a word that differs in its vowels or its length"
            )


def _alike(said: Sequence[_Said], language: str) -> Iterator[tuple[_Said, _Said]]:
    for one, other in combinations(islice(said, _COMPARED), 2):
        if one.choice is not other.choice and one.spoken != other.spoken and alike(one.spoken, other.spoken, language):
            yield one, other


def _named(step: DraftStep, choice: SpokenChoice) -> str:
    if isinstance(step.settings, Ask | Confirm):
        return f"'{choice.name}'"
    return f"key '{choice.name}'"


def _problem(draft: Draft, step: DraftStep, code: str, choice: SpokenChoice, message: str, help: str) -> None:
    written = step.keys.get(choice.name)
    length = len(choice.name) if written is None else written.length
    draft.problems.append(Problem(code, choice.place, message, help, length))
