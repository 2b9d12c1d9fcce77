"""The signing key on disk."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from chatbill.adapters.security.keyfile import KeyFileError, read_or_make_key

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no file modes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secret.key"


def test_a_key_is_made_once_and_kept(path: Path) -> None:
    key = read_or_make_key(path)
    assert len(key) >= 32
    assert read_or_make_key(path) == key
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]


def test_every_installation_gets_a_key_of_its_own(tmp_path: Path) -> None:
    assert read_or_make_key(tmp_path / "a") != read_or_make_key(tmp_path / "b")


@posix
def test_nobody_else_can_read_the_key(path: Path) -> None:
    before = os.umask(0)
    try:
        read_or_make_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_threads_that_start_together_get_one_key(path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(read_or_make_key, [path] * 64))) == 1


@pytest.mark.slow
def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for attempt in range(50):
            assert len(set(pool.map(read_or_make_key, [tmp_path / str(attempt)] * 4))) == 1


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_may_know_is_refused_with_what_to_do(path: Path, mode: int) -> None:
    read_or_make_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="key_file_exposed"):
        read_or_make_key(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 31, b" " * 100])
def test_a_short_key_is_refused(path: Path, content: bytes) -> None:
    read_or_make_key(path)
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"^key_file_too_short.*min=32"):
        read_or_make_key(path)


def test_a_folder_in_the_place_of_the_key_is_refused_in_words(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(KeyFileError, match="key_file_unreadable"):
        read_or_make_key(path)


def test_a_data_folder_that_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(KeyFileError, match=r"key_file_(unreadable|not_writable)"):
        read_or_make_key(tmp_path / "data" / "secret.key")
