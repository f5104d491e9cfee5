"""Keeps the doors of NATs open: OPTIONS to registered telephones, and those that stay silent are dropped."""

from __future__ import annotations

from gateway.sip.message import Request, Response
from gateway.sip.registrar import Binding, Registrar
from gateway.sip.session_host import SessionHost
from gateway.sip.transaction import ClientTransaction

__all__ = ["KeepAlive"]


class KeepAlive:
    """Owns the pings: one round for each seat and interval."""

    def __init__(self, host: SessionHost, registrar: Registrar) -> None:
        self._host = host
        self._registrar = registrar
        self._settings = host.config.registrar
        self._silent: dict[str, dict[str, int]] = {}
        """By account and Contact: how many pings in a row had no answer."""

    def __len__(self) -> int:
        return len(self._silent)

    def changed(self, account: str, bindings: tuple[Binding, ...]) -> None:
        """The seat has other bindings than before."""
        interval = self._settings.ping_interval
        if interval is None or not any(map(self._wanted, bindings)):
            self._silent.pop(account, None)
            self._host.timers.stop((self, account))
            return
        known = self._silent.get(account)
        contacts = [str(b.contact) for b in bindings if self._wanted(b)]
        self._silent[account] = {contact: (known or {}).get(contact, 0) for contact in contacts}
        if known is None:
            # Not all telephones at once, after a restart when all of them come back.
            pause = interval * (0.5 + self._host.random() / 2)
            self._host.timers.start((self, account), self._host.now() + pause)

    def timer_expired(self, name: str, now: float) -> None:
        interval = self._settings.ping_interval
        if interval is None or name not in self._silent:
            return
        self._host.timers.start((self, name), now + interval)
        for binding in self._registrar.bindings(name):
            if self._wanted(binding):
                self._host.send_request(self._options(binding), binding.hop, _Ping(self, binding))

    def answered(self, binding: Binding) -> None:
        """Any response shows that it is there."""
        silent = self._silent.get(binding.account)
        if silent is not None and str(binding.contact) in silent:
            silent[str(binding.contact)] = 0

    def unanswered(self, binding: Binding) -> None:
        """Silence, or no way to send."""
        silent = self._silent.get(binding.account)
        contact = str(binding.contact)
        if silent is None or contact not in silent:
            return
        silent[contact] += 1
        most = self._settings.ping_failures
        if most is not None and silent[contact] >= most:
            self._registrar.drop(binding)

    def _wanted(self, binding: Binding) -> bool:
        # A connection has no door that shuts while it lives, and tells when it dies.
        return binding.hop.transport == "udp" and (binding.behind_nat or self._settings.ping_all)

    def _options(self, binding: Binding) -> Request:
        host = self._host
        ours = host.config.contact(binding.hop)
        return Request(
            "OPTIONS",
            binding.contact,
            [
                ("From", f"<{ours}>;tag={host.new_tag()}"),
                ("To", f"<{binding.contact}>"),
                ("Call-ID", host.new_tag()),
                ("CSeq", "1 OPTIONS"),
                ("Contact", f"<{ours}>"),
            ],
        )


class _Ping:
    """One OPTIONS on its way."""

    def __init__(self, keepalive: KeepAlive, binding: Binding) -> None:
        self._keepalive = keepalive
        self._binding = binding

    def response(self, transaction: ClientTransaction, response: Response) -> None:
        if not response.is_provisional:
            self._keepalive.answered(self._binding)

    def no_response(self, transaction: ClientTransaction, *, transport: bool) -> None:
        self._keepalive.unanswered(self._binding)
