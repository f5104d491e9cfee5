"""The site file: defaults, routing, secrets, and what the operator reads about a broken one."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call import Target
from gateway.certificates import CertificateFiles, make_self_signed
from ivr.flow.codes import CODES
from ivr.flow.keys import KeyPatternError, parse_pattern
from ivr.flow.loader import load_flows
from ivr.flow.model import Place
from ivr.run.hunt import RingStep
from ivr.site import Listen, NumberRule, PortRange, Site, SiteLoaded, check_site, load_site
from ivr.site.environment import environment_of, surroundings_of
from ivr.site.numbers import ambiguous, most_exact, parse_number
from ivr.speech.checking import VoiceCheck
from ivr.speech.recognition.choice import EngineChoice

ROOT = Path(__file__).parents[2]
BROKEN = Path(__file__).parent / "broken"
TEXTS = sorted(BROKEN.glob("*.txt"))
SAMPLE = (ROOT / "site.yaml").read_text(encoding="utf-8")

TINY = """\
numbers: {'1000': main}
seats: {'2001': a-long-password}
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A context, not monkeypatch: it must outlive the many runs of a property."""
    with contextlib.chdir(tmp_path_factory.mktemp("site")):
        yield


def loaded(text: str, **environment: str) -> SiteLoaded:
    path = Path("site.yaml")
    path.write_text(text, encoding="utf-8")
    return load_site(path, environment)


def good(text: str, **environment: str) -> Site:
    found = loaded(text, **environment)
    assert found.site is not None, "\n".join(map(str, found.problems))
    return found.site


def told(text: str, **environment: str) -> str:
    return "\n".join(map(str, loaded(text, **environment).problems))


def test_encryption() -> None:
    folder = Path.cwd()
    usual = good(TINY)
    assert (usual.tls.certificate, usual.tls.key, usual.tls.ca) == (None, None, None)
    assert (usual.seats["2001"].srtp, usual.sip.srtp_without_tls) == ("prefer", False)
    make_self_signed(CertificateFiles(folder / "own.pem", folder / "key.pem"))
    written = """\
sip: {listen: ['tls:0.0.0.0', 'tls:[::]:5071']}
tls: {certificate: own.pem, key: key.pem, ca: own.pem}
numbers: {'1000': main}
seats: {'2001': {password: a-long-password, srtp: require}, '2002': {password: a-long-password, srtp: off}}
trunks:
  one: {host: sip.example.net, transport: tls, srtp: require, verify: no}
  two: {host: 'sip.example.org:5071', transport: tls}
"""
    site = good(written)
    assert [str(one) for one in site.sip.listen] == ["tls:0.0.0.0:5061", "tls:[::]:5071"]
    assert (site.tls.certificate, site.tls.key) == (folder / "own.pem", folder / "key.pem")
    assert [site.seats[name].srtp for name in ("2001", "2002")] == ["require", "off"]
    one, two = site.trunks["one"], site.trunks["two"]
    assert (one.port, one.transport, one.srtp, one.verify) == (5061, "tls", "require", False)
    assert (two.port, two.srtp, two.verify) == (5071, "prefer", True)
    Path("own.pem").write_text("not any more")
    assert "E209 own.pem holds no certificate" in told(written)
    assert "browsers find it at the addresses of rtc.listen" in told("sip: {listen: 'wss:0.0.0.0:443'}\n" + TINY)
    plain = "trunks: {one: {host: sip.example.net, srtp: require}}\n" + TINY
    assert "E210" in told(plain)
    assert good("sip: {srtp_without_tls: yes}\n" + plain).sip.srtp_without_tls


def test_a_tiny_site_works() -> None:
    folder = Path.cwd()
    site = good(TINY)
    assert site.sip.listen == (Listen("udp", "0.0.0.0", 5060), Listen("tcp", "0.0.0.0", 5060))
    assert (site.media.ports, site.limits.calls) == (PortRange(20000, 29999), 400)
    assert (site.media.port_rest, site.media.port_rest_least) == (30.0, None)
    assert site.flows == (folder / "flows",)
    assert site.prompts == folder / "prompts"
    assert site.records == f"sqlite:///{folder}/var/records.db"
    assert site.seats["2001"].codecs == ("PCMU", "PCMA")
    assert site.seats["2001"].password == "a-long-password"


def test_a_large_site() -> None:
    site = good(
        """\
sip: {listen: ['udp:192.0.2.1:5070', 'tcp:[::1]'], domain: example.org}
media: {address: 0.0.0.0, advertise: 192.0.2.1, ports: 30000-39999, port_rest: 1m, port_rest_least: 2s}
flows: [menus, more/menu.yaml]
records: postgresql+psycopg://ivr:hush@db/ivr
speech: {voices: {en: {voice: en-us, rate: 150}, zh: cmn}}
numbers: {'1000': main, '20XX': {flow: extension, callers: seats}, '+4940[1-3]X': hamburg}
seats: {'2001': {password: secret:seat_2001, name: Reception, codecs: [PCMA]}}
groups: {front_desk: 'sip:2001'}
trunks:
  carrier: {host: sip.example.net, transport: tcp, user: u, password: secret:carrier, register: yes, numbers: ['1000']}
limits: {calls: 40, drain: 90s, call: 4h}
""",
        IVR_SECRET_SEAT_2001="first-secret",
        IVR_SECRET_CARRIER="second-secret",
    )
    assert site.sip.listen == (Listen("udp", "192.0.2.1", 5070), Listen("tcp", "::1", 5060))
    assert str(site.sip.listen[1]) == "tcp:[::1]:5060"
    assert (site.media.port_rest, site.media.port_rest_least) == (60.0, 2.0)
    assert site.voice("zh").voice == "cmn"
    assert site.voice("de").voice == ""
    assert site.trunks["carrier"].password == "second-secret"
    assert site.trunks["carrier"].register
    assert site.groups["front_desk"].targets == ("sip:2001",)
    assert site.limits.call == 14_400.0
    for secret in ("first-secret", "second-secret", "hush"):
        assert secret not in repr(site)


_SEATS = "numbers: {'1000': main}\nseats: {'2001': first-secret, '2002': second-secret, '2003': third-secret}\n"


def test_a_group_in_steps() -> None:
    desk = good(f"{_SEATS}groups: {{desk: ['sip:2001', ['sip:2002', 'sip:2003'], {{ring: 'sip:2001', after: 10s}}]}}\n")
    group = desk.groups["desk"]
    assert group.targets == ("sip:2001", "sip:2002", "sip:2003", "sip:2001")
    assert [(step.targets, step.after) for step in group.steps] == [
        (("sip:2001",), None),
        (("sip:2002", "sip:2003"), None),
        (("sip:2001",), 10.0),
    ]
    anna, ben, carl = (Target("sip", name) for name in ("2001", "2002", "2003"))
    members = environment_of(desk, {}).groups["desk"]
    assert members == (RingStep((anna,)), RingStep((ben, carl)), RingStep((anna,), 10.0))
    assert surroundings_of(desk, {}).groups["desk"] == members


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ("[{ring: 'sip:2001', after: 10s}, 'sip:2002']", "E115 the first step of a group has an 'after'"),
        ("['sip:2001', {ring: 'sip:2002'}]", "E012 this step of a group needs 'after'"),
        ("['sip:2001', {after: 10s}]", "E012 this step of a group needs 'ring'"),
        ("['sip:2001', {ring: 'sip:2002', after: 10}]", "E021 '10' has no unit"),
        ("['sip:2001', {ring: 'sip:2002', after: 1h}]", "E022 '1h' is out of bounds"),
        ("['sip:2001', {ring: [], after: 10s}]", "E025 this list is empty"),
        ("['sip:2001', []]", "E025 this list is empty"),
        ("['sip:2001', ['2002']]", "E112 '2002' does not say what to ring"),
        ("['sip:2001', {ring: 'sip:2002', after: 10s, for: 2s}]", "E011 a step of a group has no setting 'for'"),
    ],
)
def test_a_group_that_is_not_one(members: str, problem: str) -> None:
    assert problem in told(f"{_SEATS}groups: {{desk: {members}}}\n")


@pytest.mark.parametrize(
    ("media", "limits", "warned"),
    [
        ("ports: 20000-21999", "calls: 400", False),  # how fast calls come is not said
        ("ports: 20000-21999", "calls: 400, calls_per_second: 6", False),  # 400 * 4 + 6 * 30 * 2 = 1,960
        ("ports: 20000-21999", "calls: 400, calls_per_second: 7", True),
        ("ports: 20000-21999, port_rest: 25s", "calls: 400, calls_per_second: 8", False),
        ("ports: 20000-21999, port_rest_least: 4s", "calls: 400, calls_per_second: 50", False),
        ("ports: 20000-21999, port_rest: 0s", "calls: 400, calls_per_second: 9999", False),
        ("ports: 20000-21999", "calls: 500, calls_per_second: 1", True),
    ],
)
def test_ports_that_rest_are_counted_where_the_site_says_how_fast_calls_come(
    media: str, limits: str, warned: bool
) -> None:
    assert ("W210" in told(f"{TINY}media: {{{media}}}\nlimits: {{{limits}}}\n")) == warned


def test_a_number_is_answered_by_the_most_exact_rule() -> None:
    site = good(
        """\
numbers: {'2000': night, '20XX': {flow: extension, callers: seats}, 'XXXX': catch_all, '+4940X': hamburg, sales: main}
"""
    )

    def flow(did: str) -> str | None:
        rule = site.route(did)
        return None if rule is None else rule.flow

    assert flow("2000") == "night"
    assert flow("2001") == "extension"
    assert flow("2100") == "catch_all"
    assert flow("+49407") == "hamburg"
    assert flow("sales") == "main"
    assert flow("20") is None
    assert flow("") is None


numbers = st.lists(st.sampled_from([*"0123", "X", "Z", "N", "[12]", "[0-3]"]), min_size=1, max_size=3).map("".join)


@given(st.lists(numbers, unique=True, max_size=6), st.text(alphabet="0123", max_size=3))
def test_without_ambiguity_the_rule_found_lies_within_every_other_that_fits(written: list[str], did: str) -> None:
    rules = [NumberRule(one, "f", "anyone", parse_number(one), Place("", 1)) for one in written]
    clashes = ambiguous(rules)
    for first, second, example in clashes:
        assert first.fits(example)
        assert second.fits(example)
    if clashes:
        return
    found = most_exact(rules, did)
    fitting = [rule for rule in rules if rule.fits(did)]
    assert (found is None) == (not fitting)
    if found is not None:
        for rule in fitting:
            assert all(one <= other for one, other in zip(found.places, rule.places, strict=True))


@pytest.mark.parametrize("text", ["", "+", "+x", "20xx", "12 34", "Sales"])
def test_not_a_number(text: str) -> None:
    with pytest.raises(KeyPatternError):
        parse_number(text)
    assert parse_pattern("20XX")


def test_secrets_come_from_a_file_only_the_owner_reads() -> None:
    text = TINY.replace("a-long-password", "secret:desk") + "secrets: secrets.yaml\n"
    secrets = Path("secrets.yaml")
    secrets.write_text("desk: from-the-file\n")
    secrets.chmod(0o600)
    assert good(text).seats["2001"].password == "from-the-file"
    assert good(text, IVR_SECRET_DESK="from-outside").seats["2001"].password == "from-outside"
    secrets.chmod(0o644)
    printed = told(text)
    assert "secrets.yaml:1:1: error E204 others can read the file with the secrets (mode 0644)" in printed
    assert "run: chmod 600 secrets.yaml" in printed


def test_passwords_are_not_printed_beside_a_problem() -> None:
    text = TINY + "trunks: {carrier: {host: h, user: u, password: 'very secret', regster: yes}}\n"
    printed = told(text)
    assert "regster" in printed
    assert "very secret" not in printed
    short = told("numbers: {'1000': main}\nseats: {'2001': hunter2}\n")
    assert "W211" in short
    assert "hunter2" not in short


@pytest.mark.parametrize("expected", TEXTS, ids=lambda path: path.stem)
def test_the_operator_reads(expected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)
    found = load_site(Path(f"{expected.stem}.yaml"), {})
    problems = list(found.problems)
    if found.site is not None:
        problems += check_site(found.site, load_flows(found.site.flows), voices=VoiceCheck())
    assert "\n".join(map(str, problems)) + "\n" == expected.read_text(encoding="utf-8")
    assert expected.stem[:4] in {problem.code for problem in problems}


def test_every_code_of_sites_has_a_broken_file() -> None:
    assert {code for code in CODES if code[1] == "2"} <= {path.stem[:4] for path in TEXTS}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_site_or_problems(content: bytes) -> None:
    path = Path("any.yaml")
    path.write_bytes(content)
    found = load_site(path, {})
    assert found.site is not None or found.problems


@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 30), st.sampled_from([*"{}[]:,-#*'x9", "\n", "\n  ", "secret:"]))
def test_a_slip_anywhere_in_the_sample_raises_nothing(at: int, length: int, word: str) -> None:
    path = Path("slip.yaml")
    path.write_text(SAMPLE[:at] + word + SAMPLE[at + length :], encoding="utf-8")
    for problem in load_site(path, {}).problems:
        assert str(problem)


def test_the_sample_has_neither_errors_nor_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = load_site(Path("site.yaml"), {})
    assert found.site is not None
    flows = load_flows(found.site.flows)
    assert [*found.problems, *flows.problems, *check_site(found.site, flows, voices=VoiceCheck())] == []


def test_a_language_that_nothing_hears_is_told_and_a_recogniser_for_it_is_enough(tmp_path: Path) -> None:
    flow = "flow: main\nlanguages: [sw]\nstart: a\non_error: a\nblocks:\n  a:\n"
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/main.yaml").write_text(
        f"{flow}    - confirm: {{prompt: {{say: x}}, yes_words: ndiyo, no_words: hapana, no: a}}\n    - hangup\n"
    )
    (tmp_path / "site.yaml").write_text("sip: {listen: 'udp:127.0.0.1:5070'}\nflows: flows\nnumbers: {'1000': main}\n")
    site = load_site(tmp_path / "site.yaml", {}).site
    assert site is not None
    flows = load_flows(site.flows)
    assert [one.code for one in check_site(site, flows)] == ["W355"]
    heard = replace(site, recognition={"sw": EngineChoice("vosk")})
    assert check_site(heard, flows) == ()
    (found,) = check_site(heard, flows, complaints=lambda wanted: [f"{len(wanted.phrases)} words are not known"])
    assert (found.code, found.message) == ("W354", "2 words are not known")


def test_hosts_as_people_write_them(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "sip: {listen: 'udp:localhost:5070'}\n"
        "media: {address: localhost, ports: 20001-20999}\n"
        "numbers: {'1000': main}\n"
        "trunks:\n"
        "  one: {host: '192.0.2.7:5071'}\n"
        "  two: {host: '[2001:db8::7]:5072'}\n"
        "  three: {host: sip.example.net, port: 5073}\n"
        "  four: {host: sip.example.net}\n"
    )
    loaded = load_site(tmp_path / "site.yaml")
    assert loaded.site is not None, loaded.problems
    assert [str(entry) for entry in loaded.site.sip.listen] == ["udp:127.0.0.1:5070"]
    assert loaded.site.media.address == "127.0.0.1"
    assert [(trunk.host, trunk.port) for trunk in loaded.site.trunks.values()] == [
        ("192.0.2.7", 5071),
        ("2001:db8::7", 5072),
        ("sip.example.net", 5073),
        ("sip.example.net", 5060),
    ]


def test_a_trunk_with_two_ports(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("numbers: {'1000': main}\ntrunks: {one: {host: 'a.net:5071', port: 5072}}\n")
    assert [problem.code for problem in load_site(tmp_path / "site.yaml").problems] == ["E201"]
