"""What databases are asked differently: texts of a group joined in order; and what PostgreSQL is told beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class joined_in_order(GenericFunction[str]):
    """``joined_in_order(text, separator, order)``: an aggregate.

    SQLite before 3.44 knows no order within an aggregate but takes rows as they come: the question beneath must be
    sorted by the same.
    """

    type = Text()
    inherit_cache = True
    name = "joined_in_order"


@compiles(joined_in_order)
def _postgresql(element: joined_in_order, compiler: SQLCompiler, **options: Any) -> str:
    text, separator, order = (compiler.process(clause, **options) for clause in element.clauses)
    return f"string_agg({text}, {separator} ORDER BY {order})"


@compiles(joined_in_order, "sqlite")
def _sqlite(element: joined_in_order, compiler: SQLCompiler, **options: Any) -> str:
    text, separator, _ = (compiler.process(clause, **options) for clause in element.clauses)
    return f"group_concat({text}, {separator})"


@contextmanager
def asking(engine: Engine) -> Iterator[Connection]:
    """A connection for one long question.

    PostgreSQL would compile it to machine code, which takes longer than to answer it, and would rather read whole
    tables than the rows of a day one by one; these lie together, since calls are written as they come.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL jit = off")
            connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
        yield connection
