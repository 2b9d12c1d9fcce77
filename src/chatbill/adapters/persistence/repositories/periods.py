"""Filters by time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Select, bindparam


def within(query: Select[Any], moment: Column[Any], filters: frozenset[str]) -> Select[Any]:
    """Bound the query by the parameters `start` (included) and `end` (left out), where these filters are named."""
    if "start" in filters:
        query = query.where(moment >= bindparam("start"))
    if "end" in filters:
        query = query.where(moment < bindparam("end"))
    return query
