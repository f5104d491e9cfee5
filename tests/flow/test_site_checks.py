"""Flows against recordings, seats, groups and trunks."""

from pathlib import Path

from ivr.flow.loader import load_text
from ivr.flow.site_checks import check_prompts, check_targets

FLOW = """\
flow: main
languages: [en, zh]
start: first
on_error: bye
blocks:
  first:
    - play: welcom
    - menu: {prompt: main_menu, no_input: [still_there], keys: {'1': seat, '2': desk, '3': dialled, '4': out}}
  seat:
    - transfer: {to: 'sip:2010', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
  dialled:
    - transfer: {to: 'sip:{input}', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
  out:
    - transfer: {to: 'tel:110', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
  desk:
    - ring: {group: front_dsk, answered: bye, busy: bye, no_answer: bye}
  bye:
    - hangup
"""


def test_a_missing_recording_names_the_files_looked_for() -> None:
    there = {("en", "main_menu"), ("zh", "main_menu"), ("en", "still_there")}
    found = check_prompts(load_text(FLOW), lambda language, name: Path(name) if (language, name) in there else None)
    assert (
        "\n".join(map(str, found)).replace(" and prompts/", "\n      | and prompts/")
        == """\
flow.yaml:7:13: error E150 prompt 'welcom' has no recording for en
    7 |     - play: welcom
      |             ^^^^^^ looked for prompts/en/welcom.wav
      | and prompts/welcom.wav
flow.yaml:7:13: error E150 prompt 'welcom' has no recording for zh
    7 |     - play: welcom
      |             ^^^^^^ looked for prompts/zh/welcom.wav
      | and prompts/welcom.wav
flow.yaml:8:44: error E150 prompt 'still_there' has no recording for zh
    8 |     - menu: {prompt: main_menu, no_input: [still_there], keys: {'1': seat, '2': desk, '3': dialled, '4': out}}
      |                                            ^^^^^^^^^^^ looked for prompts/zh/still_there.wav
      | and prompts/still_there.wav"""
    )


def test_seats_groups_and_trunks_must_be_there() -> None:
    found = check_targets(load_text(FLOW), {"2001", "2002"}, {"front_desk"}, set())
    assert (
        "\n".join(map(str, found))
        == """\
flow.yaml:10:7: error E140 the site has no seat '2010'
   10 |     - transfer: {to: 'sip:2010', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
      |       ^^^^^^^^ did you mean '2002'?
flow.yaml:14:7: error E140 the site has no trunk to call out through
   14 |     - transfer: {to: 'tel:110', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
      |       ^^^^^^^^ add one to the site file under trunks:
flow.yaml:16:7: error E140 the site has no group 'front_dsk'
   16 |     - ring: {group: front_dsk, answered: bye, busy: bye, no_answer: bye}
      |       ^^^^ did you mean 'front_desk'?"""
    )


CLIENTS = """\
flow: main
start: first
on_error: bye
blocks:
  first:
    - transfer: {to: 'rtc:alise', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: next}
  next:
    - transfer: {to: 'rtc:{call.did}', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: out}
  out:
    - transfer: {to: 'tel:110', trunk: carier, answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye}
  bye:
    - hangup
"""


def test_clients_must_be_there() -> None:
    def found(clients: set[str] | None, *, strangers: bool = False) -> list[str]:
        problems = check_targets(load_text(CLIENTS), (), (), {"carrier"}, clients, strangers=strangers)
        return [f"{one.place.line} {one.code} {one.message}, {one.help}" for one in problems]

    trunk = "10 E140 the site has no trunk 'carier', did you mean 'carrier'?"
    assert found({"alice"}) == ["6 E140 the site has no client 'alise', did you mean 'alice'?", trunk]
    # Whoever has the key of the tokens may let in whom he likes.
    assert found({"alice"}, strangers=True) == ["6 W352 the site has no client 'alise', did you mean 'alice'?", trunk]
    none = "the site has no RTC clients, add rtc: and clients: to the site file"
    assert found(None) == [f"6 E140 {none}", f"8 E140 {none}", trunk]
