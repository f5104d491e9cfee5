"""Words and recordings into frames that are ready for the wire."""
