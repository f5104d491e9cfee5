"""The schema of the site file and the loader agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ivr.calendar.public_holidays import regions
from ivr.flow.settings import settings_of
from ivr.site.calendars import HolidaysOf
from ivr.site.loader import PARTS, load_site
from ivr.site.schema import SHORT, VALUES, site_schema
from tests.cli.commands import ivr
from tests.flow.test_schema import seen_by_an_editor

ROOT = Path(__file__).parents[2]
BROKEN = sorted((ROOT / "tests/site/broken").glob("*.yaml"))
VALIDATOR = Draft202012Validator(site_schema())


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(seen_by_an_editor(text))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(site_schema())


def test_every_part_is_in_it() -> None:
    assert {name for name, part in PARTS.items() if isinstance(part, tuple)} == set(VALUES)
    records = [part for part in PARTS.values() if not isinstance(part, tuple)]
    kinds = {type(one.kind) for record in records for _, one in settings_of(record)} | {
        type(k) for k in VALUES.values()
    }
    assert {kind.__name__ for kind in kinds if not hasattr(kind, "schema")} == set()
    assert {part.partition(".'")[0].removesuffix(".NAME").removesuffix(".LANGUAGE") for part in PARTS} >= set(SHORT)


@pytest.mark.parametrize(
    "path",
    [ROOT / "site.yaml", *(path for path in BROKEN if load_site(path, {}).site is not None)],
    ids=lambda path: path.stem,
)
def test_what_the_check_takes_the_schema_takes(path: Path) -> None:
    assert faults(path.read_text("utf-8")) == []


WHOLE = """\
sip: {listen: ['udp:0.0.0.0:5060', 'tcp:[::1]', 'udp:localhost'], domain: sip.example.net}
media: {address: 192.0.2.1, advertise: localhost, ports: 20000-29999, timeout: 30s}
flows: [flows, more/sales.yaml]
prompts: prompts
records: postgresql://ivr@127.0.0.1/ivr
numbers: {'1000': main, '+4930': main,
          20XX: {flow: extension, callers: seats}, 110: main, '3009': {client: alice, callers: anyone},
          3010: {dial: 'tel:110', callers: signed_in}}
seats: {2001: long-enough-password, '1001': long-enough-1, '1002': long-enough-2, '1003': long-enough-3,
        '2002': {password: secret:desk, name: 7, codecs: PCMA}}
groups: {desk: ['sip:2001', 'tel:110', 'rtc:alice'], one: 'sip:2001'}
rtc:
  listen: ['http:127.0.0.1:8080', 'https:[::]:8443']
  origins: 'https://www.example.com'
  ice_servers: ['stun:192.0.2.1', {urls: ['turn:turn.example.com:3478?transport=udp'], username: 7, credential: x}]
  stun: stun.example.com
  secret: secret:key
  codecs: [opus, PCMU]
  accounts: '1001;100[2-3]'
  pstn: {prefix: 0, trunk: carrier}
  guests: [1000, '+4930']
clients:
  alice: {password: secret:desk, name: Alice, number: 3001, call_in: no, call_out: [20XX, 'tel:0*', 110]}
  bob@example.com: a-long-password
  carl: {peers: yes}
trunks:
  carrier: {host: 'sip.example.net:5070', user: 4008, password: secret:desk, register: no, numbers: [4008, '+49']}
  pbx: {host: 192.0.2.7, port: 5062, transport: tcp, caller_id: '+4930123'}
speech: {voices: {en: en-gb, zh: {rate: 180}}}
limits: {calls: 100, calls_per_second: '20', drain: 1m, call: 2h}
calendars:
  office:
    zone: Europe/Berlin
    open: 'Mon-Fri 09:00-18:00'
    periods: {lunch: 'Mon-Fri 12:00-13:00'}
    exceptions: {'2026-12-24': 09:00-12:00, 2026-12-31: closed}
    holidays: DE-BY
tables: {orders: {sql: 'SELECT a FROM orders WHERE no = :key', url: 'sqlite:///orders.db', value: a}}
webhooks: {crm: 'https://example.com/hook', other: {url: 'https://example.com/hook', secret: secret:desk}}
http: {allow: [10.1.0.0/16, crm.internal], answer: 20000}
zone: Asia/Shanghai
reports:
  daily: {report: day, when: 7:00, to: ['reports/{date}.html', chief@example.com]}
  weekly: {report: lines, when: Mon-Fri 07:00, to: chief@example.com, span: last week, by: hour, format: png}
smtp: {host: mail.example.com, from: ivr@example.com, port: 25, tls: starttls, user: ivr, password: secret:desk}
"""


def test_everything_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(WHOLE)
    loaded = load_site(tmp_path / "site.yaml", {"IVR_SECRET_DESK": "a-long-password", "IVR_SECRET_KEY": "k" * 48})
    assert loaded.site is not None, [str(one) for one in loaded.problems]
    assert faults(WHOLE) == []


def test_holidays_of_every_country_can_be_written() -> None:
    holidays = Draft202012Validator(HolidaysOf().schema())
    for country, parts in regions().items():
        for name in (country, *(f"{country}-{part}" for part in parts)):
            assert holidays.is_valid(name), name


OF_FORM = [path for path in BROKEN if path.stem[:4] in ("E011", "E013", "E201")]


@pytest.mark.parametrize("path", OF_FORM, ids=lambda path: path.stem)
def test_what_has_the_wrong_form_the_schema_refuses(path: Path) -> None:
    assert faults(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "line",
    [
        "queues: {}",
        "seats: {'2001': {name: Max}}",
        "seats: {'a b': long-enough}",
        "trunks: {carrier: {port: 5060}}",
        "limits: {calls: many}",
        "limits: {call: 4}",
        "media: {ports: 29999}",
        "media: {address: eth0}",
        "groups: {desk: ['2001']}",
        "groups: {Desk: ['sip:2001']}",
        "speech: {voice: en}",
        "records: records.db",
        "calendars: {office: {open: []}}",
    ],
)
def test_slips_of_form(line: str, tmp_path: Path) -> None:
    text = f"numbers: {{'1000': main}}\n{line}\n"
    (tmp_path / "site.yaml").write_text(text)
    assert load_site(tmp_path / "site.yaml", {}).site is None
    assert faults(text)


def test_the_command_prints_it() -> None:
    assert json.loads(ivr("schema", "site").stdout) == site_schema()
