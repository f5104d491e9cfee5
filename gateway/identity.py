"""Who calls and who is called, read from what strangers write: fit for a log, a record and another message."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.sip.uri import SipUri

# Characters of a number or a name; more serves nobody and would have to be carried to telephones.
_LONGEST_NUMBER = 64
_LONGEST_NAME = 80
# Of an address: parameters (RFC 3966) may follow the number.
_LONGEST_USER = 256
_PUNCTUATED = re.compile(r"\+?[0-9*#().-]*[0-9][0-9*#().-]*")


def number_of(uri: SipUri) -> str:
    """Who is meant: the user of an address without its parameters, a number without what it is grouped by."""
    return _number_in(uri.user_text[:_LONGEST_USER])


@lru_cache(maxsize=1024)
def _number_in(user: str) -> str:
    text = _plain(user.partition(";")[0])[:_LONGEST_NUMBER]
    if _PUNCTUATED.fullmatch(text):
        text = re.sub(r"[().-]", "", text)
    return text


def name_of(display_name: str) -> str:
    """A display name of bearable length."""
    return _plain(display_name)[:_LONGEST_NAME]


def is_withheld(uri: SipUri) -> bool:
    """RFC 3323: an anonymous caller is nobody, not somebody called anonymous."""
    return uri.host == "anonymous.invalid" or uri.user_text.lower() == "anonymous"


def _plain(text: str) -> str:
    """One line of valid characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())
