"""Eight calls whose answers were worked out by hand."""

from __future__ import annotations

from tests.records.calls import T0, Script, arrived

DAY = 86_400_000


def ivr(call_id: str, caller: str, start: int = T0) -> Script:
    return Script(call_id, start).at(0, "call.arrived", **arrived(caller=caller)).at(1, "call.answered")


def talk(call: Script, seat: str, begin: float, end: float, hold: float = 0) -> Script:
    call.at(begin - 4, "offer.start").at(begin - 4, "leg.created", seat, role="agent", kind="sip", account=seat)
    call.at(begin, "leg.answered", seat).at(begin, "bridge.join", leg=seat)
    if hold:
        call.at(begin + 1, "leg.held", seat).at(begin + 1 + hold, "leg.retrieved", seat)
    return call.at(end, "leg.ended", seat)


def eight_calls() -> list[Script]:
    calls = [
        # Three hang up in the menu after 2, 4 and 6 s there; two of them are one caller, an hour apart.
        ivr("c1", "1").step(1, "menu", 1, 3, exit="hangup").at(3, "call.ended", ended_by="caller"),
        ivr("c2", "1", T0 + DAY // 24).step(1, "menu", 1, 5, exit="hangup").at(5, "call.ended", ended_by="caller"),
        ivr("c3", "2").step(1, "menu", 1, 7, exit="hangup").at(7, "call.ended", ended_by="caller"),
        # One hears the hours and is done.
        ivr("c4", "3").step(1, "menu", 1, 3, exit="2", next_block="hours").step(2, "hours", 3, 9, exit="end"),
        # Three talk to seats; the last one to both.
        ivr("c5", "4").step(1, "menu", 1, 3, exit="1", next_block="sales"),
        ivr("c6", "5").step(1, "menu", 1, 3, exit="1", next_block="sales"),
        ivr("c7", "6").step(1, "menu", 1, 3, exit="1", next_block="sales"),
        # The second caller again, more than a day later: nobody is there.
        ivr("c8", "2", T0 + DAY + 1).step(1, "menu", 1, 3, exit="1", next_block="sales"),
    ]
    calls[3].at(9, "call.ended", ended_by="flow", goal="hours")
    talk(calls[4], "seat1", 10, 30).step(2, "sales", 3, 30, exit="hangup").at(30, "call.ended", ended_by="agent")
    talk(calls[5], "seat1", 10, 50, hold=15).step(2, "sales", 3, 50, exit="end").at(50, "call.ended", ended_by="flow")
    talk(talk(calls[6], "seat1", 10, 20), "seat2", 24, 60).step(2, "sales", 3, 60, exit="end")
    calls[6].at(60, "call.ended", ended_by="caller")
    calls[7].at(3, "offer.start").at(23, "offer.end", outcome="no_answer").step(2, "sales", 3, 23, exit="no_answer")
    calls[7].at(24, "call.ended", ended_by="flow")
    return calls
