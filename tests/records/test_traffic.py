"""How many callers came through each block, on both databases."""

from __future__ import annotations

from sqlalchemy import Engine

from ivr.records.traffic import Traffic, traffic
from tests.records.calls import T0, Script, arrived
from tests.records.test_recovery import write


def test_traffic(engine: Engine) -> None:
    for number in range(4):
        call = Script(f"call{number}", T0 + number)
        call.at(0, "call.arrived", **arrived()).at(0, "call.answered")
        call.step(1, "welcome", 0, 1, verb="say", exit="next", next_block="menu")
        call.step(2, "menu", 1, 2, verb="menu", exit="no_match")
        if number:
            call.step(3, "menu", 2, 3, verb="menu", exit="1", next_block="sales")
            call.step(4, "sales", 3, 4, verb="hangup")
        else:
            call.step(3, "menu", 2, 3, verb="menu")
        call.at(4, "call.ended", ended_by="flow" if number else "caller", last_block="sales" if number else "menu")
        write(engine, call.events)
    assert traffic(engine, "main", T0) == Traffic(
        calls=4,
        blocks={"welcome": 4, "menu": 4, "sales": 3},
        arrows={("welcome", "menu"): 4, ("menu", "sales"): 3},
        dropped={"menu": 1},
    )
    assert traffic(engine, "main", T0 + 3_600_000) == Traffic()
    assert traffic(engine, "other", T0) == Traffic()
