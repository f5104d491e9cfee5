"""RTC clients: invitations, presence and messages over WebSocket. Knows neither SIP nor how calls are put through."""
