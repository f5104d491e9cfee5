"""Tokens: who a client is and what it may do, signed by the site (JWT, RFC 7519, with HS256). Made and verified."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jwt

from gateway.rtc.fields import ProtocolError, Text
from gateway.rtc.logins import TokenRefused
from gateway.rtc.rights import MAX_PATTERNS, Claims, Rights, RightsError, check_pattern
from gateway.rtc.values import ID

__all__ = ["ISSUER", "SecretError", "Tokens", "secret_in", "token_secret_file"]

log = logging.getLogger(__name__)

ISSUER: Final = "ivr"
LIFETIME: Final = 600.0
"""Seconds: enough to load a page and log in."""
LONGEST_LIFETIME: Final = 86_400.0
"""What somebody else's tokens may last. One that is good for longer cannot be called back and should not exist."""
SKEW: Final = 60.0
"""By which the clocks of who makes tokens and who verifies them may differ."""
SHORTEST_SECRET: Final = 32
"""Bytes: as long as the hash (RFC 7518 section 3.2)."""
_END_OF_TIME: Final = 1e12

_NAME: Final = Text(128, min_bytes=0, printable=True)


class SecretError(Exception):
    """The secret cannot be used; says why and what to do."""


class Tokens:
    """Makes and verifies tokens with one secret."""

    def __init__(self, secret: str, *, clock: Callable[[], float], lifetime: float = LIFETIME) -> None:
        """``clock`` gives seconds since 1970.

        Raises:
            SecretError: the secret is too short to be one.
        """
        if len(secret.encode()) < SHORTEST_SECRET:
            raise SecretError(
                f"the secret of the tokens has {len(secret.encode())} bytes, at least {SHORTEST_SECRET} are needed; "
                "leave it out, and one is made"
            )
        self.lifetime = lifetime
        self._secret = secret
        self._clock = clock

    def make(self, user: str, rights: Rights, *, name: str = "") -> str:
        """A token for a user, good for ``lifetime`` seconds."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": user,
            "iat": now,
            "exp": now + int(self.lifetime),
            "name": name,
            "call_in": rights.call_in,
            "be_called": rights.be_called,
            "call_out": list(rights.call_out),
            "peers": rights.peers,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def verify(self, token: str) -> Claims:
        """
        Raises:
            TokenRefused: says what is wrong with it.
        """
        claims = self._signed(token)
        user = _text(claims, "sub", ID)
        issued, expires = _time(claims, "iat"), _time(claims, "exp")
        if claims.get("iss") != ISSUER:
            raise TokenRefused(f"iss must be {ISSUER!r}")
        if expires - issued > LONGEST_LIFETIME:
            raise TokenRefused(f"exp is more than {LONGEST_LIFETIME / 3600:.0f} hours after iat; make shorter tokens")
        now = self._clock()
        if issued > now + SKEW:
            raise TokenRefused("iat lies in the future; the clocks of token maker and gateway differ")
        if expires <= now:
            raise TokenRefused(f"the token is over since {now - expires:.0f} s; get a new one", expired=True, user=user)
        name = _text(claims, "name", _NAME) if claims.get("name") else ""
        return Claims(user, name, _rights(claims), expires)

    def _signed(self, token: str) -> Mapping[str, Any]:
        """What the token says, if it is signed by us. All claims are looked at here, with the clock handed in."""
        options: Any = {
            "verify_signature": True,
            **dict.fromkeys(("verify_exp", "verify_iat", "verify_nbf", "verify_aud", "verify_iss"), False),
            **dict.fromkeys(("verify_sub", "verify_jti"), False),
        }
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], options=options)
        except jwt.InvalidSignatureError:
            raise TokenRefused("the signature does not fit; was it made with the secret of this site?") from None
        except jwt.InvalidAlgorithmError:
            raise TokenRefused("the token is not signed with HS256") from None
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused(f"it is no token: {str(error)[:100]}") from None
        if not isinstance(claims, dict):
            raise TokenRefused("it is no token: its claims are no object")
        return claims


def _text(claims: Mapping[str, Any], name: str, kind: Text) -> str:
    if name not in claims:
        raise TokenRefused(f"{name} is missing")
    try:
        return kind.read(claims[name], name)
    except ProtocolError as error:
        raise TokenRefused(error.text) from None


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # Written so that NaN is refused too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _END_OF_TIME:
        raise TokenRefused(f"{name} is missing, or no time in seconds since 1970")
    return float(value)


def _rights(claims: Mapping[str, Any]) -> Rights:
    patterns = claims.get("call_out", [])
    if not isinstance(patterns, list) or len(patterns) > MAX_PATTERNS:
        raise TokenRefused(f"call_out must be a list of at most {MAX_PATTERNS} patterns")
    for pattern in patterns:
        try:
            check_pattern(pattern if isinstance(pattern, str) else "")
        except RightsError as error:
            raise TokenRefused(f"call_out: {error}") from None
    be_called = _flag(claims, "be_called", default=False)
    return Rights(
        call_in=_flag(claims, "call_in", default=False),
        be_called=be_called,
        call_out=tuple(patterns),
        peers=_flag(claims, "peers", default=be_called),
    )


def _flag(claims: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = claims.get(name, default)
    if not isinstance(value, bool):
        raise TokenRefused(f"{name} must be true or false")
    return value


def token_secret_file(state: Path) -> Path:
    """Where the secret is kept, in the folder of what the program itself keeps, if the site does not give one."""
    return state / "rtc-secret"


def secret_in(path: Path) -> str:
    """The secret of the tokens in a file that only we may read; made if it is not there. Blocks: for the start.

    Raises:
        SecretError: it cannot be read or made, or others may read it.
    """
    try:
        if not path.exists():
            _make(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise SecretError(f"{path} may be read by others (mode {mode:04o}); chmod 600 it, or delete it")
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"the secret of the tokens cannot be kept in {path}: {error}") from error
    if len(secret) < SHORTEST_SECRET:
        raise SecretError(f"{path} does not hold a secret; delete it, and one is made")
    return secret


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # Complete or not there; and if another process was faster, its secret is the one.
            os.link(fresh, path)
            log.info("made a secret for tokens in %s", path)
        except FileExistsError:
            pass
    finally:
        fresh.unlink(missing_ok=True)
