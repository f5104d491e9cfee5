"""Texts in SSML: what is read of them, what is said of them, and what values may do in them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.loader import load_text
from ivr.flow.model import Place
from ivr.flow.nodes.speaking import Say
from ivr.flow.ssml import escaped, is_ssml, read_ssml, words_of
from ivr.flow.template import Template

YAML = """\
flow: main
start: welcome
blocks:
  welcome:
    - say: "<speak>Übrigens <break time='500ms'/> {caller.number:digits} &amp; {{more}}</speak>"
    - hangup
"""
DSL = """\
flow main "Main"
start welcome
block welcome {
  say "<speak>Übrigens <break time='500ms'/> {caller.number:digits} &amp; {{more}}</speak>"
  hangup
}
"""


def text_of(source: str, file: str) -> Template:
    found = load_text(source, file)
    assert not [str(one) for one in found.problems if one.severity == "error"]
    settings = found.flows["main"].blocks["welcome"].steps[0].settings
    assert isinstance(settings, Say)
    return settings.text


@pytest.mark.parametrize(("source", "file"), [(YAML, "main.yaml"), (DSL, "main.flow")], ids=["YAML", "DSL"])
def test_the_tags_of_a_text_are_known_with_their_places(source: str, file: str) -> None:
    text = text_of(source, file)
    assert [one.name for one in text.ssml] == ["speak", "break"]
    assert dict(text.ssml[1].attributes) == {"time": "500ms"}
    line = source.splitlines()[text.ssml[1].place.line - 1]
    assert line[text.ssml[1].place.column - 1 :].startswith("<break")


def test_both_spellings_are_the_same_flow() -> None:
    digests = {load_text(YAML, "main.yaml").flows["main"].digest, load_text(DSL, "main.flow").flows["main"].digest}
    # The title is the DSL's alone.
    assert text_of(YAML, "main.yaml") == text_of(DSL, "main.flow")
    assert len(digests) <= 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<speak>One<break/>two <emphasis>three</emphasis>.</speak>", "One two three."),
        ("<speak><p>One.</p><s>Two.</s></speak>", "One. Two."),
        (
            "<speak>The <sub alias='World Wide Web'>WWW</sub> &amp; <!-- not this --> more</speak>",
            "The World Wide Web & more",
        ),
        ('<?xml version="1.0"?>\n<speak>\n  Caf&#233; &lt;b&gt;\n</speak>', "Café <b>"),
    ],
)
def test_the_words_are_what_is_said(text: str, words: str) -> None:
    assert is_ssml(text)
    assert words_of(text) == words


@given(st.text())
def test_no_value_breaks_a_document_or_puts_a_tag_into_it(value: str) -> None:
    tree = ElementTree.fromstring(f"<speak>a {escaped(value)} b</speak>")
    assert len(tree) == 0


@given(st.lists(st.sampled_from([*"<>&;/!-[]?'\"= ab\ue000\0", "<speak>", "</speak>", "<!--", "CDATA"]), max_size=40))
def test_any_text_is_read_or_a_problem_within_it(words: list[str]) -> None:
    text = "".join(["<speak>", *words])
    _, problem = read_ssml(text, [], lambda offset: Place("", 1, offset + 1))
    if problem is not None:
        assert 1 <= problem.place.column <= len(text) + 1
    words_of(text)


def test_what_only_looks_like_a_document_is_none() -> None:
    assert not is_ssml("I <speak> to you")
    assert not is_ssml("<speaker> is on")
    assert is_ssml(" \n<speak version='1.1'>x</speak>")
