"""One site in service: puts gateway, flows, sounds and records together. The only place where all of them meet."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import CollectorRegistry

from gateway.call import (
    Arrival,
    Call,
    CallOwner,
    Client,
    Clip,
    GatewayConfig,
    ListenAddress,
    Refusal,
    RtcConfig,
    RtcListen,
    Seat,
    SignallingLine,
    TlsConfig,
    Trunk,
)
from gateway.server import Gateway, TraceMessage
from ivr import country
from ivr.collector import at_rest
from ivr.live.candidate import Candidate, CandidateMaker, Wanted
from ivr.live.control import Control, socket_path
from ivr.live.files import FileWatcher
from ivr.live.listening import Listening
from ivr.live.publisher import Publisher, Refused
from ivr.live.release import Release
from ivr.live.status import Holding, status
from ivr.live.studio import StudioRoom, titles_of
from ivr.live.worker import LoadingProcess
from ivr.observe.counting import CallCounters
from ivr.observe.event_log import EventLog
from ivr.observe.now import Now
from ivr.observe.tap import Tap, Watcher
from ivr.observe.web import Monitoring
from ivr.outside import World
from ivr.outside.plugins import Plugins
from ivr.plugin import installed
from ivr.prompts.studio import Studio
from ivr.records.database import open_database
from ivr.records.events import RecordEvent
from ivr.records.nightly import Nightly
from ivr.records.spool import Spool
from ivr.records.writer import RecordWriter
from ivr.reports.runner import ReportRunner
from ivr.reports.span import machine_zone
from ivr.run import direct
from ivr.run.actions import PlayItem, PlayRecording
from ivr.run.conversation import CallFacts
from ivr.run.direct import direct_flow
from ivr.run.flow_run import FlowRun, Limits
from ivr.run.live import LiveCall
from ivr.site import Direct, Site, SqlTable, Way, refusal, way_to
from ivr.site.environment import target_of
from ivr.site.studio import STUDIO
from ivr.speech.cache import SpeechCache
from ivr.speech.prompts import DEFAULT_MUSIC, Progress, PromptLibrary
from ivr.speech.recognition.service import Hearing
from ivr.speech.recordings import RecordingLibrary
from ivr.speech.worker import SpeechWorker

if TYPE_CHECKING:
    from ivr.observe.tracing import Traces

log = logging.getLogger("ivr")

_RECORDS_PATIENCE = 3.0
"""Seconds that calls wait at the start for what the last run left of the records."""

_WRITER_PATIENCE = 10.0
"""Seconds that the records get at the end to reach the database."""


class Service:
    """Owns everything that runs for one site, from :meth:`start` to :meth:`stop`."""

    def __init__(self, site: Site, *, trace: TraceMessage | None = None, events_at: int = logging.DEBUG) -> None:
        """``events_at``: the level at which the events of calls are logged."""
        self._site = site
        self._outside = World(
            http=site.http,
            secrets=site.secrets,
            tables={name: table for name, table in site.tables.items() if isinstance(table, SqlTable)},
            webhooks=site.webhooks,
            plugins=Plugins({name: one.plugin for name, one in installed().items() if one.plugin is not None}),
        )
        self._limits = Limits(call_seconds=site.limits.call)
        self._trace = trace
        self._node_id = f"{socket.gethostname()}:{site.sip.listen[0]}"
        self._live: dict[LiveCall, tuple[Release, float]] = {}
        """With the set that each holds, and when it began (epoch seconds)."""
        self._engine = open_database(site.records)
        state = site.file.resolve().parent / "var"
        spool = Spool(state / "spool", bound=site.spool)
        self._writer = RecordWriter(self._engine, spool=spool, node_id=self._node_id)
        if not self._writer.caught_up(_RECORDS_PATIENCE):
            log.warning("what the last run left of the records takes longer: calls are taken meanwhile")
        self._registry = CollectorRegistry()
        self._counters = CallCounters(self._registry)
        self._monitoring: Monitoring | None = None
        self._traces: Traces | None = None
        if (watching := site.monitoring) is not None:
            if (at := watching.listen) is not None:
                self._monitoring = Monitoring(at.host, at.port, look=self.look, counters=self._registry)
            if watching.traces is not None:
                # Not everybody has what it needs.
                from ivr.observe.tracing import Traces, sending_to

                self._traces = Traces(sending_to(watching.traces), self._node_id)
        watchers: list[Watcher] = [self._counters, EventLog(events_at)]
        if self._traces is not None:
            watchers.append(self._traces)
        self._journal = Tap(self._writer, watchers)
        self._ready_since = 0
        self._looked: Now | None = None
        """By whoever looked last."""
        self._worker = SpeechWorker()
        self._prompts = PromptLibrary(
            RecordingLibrary(site.prompts),
            self._worker,
            SpeechCache(state / "speech"),
            voices=site.voices,
        )
        self._listening = Listening(Hearing())
        self._loading = LoadingProcess()
        self._publisher = Publisher(
            site=site,
            make=self._make,
            prompts=self._prompts,
            listening=self._listening,
            engine=self._engine,
            record=self._writer.append,
        )
        self._watcher = FileWatcher(self._files_changed)
        self._control = Control(
            socket_path(site.file),
            {"status": self._status, "publish": self._publish, "rollback": self._roll_back, "top": self._top},
        )
        self._reports = ReportRunner(
            site.file, state, lambda: (self.release.site.reports, self.release.site.zone or machine_zone())
        )
        self._reports_task: asyncio.Task[None] | None = None
        self._nightly = Nightly(
            self._engine, lambda: (self.release.site.retention, self.release.site.zone or machine_zone())
        )
        self._watch_task: asyncio.Task[None] | None = None
        self._gateway: Gateway | None = None

    async def start(self, progress: Progress | None = None, models: Progress | None = None) -> None:
        """Make every prompt ready, and load what listens (of which ``models`` tells the progress); then take calls.

        Raises Refused if the flows cannot serve, and none served before; OSError if an address cannot be had.
        """
        release = await self._publisher.start(progress, models)
        country.get_ready()
        self._loop = asyncio.get_running_loop()
        self._gateway = Gateway(self._configuration(release.clips["music", DEFAULT_MUSIC, ""]), self, trace=self._trace)
        await self._gateway.start()
        self._ready_since = round(time.time() * 1000)
        if self._monitoring is not None:
            await self._monitoring.start()
        try:
            await self._control.start()
        except OSError as error:
            log.error("commands cannot reach this server: %s", error)
        if self._site.reload == "auto":
            self._watch_task = asyncio.create_task(self._watcher.run(lambda: self.release.site), name="reload")
        self._nightly.start()
        self._reports_task = asyncio.create_task(self._reports.run(), name="reports")

    @property
    def release(self) -> Release:
        """The set of flows that the next call will hold."""
        assert self._publisher.release is not None
        return self._publisher.release

    @property
    def complaints(self) -> tuple[str, ...]:
        """What keeps the files on disk from being live."""
        return self._publisher.disk.complaints

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        return self._gateway.addresses if self._gateway else ()

    @property
    def rtc_addresses(self) -> tuple[RtcListen, ...]:
        return self._gateway.rtc_addresses if self._gateway else ()

    @property
    def calls(self) -> int:
        return len(self._live)

    @property
    def listened_to(self) -> int:
        """Callers to whom somebody listens now."""
        return self._listening.callers

    @property
    def hearing(self) -> Mapping[str, int | None]:
        """The processes that listen to callers, by language; None for one that is being started again."""
        return self._listening.pids

    def look(self) -> Now:
        """What it looks like now, to those who watch."""
        assert self._gateway is not None
        return Now(
            at=round(time.time() * 1000),
            since=self._ready_since,
            node_id=self._node_id,
            calls=tuple(live.view() for live in self._live),
            most_calls=self._site.limits.calls,
            gateway=self._gateway.view(),
            records=self._writer.statistics,
            complaints=self.complaints,
            sizes=self.sizes(),
            hearing={language: pid is not None for language, pid in self.hearing.items()},
        )

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for tests that nothing is forgotten to be forgotten."""
        return {
            "flows_running": len(self._live),
            "tasks": len(asyncio.all_tasks()),
            "events_waiting": self._writer.statistics.queued,
            "listened_to": self.listened_to,
            **self._counters.sizes(),
            **(self._traces.sizes() if self._traces else {}),
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
        beside = [task for task in (self._watch_task, self._reports_task) if task is not None]
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await self._control.close()
        if self._monitoring is not None:
            await self._monitoring.close()
        if self._traces is not None:
            await asyncio.to_thread(self._traces.close)
        await self._loading.close()
        await self._outside.close()
        await self._listening.close()
        await self._prompts.close()
        await self._worker.close()
        await asyncio.to_thread(self._nightly.stop)
        if not await asyncio.to_thread(self._writer.close, _WRITER_PATIENCE):
            log.error("the records did not all reach the database within %.0f s", _WRITER_PATIENCE)
        self._engine.dispose()

    # Reception ----------------------------------------------------------------------------------------

    def screen(self, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
        client = arrival.rights is not None
        way = way_to(self.release.site, arrival.did, client=client, pstn=arrival.pstn)
        if way is None:
            return Refusal(404, f"no number {arrival.did!r}")
        if not isinstance(way.leads_to, Direct) and way.leads_to not in {STUDIO, *self.release.flows}:
            return Refusal(480, f"number {arrival.did} leads to flow {way.leads_to}, which is not there")
        return refusal(way, arrival)

    def call_arrived(self, call: Call) -> CallOwner:
        release = self.release
        client = call.caller_kind == "rtc"
        way = way_to(release.site, call.did, client=client, pstn=call.pstn)
        assert way is not None
        if way.leads_to == STUDIO:
            return self._studio(call)
        if isinstance(way.leads_to, Direct):
            target = target_of(way.leads_to)
            flow, version, mode = (
                direct_flow(target, call.caller_kind),
                direct.VERSION,
                direct.mode_of(call.caller_kind, target),
            )
        else:
            flow = release.flows[way.leads_to]
            version = release.versions[flow.name].recorded
            mode = "ivr"
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
            FlowRun(flow, facts, environment=release.environment, limits=self._limits),
            flow=flow.name,
            flow_version=version,
            mode=mode,
            language=flow.languages[0] if flow.languages else "en",
            node_id=self._node_id,
            trace_id=None if self._traces is None else self._traces.new_id(),
            sounds=_Sounds(release, self._prompts),
            outside=self._outside,
            ears=self._listening,
            journal=self._journal,
            loop=self._loop,
            on_over=self._over,
        )
        log.info("call %s: %s calls %s, %s", call.call_id, call.caller or "somebody", call.did, _shown(way))
        return self._begun(live)

    def _studio(self, call: Call) -> CallOwner:
        """Somebody records prompts."""
        release = self.release
        assert release.site.studio is not None
        room = StudioRoom(release.site, self._prompts)
        live = LiveCall(
            call,
            Studio(release.site.studio.pin, titles_of(release.clips)),
            flow=STUDIO,
            flow_version="1",
            language="en",
            node_id=self._node_id,
            trace_id=None if self._traces is None else self._traces.new_id(),
            sounds=room,
            outside=room,
            ears=room,
            journal=self._journal,
            loop=self._loop,
            on_over=self._over,
        )
        log.info("call %s: %s records prompts", call.call_id, call.caller_account)
        return self._begun(live)

    def _begun(self, live: LiveCall) -> LiveCall:
        self._live[live] = (self.release, time.time())
        # The first steps act on the call, which learns its owner when this returns.
        self._loop.call_soon(live.begin)
        return live

    def call_signalled(self, call_id: str, leg_id: str, lines: tuple[SignallingLine, ...]) -> None:
        told = [[line.at, line.direction, line.peer, line.text, line.number, line.sound] for line in lines]
        at = round(time.time() * 1000)
        self._journal.append(RecordEvent(at, "leg.signalling", call_id, f"{call_id}-{leg_id}", {"lines": told}))

    def _over(self, live: LiveCall) -> None:
        self._live.pop(live, None)

    # What is live -------------------------------------------------------------------------------------

    async def _make(self, wanted: Wanted) -> Candidate:
        # Before there are calls nobody is kept waiting, and a process more would take longer than the work.
        if self._gateway is None:
            with at_rest():
                return await asyncio.to_thread(CandidateMaker().make, wanted)
        return await self._loading.make(wanted)

    async def _files_changed(self) -> None:
        try:
            await self._publisher.reload("file", "")
        except Refused:
            pass  # said by the one that refused
        except Exception:
            log.exception("reading the changed files failed: what was live stays live")

    async def _publish(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = await self._publisher.reload(
            "publish",
            _words(arguments.get("author"), 100),
            _words(arguments.get("comment"), 1000),
            only_look=bool(arguments.get("dry_run", False)),
        )
        return dataclasses.asdict(outcome)

    async def _roll_back(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = await self._publisher.roll_back(
            str(arguments["flow"]),
            int(arguments["number"]),
            _words(arguments.get("author"), 100),
            _words(arguments.get("comment"), 1000),
        )
        return dataclasses.asdict(outcome)

    async def _status(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return status(
            self.release,
            self._publisher.disk,
            self._watcher.watching.waits_for,
            [Holding(live.call.call_id, live.flow, release, began) for live, (release, began) in self._live.items()],
            time.time(),
        )

    async def _top(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        now = self.look()
        before, self._looked = self._looked, now
        return now.as_json(before)

    # --------------------------------------------------------------------------------------------------

    def _configuration(self, hold_music: Clip) -> GatewayConfig:
        site = self._site
        return GatewayConfig(
            listen=tuple(ListenAddress(entry.transport, entry.address, entry.port) for entry in site.sip.listen),
            domain=site.sip.domain,
            tls=TlsConfig(state=site.state, certificate=site.tls.certificate, key=site.tls.key, ca=site.tls.ca),
            srtp_without_tls=site.sip.srtp_without_tls,
            media_address=site.media.address,
            media_advertise=site.media.advertise,
            media_timeout=site.media.timeout,
            greeting_wait=site.media.greeting_wait,
            media_rest=site.media.port_rest,
            media_least_rest=site.media.port_rest_least,
            media_ports=(site.media.ports.first, site.media.ports.last),
            seats={
                seat.name: Seat(seat.name, seat.password, seat.title, seat.codecs, seat.srtp)
                for seat in site.seats.values()
            },
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
                    srtp=trunk.srtp,
                    verify=trunk.verify,
                )
                for trunk in site.trunks.values()
            },
            rtc=self._rtc(),
            max_calls=site.limits.calls,
            calls_per_second=float(site.limits.calls_per_second),
            hold_music=hold_music,
        )

    def _rtc(self) -> RtcConfig | None:
        rtc = self._site.rtc
        if rtc is None:
            return None
        return RtcConfig(
            listen=rtc.listen,
            state=self._site.state,
            origins=rtc.origins,
            ice_servers=rtc.ice_servers,
            stun=rtc.stun,
            secret=rtc.secret,
            codecs=rtc.codecs,
            guests=rtc.guests,
            clients=_Clients(lambda: self.release.site),
        )


class _Clients(Mapping[str, Client]):
    """Those of the site file as it is live: who is added, or gets another right, need not wait for a restart."""

    def __init__(self, site: Callable[[], Site]) -> None:
        self._site = site

    def __getitem__(self, user: str) -> Client:
        client = self._site().clients[user]
        return Client(client.user, client.name, client.password, client.number, client.rights)

    def __iter__(self) -> Iterator[str]:
        return iter(self._site().clients)

    def __len__(self) -> int:
        return len(self._site().clients)


def _shown(way: Way) -> str:
    return str(way.leads_to) if isinstance(way.leads_to, Direct) else f"flow {way.leads_to}"


def _words(given: object, most: int) -> str:
    """What somebody has written of a change: one line that every database and terminal can take."""
    text = given if isinstance(given, str) else ""
    return "".join(one if one.isprintable() else " " for one in text[:most]).strip()


@dataclasses.dataclass(frozen=True, slots=True)
class _Sounds:
    """What a call hears: the prompts of the set it holds, whatever goes live meanwhile."""

    release: Release
    library: PromptLibrary

    def ready(self, item: PlayItem) -> Clip | None:
        if isinstance(item, PlayRecording):
            clip = self.release.clips.get(("recording", item.name, item.language))
            if clip is None:
                raise LookupError(f"there is no recording '{item.name}' for {item.language}")
            return clip
        return self.release.clips.get(("ssml" if item.ssml else "text", item.text, item.language))

    async def make(self, item: PlayItem) -> AsyncIterator[Clip]:
        if isinstance(item, PlayRecording):
            raise LookupError(f"there is no recording '{item.name}' for {item.language}")
        if item.ssml:
            # Its tags reach over sentences.
            yield await self.library.speak(item.text, item.language, ssml=True)
            return
        async for clip in self.library.speak_on(item.text, item.language):
            yield clip
