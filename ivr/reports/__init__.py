"""Reports for supervisors: what they count, and the numbers. Reads the records; nothing that carries a call waits."""
