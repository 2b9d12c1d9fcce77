"""Branches of conversations: which messages and replies lead to one of them.

An interaction follows its `parent_id`; without one it follows the interaction before it in time, as all do in a
conversation without branches. One that is its own parent begins the conversation anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatbill.domain.shared.ids import InteractionId


@dataclass(frozen=True, slots=True)
class Node:
    """An interaction and the one that it names as its parent."""

    id: InteractionId
    parent_id: InteractionId | None = None


def parents(newest_first: Sequence[Node]) -> dict[InteractionId, InteractionId | None]:
    """Return the parent of each interaction of a conversation; None for one that begins it.

    That of the oldest node given is None unless it names one.
    """
    earlier = [*(node.id for node in newest_first[1:]), None]
    return {
        node.id: before if node.parent_id is None else None if node.parent_id == node.id else node.parent_id
        for node, before in zip(newest_first, earlier, strict=True)
    }


def path_to(leaf: InteractionId, newest_first: Sequence[Node]) -> list[InteractionId]:
    """Return this interaction and all before it on its branch, as far as the nodes reach, newest first."""
    parent_of = parents(newest_first)
    path: list[InteractionId] = []
    at: InteractionId | None = leaf
    while at is not None and at in parent_of:
        path.append(at)
        at = parent_of.pop(at)
    return path


def siblings(newest_first: Sequence[Node]) -> dict[InteractionId, tuple[InteractionId, ...]]:
    """Return, for each interaction, all that follow the same one as it does, with itself, the oldest first."""
    families: dict[InteractionId | None, list[InteractionId]] = {}
    for child, parent in reversed(parents(newest_first).items()):
        families.setdefault(parent, []).append(child)
    return {child: family for family in map(tuple, families.values()) for child in family}


def newest_after(node: InteractionId, newest_first: Sequence[Node]) -> InteractionId:
    """Return the newest interaction of the branches that go on from this one; the same one where none does."""
    parent_of, reached, newest = parents(newest_first), {node}, node
    for other in reversed(newest_first):
        if parent_of[other.id] in reached:
            reached.add(other.id)
            newest = other.id
    return newest
