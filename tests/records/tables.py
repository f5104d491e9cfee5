"""All derived rows of a database, to be compared."""

from __future__ import annotations

from sqlalchemy import Engine, select

from ivr.records import model

Tables = dict[str, list[tuple[object, ...]]]

DERIVED = (model.Call, model.Leg, model.Segment, model.FlowStep, model.Tag)


def rows(engine: Engine) -> Tables:
    tables: Tables = {}
    with engine.connect() as connection:
        for mapped in DERIVED:
            found = connection.execute(select(mapped.__table__)).all()
            tables[mapped.__tablename__] = sorted((tuple(row) for row in found), key=repr)
    return tables


def scalar(engine: Engine, sql: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(sql).scalar()
