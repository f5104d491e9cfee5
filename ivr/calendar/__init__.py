"""Opening hours: calendars, what they say of a moment, and closing by hand. Knows neither flows nor files of a site."""

from ivr.calendar.decision import Decision, decide, next_change
from ivr.calendar.model import Calendar, Closing, DatedRule, Period, Span

__all__ = ["Calendar", "Closing", "DatedRule", "Decision", "Period", "Span", "decide", "next_change"]
