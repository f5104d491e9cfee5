"""One site in service: puts gateway, flows, sounds and records together. The only place where all of them meet."""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import UTC, datetime
from typing import Literal

from gateway.call import (
    Arrival,
    Call,
    CallOwner,
    Clip,
    GatewayConfig,
    ListenAddress,
    Refusal,
    Seat,
    Target,
    Trunk,
)
from gateway.server import Gateway, TraceMessage
from ivr.flow.loader import FlowSet
from ivr.outside import World
from ivr.records.database import open_database
from ivr.records.journal import CallJournal, take_over
from ivr.records.recovery import close_dead_calls
from ivr.records.writer import RecordWriter
from ivr.run.actions import PlayItem, PlayRecording
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.flow_run import FlowRun, Limits
from ivr.run.live import LiveCall
from ivr.run.preparation import sounds_of
from ivr.site import Site
from ivr.speech.cache import SpeechCache
from ivr.speech.prompts import Progress, PromptLibrary, PromptProblem
from ivr.speech.recordings import RecordingLibrary
from ivr.speech.voice import Voice
from ivr.speech.worker import SpeechWorker

log = logging.getLogger("ivr")

_WRITER_PATIENCE = 10.0
"""Seconds that the records get at the end to reach the database."""


class PromptsNotReady(Exception):
    """Some prompts would not be heard; ``problems`` says which and why."""

    def __init__(self, problems: tuple[PromptProblem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Service:
    """Owns everything that runs for one site, from :meth:`start` to :meth:`stop`."""

    def __init__(self, site: Site, flows: FlowSet, *, trace: TraceMessage | None = None) -> None:
        self._site = site
        self._flows = flows.flows
        self._environment = Environment(
            flows.flows,
            {name: tuple(_target(text) for text in group.targets) for name, group in site.groups.items()},
        )
        self._outside = World()
        self._limits = Limits(call_seconds=site.limits.call)
        self._trace = trace
        self._node_id = f"{socket.gethostname()}:{site.sip.listen[0]}"
        self._live: set[LiveCall] = set()
        self._engine = open_database(site.records)
        state = site.file.resolve().parent / "var"
        take_over(self._engine, state)
        close_dead_calls(self._engine, self._node_id)
        self._writer = RecordWriter(self._engine, journal=CallJournal(state))
        self._worker = SpeechWorker()
        self._prompts = PromptLibrary(
            RecordingLibrary(site.prompts),
            self._worker,
            SpeechCache(state / "speech"),
            voices={
                language: Voice(voice=voice.voice, rate=voice.rate)
                for language, voice in site.voices.items()
                if voice.voice is not None
            },
            rates={language: voice.rate for language, voice in site.voices.items() if voice.voice is None},
        )
        self._gateway: Gateway | None = None

    async def start(self, progress: Progress | None = None) -> None:
        """Make every prompt ready, then take calls.

        Raises PromptsNotReady if a prompt would not be heard, OSError if an address cannot be had.
        """
        prepared = await self._prompts.preload(sounds_of(self._flows.values()), progress)
        if prepared.problems:
            raise PromptsNotReady(prepared.problems)
        self._loop = asyncio.get_running_loop()
        self._gateway = Gateway(self._configuration(self._prompts.music()), self, trace=self._trace)
        await self._gateway.start()

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        return self._gateway.addresses if self._gateway else ()

    @property
    def calls(self) -> int:
        return len(self._live)

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for tests that nothing is forgotten to be forgotten."""
        return {
            "flows_running": len(self._live),
            "tasks": len(asyncio.all_tasks()),
            "events_waiting": self._writer.statistics.queued,
            **(self._gateway.sizes() if self._gateway else {}),
        }

    async def drain(self) -> bool:
        """Take no more calls and let those that run end, for as long as the site allows. Whether all did."""
        if self._gateway is None:
            return True
        self._gateway.drain()
        try:
            async with asyncio.timeout(self._site.limits.drain):
                await self._gateway.wait_until_idle()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End what still runs, write what is still to be written, free everything."""
        if self._gateway is not None:
            await self._gateway.stop()
        await self._outside.close()
        await self._prompts.close()
        await self._worker.close()
        if not await asyncio.to_thread(self._writer.close, _WRITER_PATIENCE):
            log.error("the records could not all be written within %.0f s", _WRITER_PATIENCE)
        self._engine.dispose()

    # Reception ----------------------------------------------------------------------------------------

    def screen(self, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
        rule = self._site.route(arrival.did)
        if rule is None:
            return Refusal(404, f"no number {arrival.did!r}")
        if rule.flow not in self._flows:
            return Refusal(480, f"number {rule.number} leads to flow {rule.flow}, which is not there")
        if rule.callers == "seats":
            return "authenticate"
        return None

    def call_arrived(self, call: Call) -> CallOwner:
        rule = self._site.route(call.did)
        assert rule is not None
        flow = self._flows[rule.flow]
        facts = CallFacts(
            call_id=call.call_id,
            caller=call.caller,
            caller_name=call.caller_name,
            caller_account=call.caller_account,
            did=call.did,
            at=datetime.now(UTC).astimezone(),
        )
        live = LiveCall(
            call,
            FlowRun(flow, facts, environment=self._environment, limits=self._limits),
            flow=flow.name,
            flow_version=flow.digest[:12],
            language=flow.languages[0] if flow.languages else "en",
            node_id=self._node_id,
            sounds=self,
            outside=self._outside,
            journal=self._writer,
            loop=self._loop,
            on_over=self._live.discard,
        )
        self._live.add(live)
        log.info("call %s: %s calls %s, flow %s", call.call_id, call.caller or "somebody", call.did, flow.name)
        # The first steps act on the call, which learns its owner when this returns.
        self._loop.call_soon(live.begin)
        return live

    # Sounds -------------------------------------------------------------------------------------------

    def ready(self, item: PlayItem) -> Clip | None:
        if isinstance(item, PlayRecording):
            clip = self._prompts.get(language=item.language, recording=item.name)
            if clip is None:
                raise LookupError(f"there is no recording '{item.name}' for {item.language}")
            return clip
        return self._prompts.get(language=item.language, text=item.text)

    async def make(self, item: PlayItem) -> Clip:
        if isinstance(item, PlayRecording):
            raise LookupError(f"there is no recording '{item.name}' for {item.language}")
        return await self._prompts.speak(item.text, item.language)

    # --------------------------------------------------------------------------------------------------

    def _configuration(self, hold_music: Clip) -> GatewayConfig:
        site = self._site
        return GatewayConfig(
            listen=tuple(ListenAddress(entry.transport, entry.address, entry.port) for entry in site.sip.listen),
            domain=site.sip.domain,
            media_address=site.media.address,
            media_advertise=site.media.advertise,
            media_timeout=site.media.timeout,
            media_rest=site.media.port_rest,
            media_least_rest=site.media.port_rest_least,
            media_ports=(site.media.ports.first, site.media.ports.last),
            seats={seat.name: Seat(seat.name, seat.password, seat.title, seat.codecs) for seat in site.seats.values()},
            trunks={
                trunk.name: Trunk(
                    name=trunk.name,
                    host=trunk.host,
                    port=trunk.port,
                    transport=trunk.transport,
                    user=trunk.user,
                    password=trunk.password,
                    register=trunk.register,
                    numbers=trunk.numbers,
                    caller_id=trunk.caller_id,
                )
                for trunk in site.trunks.values()
            },
            max_calls=site.limits.calls,
            calls_per_second=float(site.limits.calls_per_second),
            hold_music=hold_music,
        )


def _target(text: str) -> Target:
    scheme, _, name = text.partition(":")
    if scheme not in ("sip", "tel"):
        raise ValueError(f"a group cannot ring {text!r}")
    return Target("sip" if scheme == "sip" else "tel", name)
