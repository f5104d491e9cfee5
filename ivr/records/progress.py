"""How far a spool is in the tables: a row that changes in the transaction that writes its events."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from ivr.records import model

_ADVANCE = (
    update(model.SpoolProgress)
    .where(model.SpoolProgress.spool == bindparam("of"), model.SpoolProgress.position < bindparam("to"))
    .values(position=bindparam("to"), seen_at=bindparam("now"))
)


class Progress:
    """Of one spool, and when its node was last heard of."""

    def __init__(self, spool: str, node_id: str | None) -> None:
        self._spool = spool
        self._node_id = node_id

    def begin(self, engine: Engine) -> int:
        """The highest number that is in the tables; makes the row if this is the first time."""
        table = model.SpoolProgress
        with engine.begin() as connection:
            known = connection.execute(select(table.position).where(table.spool == self._spool)).scalar()
            if known is None:
                self._insert(connection, 0)
            else:
                connection.execute(
                    update(table).where(table.spool == self._spool).values(node_id=self._node_id, seen_at=_now())
                )
        return known or 0

    def advance(self, connection: Connection, number: int) -> bool:
        """Note that everything through that number is written by this transaction; False if it is there already.

        A transaction whose answer got lost is repeated, and must not write anything twice.
        """
        values = {"of": self._spool, "to": number, "now": _now()}
        if connection.execute(_ADVANCE, values).rowcount:
            return True
        table = model.SpoolProgress
        known = connection.execute(select(table.position).where(table.spool == self._spool)).scalar()
        if known is None:
            # The row was deleted, or the database is another one.
            self._insert(connection, number)
        return known is None

    def seen(self, connection: Connection) -> None:
        """Note that the node is there."""
        connection.execute(
            update(model.SpoolProgress).where(model.SpoolProgress.spool == self._spool).values(seen_at=_now())
        )

    def _insert(self, connection: Connection, position: int) -> None:
        row = {"spool": self._spool, "node_id": self._node_id, "position": position, "seen_at": _now()}
        connection.execute(insert(model.SpoolProgress).values(row))


def nodes_seen_since(connection: Connection, since: int) -> set[str]:
    """The nodes that were heard of since then (UTC epoch ms): those that run write every half minute at least."""
    table = model.SpoolProgress
    found = connection.scalars(select(table.node_id).where(table.seen_at >= since, table.node_id.is_not(None)))
    return {str(node_id) for node_id in found}


def _now() -> int:
    return round(time.time() * 1000)
