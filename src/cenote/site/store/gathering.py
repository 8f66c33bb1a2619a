"""Many numbers as one parameter, and the values of many rows as one: what asks for hundreds of rows should use it.

SQLite gives one row a call, and each call hands Python's lock to whatever thread waits for it. A search that reads a
thousand rows changes places with the others a thousand times, and all of them spend their time on that. Gathered, the
rows are read, scored and put in order in one call, while other threads have the lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Dialect, Text, TypeDecorator, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class _Numbers(TypeDecorator[list[int]]):
    """JSON in SQLite, an array in PostgreSQL; neither has a limit that a list of papers comes near."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(BigInteger))

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> Any:
        return json.dumps(value) if dialect.name == "sqlite" else value


class _Gathered(TypeDecorator[list[Any]]):
    """JSON in SQLite; PostgreSQL's own arrays need no reading, but of no rows it makes none."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(Text))

    def process_result_value(self, value: Any, dialect: Dialect) -> list[Any]:
        return json.loads(value) if dialect.name == "sqlite" else value or []


class among(FunctionElement[bool]):  # noqa: N801 - used like a function
    """Whether a column of numbers is one of these.

    Args:
        column: Such as a table's key.
        numbers: Any number of them, none included; or the name of a parameter that has them, in a statement that is
            made once.
    """

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[int], numbers: Sequence[int] | str) -> None:
        if isinstance(numbers, str):
            super().__init__(column, bindparam(numbers, type_=_Numbers()))
        else:
            super().__init__(column, literal(list(numbers), _Numbers()))

    def self_group(self, against: Any = None) -> Self:
        """Stand as it is among other conditions: written as "… = 1" SQLite would look every row up."""
        return self


class gathered(FunctionElement[list[Any]]):  # noqa: N801 - used like a function
    """All values of a column in one list: an aggregate, of numbers or texts.

    Those of one statement have their values in the same order; which, only ``over(order_by=…)`` says.

    Args:
        column: What is read of each row.
    """

    type = _Gathered()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)


@compiles(among, "sqlite")
def _among_in_sqlite(element: among, compiler: Any, **how: Any) -> str:
    column, numbers = (compiler.process(clause, **how) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({numbers})))"


@compiles(among, "postgresql")
def _among_in_postgresql(element: among, compiler: Any, **how: Any) -> str:
    column, numbers = (compiler.process(clause, **how) for clause in element.clauses)
    return f"({column} = ANY ({numbers}))"


@compiles(gathered, "sqlite")
def _gathered_in_sqlite(element: gathered, compiler: Any, **how: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **how)})"


@compiles(gathered, "postgresql")
def _gathered_in_postgresql(element: gathered, compiler: Any, **how: Any) -> str:
    return f"array_agg({compiler.process(element.clauses, **how)})"
