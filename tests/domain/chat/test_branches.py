"""The messages that lead to one of them, in conversations with and without branches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatbill.domain.chat.branches import Node, newest_after, parents, path_to, siblings
from chatbill.domain.shared.ids import InteractionId


def nodes(*named: str) -> list[Node]:
    """Nodes from the oldest to the newest, as "child parent" or, without a parent of its own, "child"."""
    made = [each.split() for each in named]
    return [Node(*map(InteractionId, each)) for each in reversed(made)]


def test_without_branches_each_follows_the_one_before_it() -> None:
    line = nodes("a", "b", "c")
    assert parents(line) == {"a": None, "b": "a", "c": "b"}
    assert path_to(InteractionId("c"), line) == ["c", "b", "a"]
    assert path_to(InteractionId("b"), line) == ["b", "a"]


def test_a_branch_leaves_out_what_it_does_not_follow() -> None:
    tree = nodes("a", "b", "c a", "d", "e b")
    assert path_to(InteractionId("d"), tree) == ["d", "c", "a"]
    assert path_to(InteractionId("e"), tree) == ["e", "b", "a"]


def test_one_that_is_its_own_parent_begins_anew() -> None:
    tree = nodes("a", "b", "c c", "d")
    assert parents(tree)[InteractionId("c")] is None
    assert path_to(InteractionId("d"), tree) == ["d", "c"]


def test_a_path_ends_where_the_nodes_end() -> None:
    assert path_to(InteractionId("c"), nodes("b elsewhere", "c")) == ["c", "b"]
    assert path_to(InteractionId("x"), nodes("b", "c")) == []


@given(st.lists(st.integers(-1, 30), max_size=30))
def test_every_path_leads_to_a_beginning_through_earlier_ones(chosen: list[int]) -> None:
    named = []
    for number, parent in enumerate(chosen):
        named.append(f"{number}" if parent < 0 else f"{number} {min(parent, number)}")
    tree = nodes(*named)
    for node in tree:
        path = [int(each) for each in path_to(node.id, tree)]
        assert path[0] == int(node.id)
        assert path == sorted(path, reverse=True)
        assert parents(tree)[InteractionId(str(path[-1]))] is None


def test_versions_of_a_message_follow_the_same_one() -> None:
    tree = nodes("a", "b", "c a", "d", "e b", "f f")
    assert siblings(tree) == {
        "a": ("a", "f"),
        "b": ("b", "c"),
        "c": ("b", "c"),
        "d": ("d",),
        "e": ("e",),
        "f": ("a", "f"),
    }


def test_a_branch_goes_on_to_the_newest_that_follows_it() -> None:
    tree = nodes("a", "b", "c a", "d", "e b")
    assert newest_after(InteractionId("a"), tree) == "e"
    assert newest_after(InteractionId("c"), tree) == "d"
    assert newest_after(InteractionId("d"), tree) == "d"
    assert newest_after(InteractionId("x"), tree) == "x"
