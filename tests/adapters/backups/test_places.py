"""Places for backups: a folder, and a server that speaks S3."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatbill.adapters.backups.places import Bucket, Folder, Place, place_of
from chatbill.application.ports.backups import BackupFailed
from tests.kit.s3 import BUCKET, s3_variables


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    with s3_variables() as found:
        yield found


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return place_of(str(tmp_path / "new" / "place"), lambda _name: None)
    found: dict[str, str] = request.getfixturevalue("variables")
    return place_of(f"s3://{BUCKET}/{tmp_path.name}", found.get)


def test_a_place_keeps_files_by_their_names(place: Place, tmp_path: Path) -> None:
    assert place.names() == []
    large, small, back = tmp_path / "large", tmp_path / "small", tmp_path / "back"
    large.write_bytes(b"0123456789abcdef" * 2**20)
    small.write_bytes(b"small")
    place.put("large.dump", large)
    place.put("small.json", small)
    place.put("small.json", small)
    assert sorted(place.names()) == ["large.dump", "small.json"]
    place.get("large.dump", back)
    assert back.read_bytes() == large.read_bytes()
    place.delete("large.dump")
    place.delete("large.dump")
    assert place.names() == ["small.json"]


def test_what_is_not_there_is_told(place: Place, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="The place for backups"):
        place.get("nothing", tmp_path / "back")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackupFailed, match="The place for backups"):
        Folder(tmp_path / "file" / "place").put("name", tmp_path / "file")


@pytest.mark.parametrize("spoil", [lambda v: v | {"AWS_ENDPOINT_URL": dead()}, lambda v: v])
def test_a_store_that_does_not_answer_or_has_no_such_bucket_is_told(
    variables: dict[str, str], tmp_path: Path, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    with pytest.raises(BackupFailed, match="s3://nowhere/path"):
        Bucket("s3://nowhere/path", spoil(variables)).names()


def dead() -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
