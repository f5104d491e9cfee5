"""The far side of ``pjsua.py``: a pjsua2 user agent that takes commands and tells events as JSON lines.

A process of its own because the library keeps global state, aborts on misuse, is limited to four calls, and is
under the GPL: nothing else may load it. One thread does everything; the library's callbacks come while it polls.
"""

from __future__ import annotations

import json
import os
import selectors
import sys
from pathlib import Path
from typing import Any

import pjsua2 as pj

_POLL_MS = 10

# The library writes to the standard output before it can be told not to.
_events = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def tell(event: str, **details: object) -> None:
    _events.write(json.dumps({"event": event, **details}) + "\n")
    _events.flush()


class TalkingCall(pj.Call):  # type: ignore[misc]
    """A call that says its tone and records what it hears for as long as its media are up."""

    def __init__(self, agent: Agent, account: pj.Account, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self._agent = agent
        self._recorder: pj.AudioMediaRecorder | None = None
        self._player: pj.AudioMediaPlayer | None = None
        self._audio: pj.AudioMedia | None = None
        self._said: list[pj.AudioMediaPlayer] = []

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        info = self.getInfo()
        details = {"status": int(info.lastStatusCode), "reason": info.lastReason}
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            tell("ringing" if info.lastStatusCode == 180 else "progress", **details)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("established", **details)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("closed", **details)
            self._agent.forget(self)

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in (
                pj.PJSUA_CALL_MEDIA_ACTIVE,
                pj.PJSUA_CALL_MEDIA_REMOTE_HOLD,
            ):
                self._connect(self.getAudioMedia(index))
                tell("media", codec=self.getStreamInfo(index).codecName)

    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:
        # Without an object of ours nobody would talk and listen in the call that comes of it.
        prm.newCall = self._agent.next_call()
        prm.statusCode = pj.PJSIP_SC_ACCEPTED

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:
        tell("key", key=prm.digit)

    def _connect(self, audio: pj.AudioMedia) -> None:
        if self._player is None or self._recorder is None:
            self._player, self._recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
            self._player.createPlayer(self._agent.tone)
            self._recorder.createRecorder(str(self._agent.next_recording()))
        self._audio = audio
        self._player.startTransmit(audio)
        audio.startTransmit(self._recorder)

    def say(self, file: str) -> None:
        assert self._audio is not None, "nobody listens yet"
        player = pj.AudioMediaPlayer()
        player.createPlayer(file, pj.PJMEDIA_FILE_NO_LOOP)
        player.startTransmit(self._audio)
        self._said.append(player)


class TalkingAccount(pj.Account):  # type: ignore[misc]
    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self._agent = agent

    def onRegState(self, prm: pj.OnRegStateParam) -> None:
        good = prm.code // 100 == 2
        if good and prm.expiration > 0:
            tell("registered", status=prm.code, reason=prm.reason)
        elif good:
            tell("unregistered", status=prm.code, reason=prm.reason)
        else:
            tell("not_registered", status=prm.code, reason=prm.reason)

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        call = TalkingCall(self._agent, self, prm.callId)
        self._agent.call = call
        ringing = pj.CallOpParam()
        ringing.statusCode = pj.PJSIP_SC_RINGING
        call.answer(ringing)
        tell("incoming", uri=call.getInfo().remoteUri)


class Agent:
    """Owns the endpoint, its one account and its one call."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.tone = str(settings["tone"])
        self.call: TalkingCall | None = None
        self._gone: list[TalkingCall] = []
        self._referred: list[TalkingCall] = []
        """Calls in which we were asked to make another: an object that nobody holds hangs up."""
        self._recordings = 0
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.userAgent = "pjsua2"
        config.logConfig.level = 5
        config.logConfig.consoleLevel = 0
        config.logConfig.filename = str(settings["log"])
        config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
        config.medConfig.noVad = True
        # The echo canceller would take the far end's tone for an echo of ours.
        config.medConfig.ecTailLen = 0
        self._endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.port = int(settings["port"])
        transport.boundAddress = transport.publicAddress = str(settings["host"])
        kinds = {
            "udp": pj.PJSIP_TRANSPORT_UDP,
            "tcp": pj.PJSIP_TRANSPORT_TCP,
            "tls": pj.PJSIP_TRANSPORT_TLS,
        }
        self._transport_id = self._endpoint.transportCreate(kinds[settings["transport"]], transport)
        self._endpoint.libStart()
        self._endpoint.audDevManager().setNullDev()
        self._choose_codecs(settings["codecs"])
        self.account = TalkingAccount(self)
        self.account.create(self._account_config())

    def _choose_codecs(self, names: list[str]) -> None:
        wanted = names or ["PCMU", "PCMA"]
        for codec in self._endpoint.codecEnum2():
            name = codec.codecId.split("/")[0]
            priority = 255 - wanted.index(name) if name in wanted else 0
            self._endpoint.codecSetPriority(codec.codecId, priority)

    def _account_config(self) -> pj.AccountConfig:
        settings = self.settings
        config = pj.AccountConfig()
        config.idUri = settings["id"]
        config.regConfig.registrarUri = settings["registrar"]
        config.regConfig.registerOnAdd = False
        config.regConfig.timeoutSec = 300
        config.sipConfig.transportId = self._transport_id
        if settings["password"] is not None:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", settings["user"], 0, settings["password"]))
        if settings["proxy"]:
            config.sipConfig.proxies.append(settings["proxy"])
        # It must look like a phone that does not know that it is behind a NAT.
        config.natConfig.contactRewriteUse = config.natConfig.viaRewriteUse = 0
        config.natConfig.sdpNatRewriteUse = 0
        config.natConfig.sipOutboundUse = 0
        config.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY if settings["prack"] else pj.PJSUA_100REL_NOT_USED
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
        if settings["srtp"]:
            config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
            config.mediaConfig.srtpSecureSignaling = 1
        media = config.mediaConfig.transportConfig
        media.boundAddress = media.publicAddress = str(settings["host"])
        media.port, media.portRange = int(settings["rtp"]), 14
        return config

    def next_recording(self) -> Path:
        self._recordings += 1
        return Path(self.settings["recordings"]) / f"{self._recordings:03}.wav"

    def next_call(self) -> TalkingCall:
        """A call that takes the place of the present one, which goes on until the other side ends it."""
        if self.call is not None:
            self._referred.append(self.call)
        self.call = TalkingCall(self, self.account)
        return self.call

    def forget(self, call: TalkingCall) -> None:
        # Not destroyed inside its own callback: the library still touches it after that returns.
        self._gone.append(call)
        if call in self._referred:
            self._referred.remove(call)
        if self.call is call:
            self.call = None

    def do(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "register":
                if "expires" in command:
                    config = self._account_config()
                    config.regConfig.timeoutSec = command["expires"]
                    self.account.modify(config)
                self.account.setRegistration(True)
            case "unregister":
                self.account.setRegistration(False)
            case "dial":
                self.call = TalkingCall(self, self.account)
                self.call.makeCall(command["uri"], pj.CallOpParam(True))
            case name:
                assert self.call is not None, "there is no call"
                self._do_in_call(self.call, name, command)

    def _do_in_call(self, call: TalkingCall, name: str, command: dict[str, Any]) -> None:
        operation = pj.CallOpParam(True)
        match name:
            case "answer":
                operation.statusCode = pj.PJSIP_SC_OK
                call.answer(operation)
            case "hangup":
                operation = pj.CallOpParam()
                operation.statusCode = command.get("status", 0)
                call.hangup(operation)
            case "hold":
                call.setHold(operation)
            case "resume":
                operation.opt.flag = pj.PJSUA_CALL_UNHOLD
                call.reinvite(operation)
            case "keys":
                digits = pj.CallSendDtmfParam()
                digits.digits = command["keys"]
                digits.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if command["info"] else pj.PJSUA_DTMF_METHOD_RFC2833
                call.sendDtmf(digits)
            case "say":
                call.say(command["file"])
            case _:
                raise ValueError(name)

    def run(self) -> None:
        tell("ready")
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin, selectors.EVENT_READ)
        os.set_blocking(sys.stdin.fileno(), False)
        buffer = b""
        while True:
            self._endpoint.libHandleEvents(_POLL_MS)
            self._gone.clear()
            if not selector.select(0):
                continue
            data = os.read(sys.stdin.fileno(), 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                try:
                    self.do(json.loads(line))
                except (pj.Error, AssertionError, ValueError) as error:
                    tell("error", text=error.info() if isinstance(error, pj.Error) else repr(error), line=line.decode())


if __name__ == "__main__":
    Agent(json.loads(sys.argv[1])).run()
    # Destroying the endpoint waits for transactions and sometimes crashes; the process is the scope.
    os._exit(0)
