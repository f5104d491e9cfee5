"""Databases, webhooks and plug-ins, for real: within their bounds, and wrong in every way."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from ivr.flow.model import Place
from ivr.outside import World
from ivr.outside.plugins import Plugins
from ivr.outside.threads import Busy, Threads
from ivr.outside.webhooks import signature
from ivr.plugin import Leave, Plugin, installed, plugin
from ivr.run.requests import (
    Asked,
    Delivered,
    NoReply,
    Notification,
    PluginCall,
    PluginResult,
    Reply,
    TableLookup,
    TableRow,
)
from ivr.site.model import HttpSettings, SqlTable, Webhook
from ivr.site.reach import parse_reach
from tests.cli.commands import ivr
from tests.outside.server import serving

HERE = Place("site.yaml", 1)


def performed(world: World, *asked: Asked) -> list[Reply]:
    async def story() -> list[Reply]:
        try:
            return [await world.perform(one) for one in asked]
        finally:
            await world.close()

    return asyncio.run(story())


@pytest.fixture
def database(url: str) -> str:
    """With one order; once of either kind."""
    with _connected(url) as connection:
        connection.execute(text("CREATE TABLE orders (no VARCHAR(20), state VARCHAR(20), total NUMERIC(9, 1))"))
        connection.execute(text("INSERT INTO orders VALUES ('42', 'sent', 1280.5)"))
    return url


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_a_database_is_asked_with_the_key_bound(database: str) -> None:
    sql = "SELECT * FROM orders WHERE no = :key"
    tables = {
        "orders": SqlTable("orders", sql, database, None, HERE),
        "state": SqlTable("state", sql, database, "state", HERE),
        "odd": SqlTable("odd", sql, database, "nothing", HERE),
        "broken": SqlTable("broken", "SELECT * FROM nowhere WHERE no = :key", database, None, HERE),
    }
    asked = [TableLookup("orders", "42"), TableLookup("state", "42"), TableLookup("orders", "42' OR '1'='1")]
    asked += [TableLookup("odd", "42"), TableLookup("broken", "42"), TableLookup("none", "42")]
    assert performed(World(tables=tables), *asked) == [
        TableRow({"no": "42", "state": "sent", "total": Decimal("1280.5")}),
        TableRow({"state": "sent"}),
        TableRow(None),
        NoReply("table odd gives no column 'nothing'"),
        NoReply(f"table broken cannot be asked ({'OperationalError' if 'sqlite' in database else 'ProgrammingError'})"),
        NoReply("the site has no table 'none'"),
    ]


def test_a_look_up_changes_nothing(database: str) -> None:
    sql = "WITH k(x) AS (SELECT CAST(:key AS VARCHAR(20))) INSERT INTO orders SELECT x, 'new', 0 FROM k"
    [reply] = performed(World(tables={"t": SqlTable("t", sql, database, None, HERE)}), TableLookup("t", "1"))
    assert isinstance(reply, NoReply)
    with _connected(database) as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM orders")).scalar() == 1


def test_threads_are_bounded_in_time_and_number() -> None:
    async def story() -> None:
        threads, gate = Threads("test", 1), threading.Event()
        with pytest.raises(TimeoutError):
            await threads.run(gate.wait, 0.01)
        with pytest.raises(Busy):
            await threads.run(gate.wait, 0.01)
        gate.set()
        while True:
            try:
                assert await threads.run(lambda: 7, 5.0) == 7
                return
            except Busy:
                await asyncio.sleep(0)

    asyncio.run(story())


def test_a_webhook_gets_a_signed_message_and_is_tried_again() -> None:
    async def story() -> None:
        async with serving() as service:
            hook = Webhook("crm", f"{service.url}/hook", "key", HERE)
            world = World(http=HttpSettings(parse_reach((service.url,))), webhooks={"crm": hook})
            service.failures = 1
            assert await world.perform(Notification("crm", {"event": "missed"})) == Delivered()
            first, second = service.seen
            assert first[2]["X-IVR-Delivery"] == second[2]["X-IVR-Delivery"]
            method, path, headers, body = second
            assert (method, path, json.loads(body)) == ("POST", "/hook", {"event": "missed"})
            assert headers["X-IVR-Signature"] == signature("key", headers["X-IVR-Timestamp"], body.decode())
            gone = Webhook("gone", f"{service.url}/missing", None, HERE)
            other = World(http=HttpSettings(parse_reach((service.url,))), webhooks={"gone": gone})
            assert await other.perform(Notification("gone", {})) == NoReply(
                "webhook gone was not told: the answer was 404"
            )
            await world.close()
            await other.close()

    asyncio.run(story())


def test_the_signature_is_what_is_documented() -> None:
    # printf '%s' '1700000000.{"a": 1}' | openssl dgst -sha256 -hmac key
    made = signature("key", "1700000000", '{"a": 1}')
    assert made == "sha256=17e36a190ee125a4782d21867ffdf5712238dc71b452ba98254537bfdb4f3a77"


def test_what_is_told_at_the_end_of_a_call_arrives_before_the_program_stops() -> None:
    async def story() -> None:
        async with serving() as service:
            hook = Webhook("crm", f"{service.url}/hook", None, HERE)
            world = World(http=HttpSettings(parse_reach((service.url,))), webhooks={"crm": hook})
            world.send(Notification("crm", {"event": "gone"}), "c1")
            await world.close()
            assert [json.loads(body) for *_, body in service.seen] == [{"event": "gone"}]

    asyncio.run(story())


@plugin(exits=("high",))
def score(number: str, limit: int = 3) -> Leave:
    """Scores a number."""
    return Leave("high" if len(number) > limit else "next", len(number))


@plugin()
async def slow() -> None:
    await asyncio.Event().wait()


@plugin()
def broken() -> None:
    raise RuntimeError("with a value in it")


@plugin()
def elsewhere() -> Leave:
    return Leave("elsewhere")


def test_plugins_are_called_within_their_terms() -> None:
    known: dict[str, Plugin] = {"score": score, "slow": slow, "broken": broken, "elsewhere": elsewhere}
    asked = [
        PluginCall("score", {"number": "12345"}),
        PluginCall("score", {"number": "12", "limit": Decimal(9)}),
        PluginCall("score", {"number": "12", "limit": Decimal("1.5")}),
        PluginCall("slow", {}, timeout=0.01),
        PluginCall("broken", {}),
        PluginCall("elsewhere", {}),
        PluginCall("none", {}),
    ]
    assert performed(World(plugins=Plugins(known)), *asked) == [
        PluginResult("high", 5),
        PluginResult("next", 2),
        NoReply("plug-in score raised TypeError"),
        NoReply("plug-in slow took more than 0.01 s"),
        NoReply("plug-in broken raised RuntimeError"),
        NoReply("plug-in elsewhere left by 'elsewhere', which it does not declare"),
        NoReply("there is no plug-in 'none'"),
    ]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package as pip installs it, with two entry points."""
    (tmp_path / "crm_plugins.py").write_text(
        "from ivr.plugin import plugin\n\n@plugin(exits=('high',))\ndef score(number: str, limit: int = 3):\n"
        "    'Scores a number.'\n    return 1\n"
    )
    info = tmp_path / "crm_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crm-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ivr.plugins]\nscore = crm_plugins:score\nbad = crm_plugins:missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("crm_plugins", None)


def test_installed_plugins_are_found_and_a_broken_one_is_named(package: Path) -> None:
    found = installed()
    assert found["score"].plugin is not None
    assert (found["score"].package, found["score"].plugin.doc) == ("crm-plugins", "Scores a number.")
    assert found["bad"].plugin is None
    assert "missing" in found["bad"].fault


def test_ivr_plugins_lists_them(package: Path) -> None:
    printed = ivr("plugins")
    assert printed.exit_code == 1
    assert "score  (crm-plugins)  Scores a number." in printed.stdout
    assert "arguments: number: str, limit: int (may be left out);  exits: high, failed;  5 s" in printed.stdout
    assert "bad  (crm-plugins)  cannot be used: AttributeError" in printed.stdout


def test_a_flow_that_calls_an_installed_plugin_is_checked_against_it(package: Path) -> None:
    site = package / "site.yaml"
    site.write_text("numbers: {'1000': main}\nflows: main.yaml\n")
    steps = "plugin: {name: score, args: {number: caller.number, limt: '3'}, high: continue, failed: continue}"
    (package / "main.yaml").write_text(f"flow: main\nstart: a\nblocks:\n  a:\n    - {steps}\n    - hangup\n")
    printed = ivr("check", site).stdout
    assert "error E141 plug-in 'score' has no argument 'limt'" in printed
    assert "did you mean 'limit'?" in printed
