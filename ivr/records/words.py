"""The closed vocabularies of the tables: the only words that their columns take."""

from __future__ import annotations

from typing import Literal

CallMode = Literal["ivr", "sip_to_rtc", "rtc_to_sip", "outbound", "callback"]
EndedBy = Literal["caller", "agent", "flow", "system", "network"]
LegKind = Literal["sip", "pstn", "rtc", "virtual"]
LegRole = Literal["caller", "agent", "consult", "supervisor", "callback", "voicemail"]
TransferKind = Literal["blind", "attended", "refer", "takeover"]
SegmentKind = Literal["ring", "ivr", "queue", "offer", "talk", "hold", "consult", "conference", "voicemail", "wrap"]
