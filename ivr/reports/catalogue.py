"""Every report there is. One entry adds one: the command, the list, the page of a day and the guide read them here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import and_

from ivr.reports.definition import Column, Picture, Report, count, mean, percent, ratio, share
from ivr.reports.facts import FACTS

_ARRIVED: Final = "A call counts where it arrived, even if it ended in another hour or day."
_OVER: Final = "Calls that are not over yet are left out."
_OFFERED: Final = (
    "Offered is a call for which somebody was rung. There are no queues yet: the wait is the time in which anybody was "
    "being rung, until the caller was first put through or gave up; time in the menu is not in it."
)
_ABANDONED: Final = (
    "Abandoned: the caller hung up, or was lost, while somebody was being rung. Unanswered: nobody took the call, and "
    "the flow went on or ended it."
)


# Service. -------------------------------------------------------------------------------------------------


def _service_level() -> tuple[Column, ...]:
    def in_time(name: str, title: str, whole: str) -> Column:
        return Column(
            name,
            title,
            "percent",
            {
                "answered": lambda sums, at: percent(sums.within("answered", at.threshold_s), sums["answered"]),
                "offered": lambda sums, at: percent(sums.within("answered", at.threshold_s), sums["offered"]),
                "less_short": lambda sums, at: percent(
                    sums.within("answered", at.threshold_s), sums["offered"] - sums.within("abandoned", at.short_s)
                ),
            }[whole],
            lambda row, at: and_(row["answered"] == 1, row["wait_ms"] <= at.threshold_s * 1000),
        )

    return (
        count("offered", "offered"),
        count("answered", "answered"),
        Column(
            "in_time",
            "in time",
            "count",
            lambda sums, at: sums.within("answered", at.threshold_s),
            lambda row, at: and_(row["answered"] == 1, row["wait_ms"] <= at.threshold_s * 1000),
        ),
        count("abandoned", "abandoned"),
        in_time("of_answered", "of answered", "answered"),
        Column(
            "incl_abandons",
            "incl. abandons",
            "percent",
            lambda sums, at: percent(
                sums.within("answered", at.threshold_s) + sums.within("abandoned", at.threshold_s),
                sums["answered"] + sums["abandoned"],
            ),
            lambda row, at: and_(row["answered"] + row["abandoned"] == 1, row["wait_ms"] <= at.threshold_s * 1000),
        ),
        in_time("of_offered", "of offered", "offered"),
        in_time("less_short", "less short abandons", "less_short"),
    )


_SHORT: Final = Column(
    "short",
    "short",
    "count",
    lambda sums, at: sums.within("abandoned", at.short_s),
    lambda row, at: and_(row["abandoned"] == 1, row["wait_ms"] <= at.short_s * 1000),
)

_SERVICE: Final = (
    Report(
        "service-level",
        "Service level",
        "answered within {T} seconds, by four named definitions",
        (
            _OFFERED,
            "In time: answered after a wait of at most {T} s (--threshold).",
            "Of answered: in time ÷ answered. "
            "Incl. abandons: (in time + abandoned within {T} s) ÷ (answered + abandoned). "
            "Of offered: in time ÷ offered. "
            "Less short abandons: in time ÷ (offered − abandoned within {S} s; --short).",
            _ABANDONED,
            f"{_ARRIVED} {_OVER}",
        ),
        FACTS["visits"],
        _service_level(),
        cuts=("hour", "day", "week", "queue", "flow", "number"),
        picture=Picture("line", ("of_answered", "of_offered")),
    ),
    Report(
        "answer-speed",
        "Speed of answer (ASA)",
        "how long callers waited who were answered: mean, median, 90 of 100",
        (
            _OFFERED,
            "ASA: the mean wait of answered calls. Median and 90 %: half of them, and nine of ten, waited at most so "
            "long, to the full second above.",
            f"Callers who gave up are not in it: see abandons. {_ARRIVED} {_OVER}",
        ),
        FACTS["visits"],
        (
            count("answered", "answered"),
            mean("asa_s", "ASA", "answer_ms", "answered"),
            Column("median_s", "median", "seconds", lambda sums, _: sums.quantile("answered", 0.5)),
            Column("p90_s", "90 %", "seconds", lambda sums, _: sums.quantile("answered", 0.9)),
            Column("longest_s", "longest", "seconds", lambda sums, _: max(sums.spread("answered"), default=None)),
        ),
        cuts=("hour", "day", "week", "queue", "flow", "number"),
        picture=Picture("line", ("asa_s", "p90_s")),
    ),
    Report(
        "abandons",
        "Abandon rate",
        "callers who gave up while somebody was rung, with and without short ones",
        (
            _OFFERED,
            _ABANDONED,
            "Rate: abandoned ÷ offered. Without short: (abandoned − short) ÷ (offered − short), where short is a wait "
            "of at most {S} s (--short).",
            "Hanging up in a menu is not abandoning: see containment and funnel.",
            f"{_ARRIVED} {_OVER}",
        ),
        FACTS["visits"],
        (
            count("offered", "offered"),
            count("abandoned", "abandoned"),
            _SHORT,
            count("unanswered", "unanswered"),
            share("rate", "rate", "abandoned", "offered"),
            Column(
                "rate_less_short",
                "without short",
                "percent",
                lambda sums, at: percent(
                    sums["abandoned"] - sums.within("abandoned", at.short_s),
                    sums["offered"] - sums.within("abandoned", at.short_s),
                ),
                lambda row, at: and_(row["abandoned"] == 1, row["wait_ms"] > at.short_s * 1000),
            ),
            Column("median_s", "median wait", "seconds", lambda sums, _: sums.quantile("abandoned", 0.5)),
        ),
        cuts=("hour", "day", "week", "queue", "flow", "number"),
        picture=Picture("bars", ("rate",)),
    ),
    Report(
        "handling-time",
        "Handling time (AHT)",
        "talk and hold of each handling",
        (
            "A handling is one agent's talk with one caller; a call that is passed on has one for each agent.",
            "AHT: (talk + hold) ÷ handled. Work after the call is not recorded yet and not in it.",
            f"Ringing is not in it. {_ARRIVED} {_OVER}",
        ),
        FACTS["handling"],
        (
            count("handled", "handled"),
            mean("talk_s", "talk", "talk_ms", "handled"),
            mean("hold_s", "hold", "hold_ms", "handled"),
            Column(
                "aht_s",
                "AHT",
                "seconds",
                lambda sums, _: ratio((sums["talk_ms"] + sums["hold_ms"]) / 1000, sums["handled"]),
                lambda row, _: row["handled"] > 0,
            ),
        ),
        cuts=("hour", "day", "week", "flow", "number", "agent"),
        usual="agent",
        sorted_by="handled",
        picture=Picture("ranks", ("aht_s",)),
    ),
)


# Calls. ---------------------------------------------------------------------------------------------------

_OUTCOMES: Final = (
    "Each call that is over is one of these. Answered: somebody talked to the caller. "
    + _ABANDONED
    + " Contained: nobody was rung, and a goal of the flow was reached. Dropped: nobody was rung, no goal was reached, "
    "and the caller hung up or was lost. Ended: the flow ended the call without a goal. Failed: the program ended it "
    "(a fault, a limit, a stop)."
)

_CALLS: Final = (
    Report(
        "volumes",
        "Calls",
        "how many calls arrived, were taken, are up; how long they lasted",
        (
            "Every call that arrived counts once. Taken: answered by a flow or a person. Not taken: over without that.",
            "Mean length: from arrival to end, of calls that are over.",
            _ARRIVED,
        ),
        FACTS["calls"],
        (
            count("calls", "calls"),
            count("taken", "taken"),
            Column(
                "not_taken",
                "not taken",
                "count",
                # A call that is up may not be taken yet.
                lambda sums, _: sums["untaken"],
                lambda row, _: row["untaken"] > 0,
            ),
            count("open", "not over"),
            Column(
                "length_s",
                "mean length",
                "seconds",
                lambda sums, _: ratio(sums["lasted_ms"] / 1000, sums["calls"] - sums["open"]),
                lambda row, _: row["open"] == 0,
            ),
        ),
        picture=Picture("bars", ("calls",)),
    ),
    Report(
        "heat-map",
        "When calls arrive",
        "arrivals by weekday and hour",
        (
            "Calls that arrived, by weekday and hour of the clock on the wall; several weeks are added up.",
            "The hour that comes twice when the clock is set back has the calls of both.",
        ),
        FACTS["calls"],
        (count("calls", "calls"),),
        keys=("weekday", "hour of day"),
        cuts=(),
        usual=None,
        picture=Picture("heat", ("calls",)),
    ),
    Report(
        "outcomes",
        "What became of calls",
        "who talked to somebody (answered), gave up (abandoned), found nobody (unanswered), was done in the menu "
        "(contained), hung up there (dropped)",
        (_OUTCOMES, f"{_ARRIVED} {_OVER}"),
        FACTS["calls"],
        (
            count("answered", "answered"),
            count("abandoned", "abandoned"),
            count("unanswered", "unanswered"),
            count("contained", "contained"),
            count("dropped", "dropped"),
            count("ended", "ended"),
            count("failed", "failed"),
        ),
        picture=Picture("stack", ("answered", "contained", "ended", "unanswered", "abandoned", "dropped", "failed")),
    ),
    Report(
        "containment",
        "Done in the menu (containment)",
        "calls that reached a goal in the menu, were dropped there, or went to people",
        (
            "Of calls to flows that are over. To people: somebody was rung, whether or not he answered. Contained: "
            "nobody was rung, and the flow reached a goal (the step `goal`). Dropped: neither, and the caller hung up "
            "or was lost. Ended: neither, and the flow or the program ended the call.",
            "Containment: contained ÷ calls. Hanging up in a menu is not containment; a flow without goals has none.",
            _ARRIVED,
        ),
        FACTS["calls"],
        (
            count("calls", "calls", "menus"),
            count("contained", "contained", "menus_contained"),
            count("dropped", "dropped", "menus_dropped"),
            count("ended", "ended", "menus_ended"),
            count("people", "to people", "menus_people"),
            share("contained_pct", "containment", "menus_contained", "menus"),
            share("dropped_pct", "dropped %", "menus_dropped", "menus"),
            share("people_pct", "to people %", "menus_people", "menus"),
        ),
        usual="flow",
        sorted_by="calls",
        picture=Picture("ranks", ("contained_pct", "dropped_pct", "people_pct")),
    ),
    Report(
        "repeats",
        "Callers who call again",
        "calls that the same number followed by another within 24 hours, by what became of the first",
        (
            "Called again: the same caller's number arrived again within 24 hours, at any number of ours. A sign that "
            "the first call did not settle the matter.",
            "Calls without a caller's number are left out.",
            _ARRIVED,
        ),
        FACTS["repeats"],
        (
            count("calls", "calls"),
            count("repeated", "called again"),
            share("repeated_pct", "called again %", "repeated", "calls"),
        ),
        keys=("outcome",),
        usual=None,
        sorted_by="repeated",
        picture=Picture("ranks", ("repeated_pct",)),
    ),
)


# Menus. ---------------------------------------------------------------------------------------------------

_MENUS: Final = (
    Report(
        "funnel",
        "Where callers are lost",
        "for each block: who came there, who hung up there, how long they spent",
        (
            "Callers: calls that did a step of the block, each counted once. Hung up: the caller hung up, or was "
            "lost, in this block. Lost: of these, the calls that had reached no goal and talked to nobody.",
            "Lost %: lost ÷ callers. Seconds: spent in the block by each of its callers, all visits together, talks "
            "included.",
            f"{_ARRIVED} {_OVER}",
        ),
        FACTS["blocks"],
        (
            count("callers", "callers"),
            count("hung_up", "hung up"),
            share("hung_up_pct", "hung up %", "hung_up", "callers"),
            count("lost", "lost"),
            share("lost_pct", "lost %", "lost", "callers"),
            mean("spent_s", "seconds", "spent_ms", "callers"),
        ),
        keys=("flow", "block"),
        cuts=("hour", "day", "week", "number"),
        usual=None,
        sorted_by="callers",
        then_by=lambda sums: sums["place"] / max(sums["callers"], 1),
        total=False,
        picture=Picture("ranks", ("callers", "lost")),
    ),
    Report(
        "menu-quality",
        "How menus are understood",
        "tries, silence, wrong keys, barge-in for each menu and question",
        (
            "A try is one time a menu or a question waited for the caller. Matched: he gave an answer that it knows. "
            "Silence: nothing came (no_input). Wrong: something it does not know (no_match). Failed: it could not be "
            "asked. Hung up: the caller left during the try.",
            "Keys and speech: tries that were answered so. Barge-in: the caller did not wait for the prompt's end. "
            "Heard: seconds of prompt for each try.",
            _ARRIVED,
        ),
        FACTS["tries"],
        (
            count("tries", "tries"),
            count("matched", "matched"),
            count("keys", "keys"),
            count("speech", "speech"),
            count("no_input", "silence"),
            count("no_match", "wrong"),
            count("failed", "failed"),
            count("hung_up", "hung up"),
            count("barged_in", "barge-in"),
            share("no_input_pct", "silence %", "no_input", "tries"),
            share("no_match_pct", "wrong %", "no_match", "tries"),
            share("barged_in_pct", "barge-in %", "barged_in", "tries"),
            mean("heard_s", "heard", "heard_ms", "tries"),
        ),
        keys=("flow", "block"),
        cuts=("hour", "day", "week", "number"),
        usual=None,
        sorted_by="tries",
        picture=Picture("ranks", ("no_input_pct", "no_match_pct")),
    ),
    Report(
        "paths",
        "Commonest ways",
        "through which blocks callers went, the commonest first",
        (
            "The blocks of a call in the order they were entered, as `ivr calls` shows them; the first twenty of a "
            "long way.",
            f"{_ARRIVED} {_OVER}",
        ),
        FACTS["paths"],
        (count("calls", "calls"),),
        keys=("path",),
        cuts=("hour", "day", "week", "flow", "number"),
        usual=None,
        sorted_by="calls",
        picture=Picture("ranks", ("calls",)),
    ),
)


# People and lines. ----------------------------------------------------------------------------------------

_PEOPLE: Final = (
    Report(
        "offers",
        "Offers and missed ones",
        "for each seat, client and trunk: how often it was rung, and what came of it",
        (
            "An offer is one party being rung: a seat, a browser's user, or a number outside, which counts for its "
            "trunk. Missed: it rang until the time was over. Refused: declined, or not accepted after a whisper. "
            "Busy, offline, failed: it did not ring. Cancelled: another took the call, or the caller gave up; that is "
            "nobody's miss.",
            "Missed %: (missed + refused) ÷ (offers − cancelled). Rang: seconds of ringing for each offer.",
            _ARRIVED,
        ),
        FACTS["offers"],
        (
            count("offers", "offers"),
            count("answered", "answered"),
            count("missed", "missed", "no_answer"),
            count("refused", "refused"),
            count("busy", "busy"),
            count("offline", "offline"),
            count("failed", "failed"),
            count("cancelled", "cancelled"),
            Column(
                "missed_pct",
                "missed %",
                "percent",
                lambda sums, _: percent(sums["no_answer"] + sums["refused"], sums["offers"] - sums["cancelled"]),
                lambda row, _: row["no_answer"] + row["refused"] > 0,
            ),
            mean("ring_s", "rang", "ring_ms", "offers"),
        ),
        keys=("agent", "kind"),
        usual=None,
        sorted_by="offers",
        picture=Picture("ranks", ("missed_pct",)),
    ),
    Report(
        "transfers",
        "Transfers",
        "who passed callers on, to whom; what menus handed over",
        (
            "Passed on: after one agent another one talked to the same caller in the same call. Refer and blind: the "
            "menu handed the caller over to his own telephone or carrier.",
            _ARRIVED,
        ),
        FACTS["transfers"],
        (count("transfers", "transfers"),),
        keys=("from", "to", "kind"),
        usual=None,
        sorted_by="transfers",
        picture=Picture("ranks", ("transfers",)),
    ),
    Report(
        "voice-quality",
        "Sound",
        "loss, jitter, MOS, and calls in which a party was not heard",
        (
            "A leg is one party's connection that was answered and has been measured. Silent: no audio at all came "
            "from that party. Loss: packets that did not arrive ÷ packets that should have. Heavy loss: above 3 %. "
            "Jitter: the mean over legs, in milliseconds.",
            "MOS: the mean of the legs whose quality was rated; poor is below 3.6. '-': none was.",
            _ARRIVED,
        ),
        FACTS["quality"],
        (
            count("legs", "legs"),
            count("silent", "silent"),
            Column(
                "loss_pct",
                "loss",
                "percent",
                lambda sums, _: percent(sums["lost"], sums["received"] + sums["lost"]),
                lambda row, _: row["lost"] > 0,
            ),
            count("heavy_loss", "heavy loss"),
            Column(
                "jitter_ms",
                "jitter ms",
                "number",
                lambda sums, _: ratio(sums["jitter_us"] / 1000, sums["jitters"]),
                lambda row, _: row["jitters"] > 0,
            ),
            Column(
                "mos",
                "MOS",
                "number",
                lambda sums, _: ratio(sums["mos_1000"] / 1000, sums["rated"]),
                lambda row, _: row["rated"] > 0,
            ),
            count("mos_poor", "poor MOS"),
        ),
        keys=("role", "kind"),
        cuts=("hour", "day", "week", "flow", "number", "agent"),
        usual=None,
        sorted_by="legs",
        picture=Picture("ranks", ("loss_pct",)),
    ),
    Report(
        "lines",
        "Lines busy at once",
        "how many calls and trunk lines were busy at once: peak, mean",
        (
            "From the moment each line was taken and given back, so that no peak falls between samples. A line of a "
            "trunk is one leg there, ringing included.",
            "Peak: the most at once, and when it was first so. Mean: busy time ÷ time (erlang), as far as the span has "
            "come.",
            "A call that began more than a day before the span is left out.",
        ),
        None,
        (
            Column("peak", "peak", "count", lambda sums, _: sums["peak"]),
            Column("peak_at", "first at", "time", lambda sums, _: sums["peak_at"] if sums["peak"] else None),
            Column("mean", "mean", "number", lambda sums, _: ratio(sums["busy_ms"], sums["span_ms"])),
        ),
        keys=("line",),
        cuts=("hour", "day", "week"),
        usual="time",
        total=False,
        picture=Picture("line", ("peak",)),
    ),
)

REPORTS: Final[Mapping[str, Report]] = MappingProxyType(
    {report.name: report for report in (*_CALLS, *_SERVICE, *_MENUS, *_PEOPLE)}
)
"""By name, in the order in which they are listed."""
