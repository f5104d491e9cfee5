"""The DSL: another spelling of the same flow, there and back, and nothing in a file makes its reader raise."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ivr.flow.conversion import convert, dsl_comments, format_dsl, yaml_comments
from ivr.flow.kinds import Name, Text
from ivr.flow.loader import load_flows, load_text
from ivr.flow.nodes import VERBS, Exit, Verb
from ivr.flow.reading import BLOCKS_LIMIT
from ivr.flow.settings import Reader, setting
from ivr.flow.source import NODES_LIMIT, Node, ScalarNode, SequenceNode

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "flows" / "main.yaml").read_text(encoding="utf-8")

FLOW = """\
flow main "Main line"      // the sample
languages en, zh
start welcome
on error -> bye
var tier: text = "standard"
var visits: number = 0
var info: json = { a 1 b [1, { c "x y" }] }
input timeout 4s tries 2 finish_key #

// What callers hear first.
block welcome "First words" {
  answer
  play @welcome, "You called \\"{call.did:digits}\\"."
  set visits = visits + 1  tier = 'gold'
  menu @main_menu gap 1500ms {
    key 1  -> ask   // the usual way
    key 2X -> bye
    key *  -> welcome
    no_input @still_there, @main_menu
    no_input, failed -> bye
  }
}

block ask {
  collect score @rate_us digits 1 check score in 1..5 finish_key none { failed -> bye }
  if not visits > 3 and tier == "gold" -> bye
  switch score { case 5 -> bye case 4 -> bye default -> ring }
}

block ring {
  transfer "sip:2001" ring 20s { answered -> bye  busy, refused, no_answer, offline -> bye }
}

block bye { hangup }
"""


def digest(text: str, file: str) -> str:
    found = load_text(text, file)
    assert [str(problem) for problem in found.problems if problem.severity == "error"] == []
    return next(iter(found.flows.values())).digest


def test_the_same_flow_in_both_spellings() -> None:
    yaml = convert(FLOW, "main.flow")
    assert yaml.text is not None, yaml.problems
    assert digest(yaml.text, "main.yaml") == digest(FLOW, "main.flow")
    flow = load_text(FLOW, "main.flow").flows["main"]
    assert flow.blocks["welcome"].title == "First words"
    assert flow.variables["info"].default == {"a": "1", "b": ("1", {"c": "x y"})}
    assert flow.blocks["welcome"].steps[-1].exits == {
        "1": "ask",
        "2X": "bye",
        "*": "welcome",
        "no_input": "bye",
        "failed": "bye",
    }


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("*.yaml")), ids=lambda path: path.name)
def test_the_samples_there_and_back(path: Path) -> None:
    if path.name.endswith(".test.yaml"):
        pytest.skip("no flow")
    text = path.read_text(encoding="utf-8")
    there = convert(text, path.name)
    assert there.text is not None, there.problems
    back = convert(there.text, "x.flow")
    assert back.text is not None, back.problems
    assert digest(back.text, path.name) == digest(text, path.name)
    comments = sorted(one.text for one in yaml_comments(text))
    assert sorted(one.text for one in dsl_comments(there.text, "x.flow")) == comments
    assert sorted(one.text for one in yaml_comments(back.text)) == comments


def flow_of(example: str) -> str:
    """A flow with the example of a verb in it; what it leads to is made up."""
    lines = "\n".join(f"    {line}" for line in example.splitlines())
    head = "flow: main\nstart: first\nvars: {tier: text, visits: number, order: digits}\nblocks:\n  first:\n"
    return f"{head}{lines}\n"


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_the_example_of_every_verb_there_and_back(verb: object) -> None:
    text = flow_of(VERBS[verb.name].example)  # type: ignore[attr-defined]
    there = convert(text, "x.yaml")
    assert there.text is not None, there.problems
    back = convert(there.text, "x.flow")
    assert back.text is not None, back.problems
    assert convert(back.text, "x.yaml").text == there.text


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="{}"), min_size=1, max_size=30)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
prompts = st.one_of(names, st.builds(lambda text: {"say": text}, texts.filter(str.strip)))
lists = st.one_of(prompts, st.lists(prompts, min_size=1, max_size=3))
spans = st.sampled_from(["300ms", "5s", "2m"])
conditions = st.sampled_from(
    ["a == 'x y'", "not a in ['1', '2']", "a not in ['1']", "len (a) > 1", "-1 < 2", "then", "a"]
)
block = st.sampled_from(["one", "two"])


def some(**given: object) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=given)  # type: ignore[arg-type]


def joined(*parts: object) -> dict[str, object]:
    return {key: value for part in parts for key, value in part.items()}  # type: ignore[attr-defined]


exits = some(failed=st.one_of(block, some(no_input=block, no_match=block, failed=block).filter(bool)))
waiting = some(timeout=spans, gap=spans, tries=st.just("3"), barge_in=st.just("no"), finish_key=st.sampled_from("#*1"))
retries = some(no_input=lists, no_match=lists)
steps = st.one_of(
    st.builds(lambda text: {"say": text}, texts.filter(str.strip)),
    st.builds(lambda prompt: {"play": prompt}, lists),
    st.builds(lambda name, text: {"tag": {name: text}}, names, texts.filter(str.strip)),
    st.builds(lambda value: {"set": {"a": value}}, conditions),
    st.builds(lambda value, to: {"if": joined({"when": value}, to)}, conditions, some(then=block, **{"else": block})),
    st.builds(
        lambda prompt, keys, *more: {"menu": joined({"prompt": prompt, "keys": keys}, *more)},
        lists,
        st.dictionaries(st.sampled_from(["1", "2X", "*", "#"]), block, min_size=1),
        exits,
        waiting,
        retries,
    ),
    st.builds(
        lambda into, prompt, check, *more: {"collect": joined({"into": into, "prompt": prompt}, check, *more)},
        names,
        lists,
        some(check=conditions, digits=st.sampled_from(["8", "4..8"])),
        exits,
        waiting,
        retries,
    ),
    st.builds(
        lambda on, cases: {"switch": {"on": on, "cases": cases}},
        conditions,
        st.dictionaries(texts.filter(str.strip), block, min_size=1, max_size=3),
    ),
)


def as_yaml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_yaml(key)}: {as_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    doubled = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in doubled) + '"'


@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=5), texts)
def test_generated_flows_there_and_back(written: list[dict[str, object]], note: str) -> None:
    lines = "".join(f"    # {number} {note}\n    - {as_yaml(step)}\n" for number, step in enumerate(written))
    text = f"flow: main\nstart: one\nvars: {{a: text}}\nblocks:\n  one:\n{lines}  two: [hangup]\n"
    there = convert(text, "x.yaml")
    if there.text is None:
        assert {problem.message for problem in there.problems}.isdisjoint(
            {"this flow cannot be converted without changing it"}
        )
        return
    back = convert(there.text, "x.flow")
    assert back.text is not None, (there.text, back.problems)
    assert len(dsl_comments(there.text, "x.flow")) == len(yaml_comments(back.text)) == len(written)
    formatted = format_dsl(there.text, "x.flow").text
    assert formatted is not None
    assert format_dsl(formatted, "x.flow").text == formatted


def test_the_usual_form_keeps_words_and_comments() -> None:
    formatted = format_dsl(
        FLOW.replace("    key 1  ", "key   1 ").replace("\nblock", "\n\n\n  block", 0), "main.flow"
    ).text
    assert formatted is not None
    assert format_dsl(formatted, "main.flow").text == formatted
    assert "    key 1 -> ask  // the usual way\n" in formatted
    assert digest(formatted, "main.flow") == digest(FLOW, "main.flow")


@pytest.mark.parametrize(
    ("right", "wrong", "place", "code"),
    [
        ("    key 1  -> ask ", "    key 1  -> ", "16:12", "E004"),
        ("languages en", "langages en", "2:1", "E005"),
        ("  answer\n", "  anser\n", "12:3", "E015"),
        ("gap 1500ms", "gap 1500", "15:23", "E021"),
        ('"Main line"', "“Main line”", "1:11", "E007"),
        ("  answer\n", "  answer: yes\n", "12:9", "E001"),
        ("play @welcome", "play welcome", "13:8", "E026"),
        ("{call.did:digits}", "{call.did:digts}", "13:42", "E132"),
        ("gap 1500ms", "gpa 1500ms", "15:19", "E011"),
        ("-> ask ", "-> aks ", "16:15", "E101"),
        ('"sip:2001"', '"sip:2001', "31:12", "E001"),
    ],
)
def test_a_slip_is_told_where_it_is(right: str, wrong: str, place: str, code: str) -> None:
    found = load_text(FLOW.replace(right, wrong, 1), "main.flow")
    assert (code, place) in [(one.code, f"{one.place.line}:{one.place.column}") for one in found.problems], [
        str(one) for one in found.problems
    ]


def test_a_missing_brace_names_its_block_and_the_next_is_read() -> None:
    text = FLOW.replace("default -> ring }\n}", "default -> ring }").replace("ring 20s", "ring 20")
    found = load_text(text, "main.flow").problems
    assert [one.code for one in found if one.code in ("E006", "E021")] == ["E006", "E021"]
    assert "block 'ask'" in next(one.message for one in found if one.code == "E006")


def test_mistakes_of_every_block_are_told_in_one_run() -> None:
    text = "flow main\nstart a\nblock a {\n  say =\n  goto ->\n}\nblock b {\n  play )\n  hangup\n}\n"
    lines = {one.place.line for one in load_text(text, "x.flow").problems if one.code in ("E001", "E004", "E005")}
    assert {5, 8} <= lines


def test_a_folder_holds_both_and_a_name_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text(SAMPLE)
    (tmp_path / "other.flow").write_text(FLOW.replace("flow main", "flow other"))
    assert load_flows([tmp_path]).names == {"main", "other"}
    (tmp_path / "main.flow").write_text(FLOW)
    assert "E100" in {one.code for one in load_flows([tmp_path]).problems}


@given(st.binary(max_size=300))
def test_any_bytes_load(content: bytes) -> None:
    load_text(content, "x.flow")


words = st.sampled_from(
    [
        *"{}[](),=-+#*!:'\"%@?\n\t ",
        "->",
        "\n",
        " { ",
        "\nblock a {",
        "}\n",
        "flow ",
        "on ",
        "var ",
        "not ",
        "in ",
        "//",
        "“",
        "\x85",
        "\0",
    ]
    + [f"{name} " for name in [*VERBS, "key", "intent", "failed", "5s"]]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(words, max_size=60).map("".join))
@example("flow main\nblock a { play [\nblock b { hangup }")
def test_any_words_load(text: str) -> None:
    for problem in load_text(text, "x.flow").problems:
        assert str(problem)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(FLOW) - 1), st.integers(0, 40), words)
def test_a_slip_anywhere_is_told_and_nothing_raises(at: int, length: int, word: str) -> None:
    text = FLOW[:at] + word + FLOW[at + length :]
    for problem in load_text(text, "x.flow").problems:
        assert 1 <= problem.place.line <= text.count("\n") + text.count("\x85") + 2
        assert str(problem)


def test_hostile_sizes_take_no_time() -> None:
    started = time.perf_counter()
    for text in ("{" * 900_000, "[" * 900_000, '"' * 900_001, "a -> " * 150_000, "(" * 900_000, "block a {\n" * 50_000):
        assert not load_text(text, "x.flow").ok
    assert time.perf_counter() - started < 60


def test_a_file_with_too_many_words_or_blocks_is_not_read_to_its_end() -> None:
    block = "block b{} {{ goto b0 }}\n"
    for count, code, place in ((BLOCKS_LIMIT + 1, "E025", 3), (NODES_LIMIT // 3, "E010", NODES_LIMIT // 7)):
        text = "flow main\nstart b0\n" + "".join(block.format(number) for number in range(count))
        (found,) = load_text(text, "x.flow").problems
        assert found.code == code
        assert place <= found.place.line < place + 10


class Steps:
    """A kind of setting that holds steps."""

    dsl = "steps"

    def read(self, node: Node, reader: Reader) -> str | None:
        assert isinstance(node, SequenceNode)
        return " ".join(one.text if isinstance(one, ScalarNode) else "…" for one in node.items)

    def describe(self) -> str:
        return "steps"


@dataclass(frozen=True, slots=True)
class Lookup:
    table: str = setting(Name(), "")
    key: str = setting(Text(), "")
    into: str = setting(Name(), "")


@dataclass(frozen=True, slots=True)
class Early:
    steps: str = setting(Steps(), "")


def test_a_verb_of_the_registry_needs_no_edit_here(monkeypatch: pytest.MonkeyPatch) -> None:
    next = Exit("next", "", "next")
    lookup = Verb("seek", Lookup, "", (next, Exit("miss", "", "next")), order=("table", "by key"))
    monkeypatch.setitem(VERBS, "seek", lookup)
    monkeypatch.setitem(VERBS, "before", Verb("before", Early, "", (next,), short="steps"))
    text = 'flow main\nstart a\nblock a {\n  seek vip by "{caller.number}" into tier { miss -> b }\n'
    text += "  before {\n    answer\n    ringing\n  }\n  hangup\n}\nblock b { hangup }\n"
    found = load_text(text, "x.flow")
    assert found.problems == ()
    steps = found.flows["main"].blocks["a"].steps
    assert steps[0].settings == Lookup("vip", "{caller.number}", "tier")
    assert steps[0].exits == {"miss": "b"}
    assert steps[1].settings == Early("answer ringing")
    yaml = convert(text, "x.flow").text
    assert yaml is not None
    back = convert(yaml, "x.yaml").text
    assert back is not None
    assert 'seek vip by "{caller.number}" into tier { miss -> b }' in back
    assert digest(back, "x.flow") == found.flows["main"].digest
