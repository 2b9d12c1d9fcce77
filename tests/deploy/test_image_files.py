"""What the image is built from; `nox -s image` builds and runs it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.kit.deployment import DEPLOY, IMAGE_LABELS, ROOT

CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
PIP = """#!/bin/sh
# python3 -m pip --python PYTHON install -q --no-deps HOW …
shift 7
printf '%s ' "$1" >> "$LOG"
shift
case $1 in
-r) grep -o '^[^ ]*==[^ ]*' "$2" | tr '\\n' ' ' >> "$LOG" ;;
*) printf '%s ' "$@" >> "$LOG" ;;
esac
echo >> "$LOG"
"""
IGNORED = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()


def copied() -> set[str]:
    """Return the files and folders of the repository that the image is built from."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_the_build_gets_what_it_copies_and_nothing_else() -> None:
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert IGNORED.index("*") < min(IGNORED.index(f"!{name}") for name in allowed)
    assert copied() == allowed
    assert [name for name in allowed if not list(ROOT.glob(name))] == []
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() == IGNORED


def test_the_base_is_named_by_its_exact_version() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(\S+)$", CONTAINERFILE, re.MULTILINE)
    assert IMAGE_LABELS.fullmatch(base)
    assert set(re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)) == {"${PYTHON}"}


def test_the_service_is_not_root_and_has_one_volume() -> None:
    final = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (\S+)$", final, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^VOLUME (\S+)$", final, re.MULTILINE) == ["/data"]


def test_the_image_has_pip_which_fetches_the_demo_models() -> None:
    assert re.findall(r"^RUN python3 -m venv (.*)/opt/chatbill$", CONTAINERFILE, re.MULTILINE) == [""]


def test_an_unknown_flavour_is_refused() -> None:
    told = subprocess.run(
        [DEPLOY / "install.sh", "tiny", "python3"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (told.returncode, told.stderr) == (1, "FLAVOUR must be slim, cpu or cuda, not tiny\n")


@pytest.mark.parametrize(
    ("flavour", "installed"),
    [
        ("slim", {"--require-hashes": {"litestar", "xllamacpp"}}),
        (
            "cpu",
            {"--index-url": {"torch"}, "--require-hashes": {"litestar", "xllamacpp", "transformers", "bitsandbytes"}},
        ),
        ("cuda", {"--require-hashes": {"litestar", "transformers", "torch", "triton", "nvidia-cublas"}}),
    ],
)
def test_every_package_of_a_flavour_is_installed_with_its_hash(
    tmp_path: Path, flavour: str, installed: dict[str, set[str]]
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    # Stands for pip: it notes what it is asked for, and which packages a file of pins has.
    (tools / "python3").write_text(PIP, encoding="utf-8")
    (tools / "python3").chmod(0o755)
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "LOG": str(tmp_path / "log"),
        "TORCH_INDEX": "https://torch.example",
    }
    python = tmp_path / "venv" / "bin" / "python"
    (tmp_path / "venv" / "lib").mkdir(parents=True)
    python.parent.mkdir()
    subprocess.run([DEPLOY / "install.sh", flavour, python], env=environment, check=True, timeout=30)
    log = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    packages = {how: {each.partition("==")[0] for each in line} for how, *line in log}
    assert packages.keys() == installed.keys()
    assert all(installed[how] <= packages[how] for how in installed)
    assert ("torch" in packages["--require-hashes"]) == (flavour == "cuda")
    assert bool({"triton", "nvidia-cublas"} & packages["--require-hashes"]) == (flavour == "cuda")
