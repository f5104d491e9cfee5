"""Whole telephone calls through the running program, with other people's telephones at both ends."""
