"""Judges the answer to a digest challenge as the carrier would, apart from the code that made it."""

from __future__ import annotations

import re
from hashlib import md5, sha256

from tests.peers.trace import Message

__all__ = ["proves_password"]


def proves_password(request: Message, user: str, password: str) -> bool:
    """Whether a request's Authorization or Proxy-Authorization was made with that password (:rfc:`8760`, ``auth``)."""
    given = request.header("Proxy-Authorization") or request.header("Authorization")
    quoted = dict(re.findall(r'(\w+)="([^"]*)"', given))
    plain = dict(re.findall(r"(\w+)=([^\s,\"]+)", given))
    said: dict[str, str] = {**plain, **quoted}
    if said.get("username") != user or "nonce" not in said:
        return False
    algorithm = {"MD5": md5, "SHA-256": sha256}[said.get("algorithm", "MD5").upper()]

    def hashed(*parts: str) -> str:
        return algorithm(":".join(parts).encode()).hexdigest()

    secret = hashed(user, said["realm"], password)
    subject = hashed(request.start_line.split(" ")[0], said["uri"])
    extra = (said["nc"], said["cnonce"], said["qop"]) if "qop" in said else ()
    return hashed(secret, said["nonce"], *extra, subject) == said["response"]
