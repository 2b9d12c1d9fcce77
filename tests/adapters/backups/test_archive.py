"""A backup counts when it is complete, is refused when it was changed, and is removed by number and age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatbill.adapters.backups import sealing
from chatbill.adapters.backups.archive import Archive
from chatbill.adapters.backups.manifest import MAX_BYTES
from chatbill.adapters.backups.places import Folder
from chatbill.application.ports.backups import BackupFailed, Contents

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TEXT = b"all the books" * 100_000
CONTENTS = Contents(database="sqlite", revision="0021", rows={"wallets": 1}, head="e1")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(place=Folder(tmp_path / "place"), work=tmp_path / "work")


def add(archive: Archive, *, days: float = 0, unique: str = "abc") -> str:
    with archive.workplace() as folder:
        copy = folder / "copy.sqlite3.gz"
        copy.write_bytes(TEXT)
        made_at = NOW - timedelta(days=days)
        return archive.add(copy, CONTENTS, made_at=made_at, version="1", unique=unique).name


def fetched(archive: Archive, name: str) -> bytes:
    with archive.workplace() as folder:
        return archive.fetch(archive.manifest(name), folder).read_bytes()


def sealed(archive: Archive, key: Path) -> Archive:
    return Archive(place=archive.place, work=archive.work, keys=sealing.read_keys(key))


def test_a_backup_comes_back_as_it_was_and_leaves_nothing_on_the_way(archive: Archive, tmp_path: Path) -> None:
    name = add(archive)
    assert archive.names() == [name] == ["chatbill-20261127T120000Z-abc"]
    assert fetched(archive, name) == TEXT
    assert archive.manifest(name).rows == {"wallets": 1}
    assert [each.name for each in (tmp_path / "work").iterdir()] == ["lock"]
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "place").iterdir()} == {0o600}


def test_a_public_key_is_enough_to_encrypt_and_too_little_to_read(archive: Archive, tmp_path: Path) -> None:
    secret, public = tmp_path / "secret", tmp_path / "public"
    public.write_text(sealing.make_key(secret) + "\n")
    assert secret.stat().st_mode & 0o777 == 0o600
    name = add(sealed(archive, public))
    (stored,) = (tmp_path / "place").glob("*.age")
    assert b"books" not in stored.read_bytes()
    for reader in (archive, sealed(archive, public)):
        with pytest.raises(BackupFailed, match="CHATBILL_BACKUP_KEY_FILE"):
            fetched(reader, name)
    assert fetched(sealed(archive, secret), name) == TEXT
    sealing.make_key(tmp_path / "other")
    with pytest.raises(BackupFailed, match="another one"):
        fetched(sealed(archive, tmp_path / "other"), name)
    with pytest.raises(BackupFailed, match="cannot be written"):
        sealing.make_key(secret)


@pytest.mark.parametrize("text", ["", "AGE-SECRET-KEY-1NONSENSE", "age1nonsense", "password"])
def test_a_file_without_a_good_key_is_refused_with_advice(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(BackupFailed, match="chatbill backup key"):
        sealing.read_keys(tmp_path / "key")


def test_a_changed_copy_is_refused(archive: Archive, tmp_path: Path) -> None:
    name = add(archive)
    stored = tmp_path / "place" / f"{name}.sqlite3.gz"
    stored.write_bytes(TEXT[:-1] + b"!")
    with pytest.raises(BackupFailed, match="checksum"):
        fetched(archive, name)


def test_a_sealed_copy_that_was_changed_in_its_middle_is_refused_and_not_left_half_read(tmp_path: Path) -> None:
    sealing.make_key(tmp_path / "key")
    keys = sealing.read_keys(tmp_path / "key")
    plain, stored, read = (tmp_path / name for name in ("plain", "stored", "read"))
    plain.write_bytes(TEXT)
    sealing.seal(plain, stored, keys)
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    with pytest.raises(BackupFailed, match="changed"):
        sealing.unseal(stored, read, keys)
    assert not read.exists()


def test_copies_without_a_manifest_and_manifests_without_a_copy_are_no_backups(
    archive: Archive, tmp_path: Path
) -> None:
    name = add(archive)
    (tmp_path / "place" / f"{name}.json").rename(tmp_path / "place" / "chatbill-20261127T120001Z-abc.json")
    assert archive.names() == []
    with pytest.raises(BackupFailed, match="no backup"):
        archive.manifest(name)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format": 2}', b"\xff", b" " * (MAX_BYTES + 1)])
def test_a_strange_manifest_is_refused_in_words(archive: Archive, tmp_path: Path, text: bytes) -> None:
    name = add(archive)
    (tmp_path / "place" / f"{name}.json").write_bytes(text)
    with pytest.raises(BackupFailed, match="cannot be read"):
        archive.manifest(name)


def test_the_newest_are_kept_and_others_until_they_are_old(archive: Archive) -> None:
    names = [add(archive, days=days) for days in (0, 1, 2, 9, 40, 50)]
    assert archive.prune(now=NOW, keep=2, keep_days=30) == names[4:]
    assert archive.names() == names[:4]
    assert archive.prune(now=NOW, keep=5, keep_days=0) == []
    assert archive.prune(now=NOW, keep=1, keep_days=0) == names[1:4]
    assert [file.partition(".")[0] for file in archive.place.names()] == [names[0]] * 2


def test_what_ended_half_way_is_removed_after_some_days_and_files_of_others_never(
    archive: Archive, tmp_path: Path
) -> None:
    name, place = add(archive), tmp_path / "place"
    old, young = "chatbill-20261120T120000Z-abc", "chatbill-20261127T110000Z-abc"
    left = [f"{old}.dump", f".{old}.dump.1234.part", f"{young}.dump", f".{young}.dump.1234.part", "diary.txt"]
    for file in left:
        (place / file).write_text("")
    archive.prune(now=NOW, keep=1, keep_days=0)
    assert sorted(each.name for each in place.iterdir()) == sorted([f"{name}.json", f"{name}.sqlite3.gz", *left[2:]])


def test_one_process_at_a_time_works_and_what_a_killed_one_left_is_removed(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "work" / "made-before").mkdir(parents=True)
    with archive.workplace() as folder:
        assert [each.name for each in folder.parent.iterdir() if each.is_dir()] == [folder.name]
        with pytest.raises(BackupFailed, match="Another backup"), archive.workplace():
            raise AssertionError
