"""Every code a problem can have, with what it means. Codes are never given a second meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    # The writing of a file.
    "E001": "The file is not well-formed: a colon, quote, bracket or indentation is out of place.",
    "E002": "The keys * and # mean something else to YAML; write them in quotes.",
    "E003": "One name stands twice in the same place; only one of the two could hold.",
    "E004": "In the DSL, an arrow -> without the name of a block after it.",
    "E005": "In the DSL, a word or sign that does not fit where it stands.",
    "E006": "In the DSL, a block whose closing brace is missing.",
    "E007": "A typographic quote where a straight one is needed; word processors make them.",
    "E008": "A tab at the beginning of a line; indent with spaces.",
    "E009": "Anchors (&), aliases (*) and type marks (!) of YAML are not used in these files.",
    "E010": "The file cannot be read, is too large, is not UTF-8, or is nested too deeply.",
    # Settings and values.
    "E011": "There is no setting of this name.",
    "E012": "A setting that is needed is missing.",
    "E013": "A step, block or part of the file does not have the form it should have.",
    "E014": "A part of the language that this version does not have yet.",
    "E015": "There is no verb of this name.",
    "E016": "Names are written with small letters, digits and _, and begin with a letter.",
    "E020": "A value is missing, or a list stands where one value should.",
    "E021": "A time span carries its unit: 300ms, 5s, 2m, 1h.",
    "E022": "A number is not one, or out of bounds.",
    "E023": "Yes or no is needed.",
    "E024": "One of a few words is needed.",
    "E025": "A text or list is too long or has characters that cannot be printed.",
    "E026": "A prompt is the name of a recording, or {say: 'text'}.",
    # The graph.
    "E100": "Two flows have one name.",
    "E101": "There is no block of this name.",
    "E102": "A flow needs a name, a first block and blocks.",
    "E103": "A language that the flow does not speak.",
    "E104": "There is no flow of this name.",
    "E105": "A block stops without saying where the call goes.",
    "E106": "A step that can never be reached, because the one before it always leaves the block.",
    "E107": "A block cannot be called continue: where a block is named, the word means the next step.",
    "E108": "A step that cannot stand within the settings of another.",
    "E109": "The former name of a block is the name of another one.",
    "E110": "A step does not say what happens on one of its exits.",
    "E111": "A call and what it calls do not fit: an argument too many or too few, a result that is not returned.",
    "E112": "A transfer goes to sip:SEAT or tel:NUMBER.",
    "E113": "A web address is not well-formed: http:// or https:// and a host without holes, then the rest.",
    "E114": "A header of a request that cannot be set, or is not well-formed.",
    "E120": "Two key patterns mean the same keys.",
    "E121": "Not a key or key pattern.",
    # Expressions and texts.
    "E130": "An expression is not well-formed.",
    "E131": "A variable is read that may not be set on some way to this step.",
    "E132": "A format that values in texts do not have.",
    "E133": "A variable of this name is not known, or cannot have this name.",
    "E134": "Types do not agree.",
    "E135": "There is no function of this name, or it is used wrongly.",
    "E136": "A text with braces is not well-formed.",
    "E137": "A language of the flow cannot say a value in this format.",
    # What flows need of the site.
    "E140": "A flow names something that the site does not have: a seat, table, calendar, secret, plug-in, ...",
    "E141": "A step does not fit what it names: a plug-in's arguments or exits, a calendar's periods.",
    "E150": "A recording is missing for a language of the flow, or is no sound.",
    "E160": "A step in what on_hangup leads to needs a caller, or time, but the call is over.",
    "E180": "A password or key stands in a flow, where everybody reads it.",
    # Tests of flows.
    "E170": "A test names a flow, recording, seat or group that is not there.",
    "E171": "A day and time is written 2026-03-02 10:00, with a time zone behind it.",
    "E172": "A mock says two things at once, or nothing.",
    # The site.
    "E201": "An address, port or place to listen is not well-formed.",
    "E202": "One thing is claimed by two: a number by two trunks or rules, a port by two listeners.",
    "E203": "A number rule that is no number and no key pattern, or that is as exact as another.",
    "E204": "A secret is missing, or the file with the secrets can be read by others.",
    "E205": "The site names a flow, seat or trunk that is not there.",
    "E206": "A time zone, period, date or country of a calendar that there is not.",
    "E207": "A table cannot be read, or has not the columns or the question it needs.",
    # Warnings.
    "W301": "A key is also the beginning of a longer one: the caller waits before it counts.",
    "W302": "A loop in which nothing waits for the caller.",
    "W303": "A menu with more choices than callers remember, or that speaks for too long.",
    "W304": "A block nothing leads to.",
    "W305": "A web service is asked without encryption, on a way that others may share.",
    "W306": "What is called never returns.",
    "W307": "Flows that call each other in a circle without asking the caller anything.",
    "W350": "A word in a flow that looks like a key or the number of a card.",
    "W351": "A flow that no number and no step leads to.",
    "W210": "There are fewer media ports than the calls allowed need.",
    "W211": "The password of a seat is easy to guess.",
    "W212": "A trunk brings calls to a number that no rule fits.",
    "W213": "A key stands twice in a table; the first counts.",
}
"""Code to explanation."""
