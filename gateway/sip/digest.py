"""Digest authentication (RFC 7616, RFC 2617, and RFC 3261 section 22, RFC 8760 for SIP): both sides of it.

Server side, `DigestAuthenticator`: who is this request from? Client side, `DigestClient`: what to write into the
request that is sent again. Neither sends anything; passwords are asked for where needed and kept nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from gateway.sip.grammar import LWS, SipParseError, quote, split_list, unquote
from gateway.sip.message import Request, Response
from gateway.sip.uri import SipUri

PREFERENCE: Final = ("SHA-512-256", "SHA-256", "SHA-512-256-SESS", "SHA-256-SESS", "MD5", "MD5-SESS")
"""What our client can do, the best first."""

_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}

_MAX_REMEMBERED: Final = 64

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class AuthParams:
    """A challenge or credentials: `Digest realm="...", nonce="..."`, quotes undone, names in lower case."""

    scheme: str
    """Lower case."""
    params: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> AuthParams:
        """SipParseError if it is neither; a parameter given twice is neither."""
        scheme, _, rest = text.strip(LWS).partition(" ")
        params: dict[str, str] = {}
        for part in split_list(rest):
            if not part:
                continue
            name, equals, value = part.partition("=")
            name = name.strip(LWS).lower()
            if not equals or not name or name in params:
                raise SipParseError("bad authentication parameter")
            params[name] = unquote(value.strip(LWS))
        return cls(scheme.lower(), params)

    def get(self, name: str) -> str:
        return self.params.get(name, "")

    @property
    def algorithm(self) -> str:
        """Upper case; MD5 where none is named."""
        return self.get("algorithm").upper() or "MD5"


def _hash(algorithm: str, text: bytes) -> str:
    return hashlib.new(_HASHES[algorithm], text, usedforsecurity=False).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def digest_response(
    *,
    algorithm: str,
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    qop: str = "",
    nc: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The `response` value (RFC 7616 3.4.1 to 3.4.3; without `qop` as in RFC 2069). `algorithm` in upper case,
    one of PREFERENCE; `nc` as written, eight hexadecimal digits."""
    name = algorithm.removesuffix("-SESS")
    secret = _hash(name, _bytes(f"{username}:{realm}:{password}"))
    if name != algorithm:
        secret = _hash(name, _bytes(f"{secret}:{nonce}:{cnonce}"))
    what = f"{method}:{uri}"
    if qop == "auth-int":
        what = f"{what}:{_hash(name, body)}"
    used = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return _hash(name, _bytes(f"{secret}:{used}:{_hash(name, _bytes(what))}"))


# Server side


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request is from this account."""

    account: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """Answer with this status and these headers: no credentials yet, or a nonce that is used up."""

    status: int
    """401, or 407 if asked as a proxy."""
    headers: tuple[tuple[str, str], ...]
    stale: bool
    """The password was right and only the nonce too old: the phone tries again without asking anybody."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The credentials are wrong: answer 403, and count it against the sender."""

    reason: str
    """For the log. Whether the account exists cannot be told from it."""
    account: str
    """As claimed."""


class DigestAuthenticator:
    """Decides who a request is from. Owns its nonces: they carry their time and a seal, so an unused one costs no
    memory, and of the used ones a bounded number is remembered so that no request is taken twice.
    """

    def __init__(
        self,
        realm: str,
        lookup: Callable[[str], str | None],
        *,
        algorithms: Sequence[str] = ("MD5", "SHA-256"),
        lifetime: float = 300.0,
        remembered: int = 10_000,
        random: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`lookup` gives an account's password, None for no such account. `algorithms`: one challenge for each,
        in this order (RFC 8760 2.4); ValueError for an unknown one. `lifetime` of a nonce in seconds;
        `remembered`: how many used nonces are known at once, beyond that the oldest become stale early.
        """
        for algorithm in algorithms:
            if algorithm not in _HASHES:
                raise ValueError(f"no digest algorithm: {algorithm}")
        self.realm = realm
        self._lookup = lookup
        self._algorithms = tuple(algorithms)
        self._lifetime = lifetime
        self._remembered = remembered
        self._random = random
        self._secret = random().encode()
        self._used: OrderedDict[str, int] = OrderedDict()
        # Nonces of this time or older are stale unless remembered: what was forgotten cannot be checked for
        # being used twice.
        self._forgotten = -1

    def check(self, request: Request, now: float, *, proxy: bool = False) -> Accepted | Challenge | Refused:
        """`proxy`: by Proxy-Authorization and 407 instead of Authorization and 401. `now`: seconds, monotonic.

        SipParseError if the credentials cannot be read.
        """
        name = "Proxy-Authorization" if proxy else "Authorization"
        for line in request.headers.get_all(name):
            credentials = AuthParams.parse(line)
            if credentials.scheme == "digest" and credentials.get("realm") == self.realm:
                return self._judge(request, credentials, now, proxy)
        return self.challenge(now, proxy=proxy)

    def challenge(self, now: float, *, proxy: bool = False, stale: bool = False) -> Challenge:
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        nonce = self._make_nonce(now)
        mark = ", stale=true" if stale else ""
        headers = tuple(
            (name, f'Digest realm={quote(self.realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{mark}')
            for algorithm in self._algorithms
        )
        return Challenge(407 if proxy else 401, headers, stale)

    def _judge(
        self, request: Request, credentials: AuthParams, now: float, proxy: bool
    ) -> Accepted | Challenge | Refused:
        account = credentials.get("username")
        algorithm = credentials.algorithm
        qop = credentials.get("qop")
        if algorithm not in self._algorithms or qop not in ("", "auth"):
            # Not what was offered.
            return self.challenge(now, proxy=proxy)
        issued = self._issued(credentials.get("nonce"))
        if issued is None:
            return self.challenge(now, proxy=proxy)
        if not _same_target(credentials.get("uri"), request.uri):
            return Refused("credentials for another target", account)
        password = self._lookup(account)
        expected = digest_response(
            algorithm=algorithm,
            username=account,
            realm=self.realm,
            # With no such account the work is done all the same: the time must not tell.
            password=password if password is not None else self._secret.hex(),
            method=request.method,
            uri=credentials.get("uri"),
            nonce=credentials.get("nonce"),
            qop=qop,
            nc=credentials.get("nc"),
            cnonce=credentials.get("cnonce"),
        )
        right = hmac.compare_digest(_bytes(expected), _bytes(credentials.get("response").lower()))
        if not right or password is None:
            return Refused("wrong name or password", account)
        if not self._use(credentials.get("nonce"), issued, credentials.get("nc") if qop else "", now):
            return self.challenge(now, proxy=proxy, stale=True)
        return Accepted(account)

    def _make_nonce(self, now: float) -> str:
        stamp = f"{int(now * 1000):x}.{self._random()}"
        return f"{stamp}.{self._seal(stamp)}"

    def _seal(self, stamp: str) -> str:
        return hmac.new(self._secret, _bytes(f"{stamp}:{self.realm}"), "sha256").hexdigest()[:32]

    def _issued(self, nonce: str) -> int | None:
        """When it was made, in milliseconds; None if not here."""
        stamp, _, seal = nonce.rpartition(".")
        if not hmac.compare_digest(_bytes(self._seal(stamp)), _bytes(seal)):
            return None
        return int(stamp.partition(".")[0], 16)

    def _use(self, nonce: str, issued: int, nc: str, now: float) -> bool:
        """Whether it is good for one more request: young enough, and its count higher than before."""
        if now * 1000 - issued > self._lifetime * 1000:
            return False
        last = self._used.get(nonce, 0)
        if last == 0 and issued <= self._forgotten:
            return False
        # Without qop there is no count; then a nonce is good for one request.
        count = 1
        if nc:
            if len(nc) != 8 or not all(digit in "0123456789abcdefABCDEF" for digit in nc):
                return False
            count = int(nc, 16)
        if count <= last:
            return False
        self._used[nonce] = count
        while len(self._used) > self._remembered:
            oldest, _ = self._used.popitem(last=False)
            self._forgotten = max(self._forgotten, int(oldest.partition(".")[0], 16))
        return True


def _same_target(text: str, uri: SipUri) -> bool:
    """Whether credentials are for this Request-URI. Who and where is compared; ports and parameters are not, for
    phones and proxies between add and drop them, and whoever replays gains nothing by them."""
    try:
        theirs = SipUri.parse(text)
    except SipParseError:
        return False
    return theirs.host == uri.host and theirs.user_text == uri.user_text


# Client side


class DigestClient:
    """Answers challenges for one name and password. Remembers which nonces were refused, so that a wrong password
    goes out once for each request and not for ever, and how often each nonce was used."""

    def __init__(
        self, username: str, password: str, *, random: Callable[[], str] = lambda: secrets.token_hex(8)
    ) -> None:
        self.username = username
        self._password = password
        self._random = random
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._refused: OrderedDict[str, None] = OrderedDict()
        self._latest: OrderedDict[tuple[str, str], AuthParams] = OrderedDict()

    def answer(self, request: Request, response: Response) -> tuple[str, str] | None:
        """The header, name and value, for sending `request` again after this 401 or 407; None if there is no
        point: nothing in it that we can answer, or our answer was refused already.

        The new request needs a new CSeq and branch, and none of the old header of this name and realm.
        SipParseError if the challenge cannot be read.
        """
        if response.status == 401:
            asking, answering = "WWW-Authenticate", "Authorization"
        elif response.status == 407:
            asking, answering = "Proxy-Authenticate", "Proxy-Authorization"
        else:
            return None
        sent = [AuthParams.parse(line) for line in request.headers.get_all(answering)]
        for credentials in sent:
            _remember(self._refused, credentials.get("nonce"), None)
        challenges = [AuthParams.parse(line) for line in response.headers.get_all(asking)]
        usable = [
            challenge
            for challenge in challenges
            if challenge.scheme == "digest"
            and _supported(challenge)
            and challenge.get("nonce") not in self._refused
            and (challenge.get("stale").lower() == "true" or not self._tried(sent, challenge))
        ]
        if not usable:
            return None
        best = min(usable, key=lambda challenge: PREFERENCE.index(challenge.algorithm))
        _remember(self._latest, (answering, best.get("realm")), best)
        return answering, self._credentials(request, best)

    def prepare(self, request: Request) -> list[tuple[str, str]]:
        """Headers for a new request by the challenges answered so far, so that it need not be challenged; empty
        before the first. A server that wants a new nonce says so, and `answer` answers."""
        return [
            (name, self._credentials(request, challenge))
            for (name, _), challenge in self._latest.items()
            if challenge.get("nonce") not in self._refused
        ]

    def _tried(self, sent: list[AuthParams], challenge: AuthParams) -> bool:
        """Whether the password itself was refused. A nonce that served before says nothing of the password when
        it is refused, and not every server says `stale` then."""
        return any(
            credentials.get("realm") == challenge.get("realm") and self._counts.get(credentials.get("nonce"), 1) == 1
            for credentials in sent
        )

    def _credentials(self, request: Request, challenge: AuthParams) -> str:
        nonce = challenge.get("nonce")
        uri = request.uri_text
        offered = [option.strip(LWS).lower() for option in challenge.get("qop").split(",") if option.strip(LWS)]
        qop = "auth" if "auth" in offered else "auth-int" if "auth-int" in offered else ""
        session = challenge.algorithm.endswith("-SESS")
        cnonce = self._random() if qop or session else ""
        count = self._counts.get(nonce, 0) + 1
        _remember(self._counts, nonce, count)
        nc = f"{count:08x}" if qop else ""
        response = digest_response(
            algorithm=challenge.algorithm,
            username=self.username,
            realm=challenge.get("realm"),
            password=self._password,
            method=request.method,
            uri=uri,
            nonce=nonce,
            qop=qop,
            nc=nc,
            cnonce=cnonce,
            body=request.body,
        )
        fields = [
            f"username={quote(self.username)}",
            f"realm={quote(challenge.get('realm'))}",
            f"nonce={quote(nonce)}",
            f"uri={quote(uri)}",
            f'response="{response}"',
        ]
        if "algorithm" in challenge.params:
            fields.append(f"algorithm={challenge.get('algorithm')}")
        if cnonce:
            fields.append(f"cnonce={quote(cnonce)}")
        if qop:
            fields += [f"qop={qop}", f"nc={nc}"]
        if "opaque" in challenge.params:
            fields.append(f"opaque={quote(challenge.get('opaque'))}")
        return "Digest " + ", ".join(fields)


def answer_challenge(request: Request, response: Response, username: str, password: str) -> tuple[str, str] | None:
    """`DigestClient.answer` for a single exchange: what `request` itself tells is all that is remembered."""
    return DigestClient(username, password).answer(request, response)


def _supported(challenge: AuthParams) -> bool:
    offered = [option.strip(LWS).lower() for option in challenge.get("qop").split(",") if option.strip(LWS)]
    algorithm = challenge.algorithm
    if algorithm not in PREFERENCE or not challenge.get("nonce"):
        return False
    if _HASHES[algorithm.removesuffix("-SESS")] not in hashlib.algorithms_available:
        return False
    return not offered or "auth" in offered or "auth-int" in offered


def _remember(memory: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _MAX_REMEMBERED:
        memory.popitem(last=False)
