"""Events of calls into tables. A leaf: nothing that carries a call waits for it."""
