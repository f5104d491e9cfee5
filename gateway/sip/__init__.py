"""SIP (RFC 3261 and friends) without input or output: bytes and a clock go in, bytes and events come out."""
