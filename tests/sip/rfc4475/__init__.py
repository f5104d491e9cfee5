"""The messages of RFC 4475 section 3, and what becomes of each of them here."""
