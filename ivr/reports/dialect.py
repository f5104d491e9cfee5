"""The one thing that databases say differently: texts of a group joined in order."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Text
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
