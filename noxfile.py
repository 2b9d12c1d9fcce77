"""Every check of the project: `pip install nox && nox` runs what a change must pass before it lands."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
# A session that is added here belongs into .ci/run too, which runs some beside others.
nox.options.sessions = ["lint", "types", "architecture", "bare", "lean", "tests", "torture"]
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
# Transformers brings torch, so it is installed once and every session works in the same environment.
ENVIRONMENT = ROOT / ".nox" / "everything"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")

# In the order of tests/conftest.py, the longest files first: a slow file that came last would run alone.
IN_PARALLEL = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder"]

HASHED = {"server": "deploy/requirements.txt", "models": "deploy/requirements-models.txt"}
"""A file of pins with hashes for each extra that a server installs."""

HEAVY = ("torch", "transformers", "accelerate", "bitsandbytes", "triton")

STORES_BRING = {
    *("alembic", "greenlet", "mako", "markupsafe", "psycopg", "psycopg-binary", "pysqlite3", "sqlalchemy"),
    *("typing-extensions", "typing_extensions", "tzdata"),
}

GIB = 2**30
ENVIRONMENT_BYTES = 4 * GIB
"""What the environment and the packages that pip unpacks on the way take."""
TESTS_BYTES = 2 * GIB
"""What the tests take in the folder for temporary files, most of it databases and models."""

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""In the order of preference. The first is the same engine without a window: half of the processor time."""

PROGRAMS = ROOT / ".nox" / "programs"
SERVERS = {"nginx": "nginx", "caddy": "caddy", "promtool": "prometheus"}
"""What stands before and beside the service, and Debian's package of it."""

IMAGE_TOOLS = ("buildah", "mmdebstrap")
"""What builds the image, and its base where no registry can be reached."""

APT_TIMEOUT_S = 300
APT_TRIES = 3


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Ruff's rules and format."""
    tool(session, "ruff", "check")
    tool(session, "ruff", "format", "--check")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Mypy, strict, on the code and on the tests."""
    tool(session, "mypy")


@nox.session(venv_backend="none")
def architecture(session: nox.Session) -> None:
    """The import contracts: who may know whom."""
    tool(session, "lint-imports")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """All tests, on the real demo model and in a real browser too, a file of them on each of up to 4 cores.

    `nox -s tests -- ARGS` hands ARGS to pytest, and all runs in one process.
    """
    install_chromium(session)
    bring_servers(session)
    need_disk(session, Path(tempfile.gettempdir()), TESTS_BYTES)
    tool(session, "pytest", *(session.posargs or IN_PARALLEL))


@nox.session(venv_backend="none")
def torture(session: nox.Session) -> None:
    """Races, crashes, power cuts and seeded bugs against the books. `nox -s torture -- full` takes a night."""
    bring_servers(session)
    need_disk(session, Path(tempfile.gettempdir()), TESTS_BYTES)
    tool(session, "python", "-m", "tests.torture", *(session.posargs or ["quick"]))


@nox.session(default=False)
def clients(session: nox.Session) -> None:
    """LangChain and LiteLLM, as they are on the index, against a running service, and backups on a server of S3."""
    session.install("-r", "tests/clients/requirements.txt")
    os.environ["CHATBILL_TEST_CLIENTS"] = str(Path(session.bin) / "python")
    tool(session, "pytest", "tests/clients", "tests/adapters/backups", *session.posargs)


@nox.session(venv_backend="none", default=False)
def real_shapes(session: nox.Session) -> None:
    """Gemma 3 1B and 12B in their real shapes with random weights: 39 GB of disk, 16 GiB of memory, half an hour."""
    tool(session, "python", "-m", "tests.real_shapes", *session.posargs)


@nox.session(venv_backend="none", default=False)
def coverage(session: nox.Session) -> None:
    """Which lines and branches the tests reach; slower than the tests alone."""
    tool(session, "coverage", "run", "-m", "pytest", *session.posargs)
    tool(session, "coverage", "report")


@nox.session(venv_backend="none", default=False)
def image(session: nox.Session) -> None:
    """Build the container image, run what is inside, and print its size and start time; needs buildah and root.

    `nox -s image -- --flavour cpu` builds another flavour. Other arguments go to `buildah build`, such as a `--volume`
    with certificates or packages of this machine.
    """
    if not all(map(shutil.which, IMAGE_TOOLS)) and not apt_installs(session, *IMAGE_TOOLS):
        needed = " AND ".join(IMAGE_TOOLS).upper()
        session.skip(f"{needed} ARE NEEDED, AND CANNOT BE INSTALLED: THE IMAGE WAS NOT BUILT")
    tool(session, "python", "-m", "tests.image", *session.posargs)


@nox.session(venv_backend="none", default=False)
def compose(session: nox.Session) -> None:
    """Bring `deploy/compose.yaml` up on a Docker engine of its own and use it; needs root, and the ports it publishes.

    Debian's packages stand for images that cannot be pulled. Arguments are those of `nox -s image`; a `--volume` is
    also given to the service.
    """
    tools = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "dockerd": "docker.io"}
    if not all(map(shutil.which, tools)) and not apt_installs(session, *tools.values()):
        needed = " AND ".join(tools).upper()
        session.skip(f"{needed} ARE NEEDED, AND CANNOT BE INSTALLED: COMPOSE.YAML WAS NOT BROUGHT UP")
    tool(session, "python", "-m", "tests.compose", *session.posargs)


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """Write a software bill of materials (CycloneDX, JSON) of the tested environment to `sbom.json`."""
    session.install("cyclonedx-bom>=7")
    prepare(session)
    output = ("--output-format", "JSON", "--output-reproducible", "--output-file", "sbom.json")
    session.run("cyclonedx-py", "environment", "--pyproject", "pyproject.toml", *output, str(BIN / "python"))


@nox.session(default=False)
def hashes(session: nox.Session) -> None:
    """Write the files in `deploy/`: the pins that a server needs, with the hashes of their files."""
    session.install("uv>=0.9")
    shape = ("--universal", "--python-version", "3.11", "--generate-hashes")
    bare_lines = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
    for extra, file in HASHED.items():
        extras = [f"--extra={name}" for name in (extra, "postgres", "shared", "backups")]
        places = ("-c", "constraints.txt", "pyproject.toml", "-o", file)
        session.run("uv", "pip", "compile", "-q", *shape, *bare_lines, *extras, *places)
    build = Path(session.create_tmp()) / "build.in"
    build.write_text("\n".join(nox.project.load_toml("pyproject.toml")["build-system"]["requires"]))
    pinned = ("-c", "constraints.txt", str(build), "-o", "deploy/requirements-build.txt")
    session.run("uv", "pip", "compile", "-q", *shape, *bare_lines, *pinned)


@nox.session
def bare(session: nox.Session) -> None:
    """The package without extras brings nothing else, and the core works; a store brings no model and no web page."""
    session.install(".")
    if packages := installed(session):
        session.error(f"chatbill without extras must bring nothing else, but it brought {sorted(packages)}")
    session.run("python", "-I", "tests/bare.py")
    session.install("-c", "constraints.txt", ".[sqlite,postgres]")
    if packages := installed(session) - STORES_BRING:
        session.error(f"the stores must bring no more than databases need, but they brought {sorted(packages)}")


@nox.session
def lean(session: nox.Session) -> None:
    """The service without Transformers brings no torch; it starts, and says what to install for other models."""
    session.install("-c", "constraints.txt", ".[server]")
    if packages := installed(session) & set(HEAVY):
        session.error(f"the service must not bring what only Transformers needs, but it brought {sorted(packages)}")
    session.run("python", "-I", "tests/lean.py")


def installed(session: nox.Session) -> set[str]:
    """Return the names of the packages in the session's environment, without chatbill and what installs it."""
    listed = session.run("python", "-m", "pip", "list", "--format=freeze", silent=True)
    brought = {line.partition("==")[0].lower() for line in str(listed).split()}
    return brought - {"chatbill", "pip", "setuptools", "wheel"}


def tool(session: nox.Session, name: str, *args: str) -> None:
    """Run a program of the shared environment, which is made or renewed first where needed."""
    prepare(session)
    env = {"PATH": search_path(), "VIRTUAL_ENV": str(ENVIRONMENT), "PYTHONPATH": None, "PYTHONDONTWRITEBYTECODE": None}
    session.run(str(BIN / name), *args, env=env, external=True)


def prepare(session: nox.Session) -> None:
    """Install everything at the tested versions, unless the environment already matches them."""
    stamp = ENVIRONMENT / "installed-from"
    wanted = hashlib.sha256(sys.version.encode() + b"".join(map(Path.read_bytes, installed_from()))).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    need_disk(session, ROOT, ENVIRONMENT_BYTES)
    session.run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT), external=True)
    target = ".[models,postgres,dev]"
    session.run(str(BIN / "python"), "-m", "pip", "install", "-q", "-c", "constraints.txt", "-e", target, external=True)
    stamp.write_text(wanted)


def installed_from() -> list[Path]:
    """The files that decide what the environment holds."""
    return [ROOT / "pyproject.toml", ROOT / "constraints.txt", ROOT / "src" / "chatbill" / "__init__.py"]


def need_disk(session: nox.Session, folder: Path, needed_bytes: int) -> None:
    """Stop with a clear error where a disk has not enough room: full disks fail tests in ways that explain nothing."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        session.error(
            f"{needed_bytes / GIB:.1f} GiB of free disk are needed in {folder}, and {free / GIB:.1f} GiB are free;"
            " make room, or name a folder on another disk in TMPDIR"
        )


def install_chromium(session: nox.Session) -> None:
    """Bring Debian's Chromium for the browser tests where this may be done without asking anybody."""
    if chromium := next(filter(None, map(shutil.which, CHROMIUM)), None):
        session.log(f"browser tests will drive {chromium}")
        return
    if root_command() is None or shutil.which("apt-get") is None:
        session.warn("no Chromium here and no right to install it: THE BROWSER TESTS WILL BE SKIPPED")
    elif not apt_installs(session, CHROMIUM[0]) and not apt_installs(session, CHROMIUM[1]):
        session.error("Chromium could not be installed; install it by hand and run nox again")


def bring_servers(session: nox.Session) -> None:
    """Unpack nginx, Caddy and Prometheus from Debian's packages; an installed one would start and take its port."""
    packages = sorted(package for name, package in SERVERS.items() if not shutil.which(name, path=search_path()))
    if not packages:
        return
    if not shutil.which("apt-get"):
        session.warn(f"no {', '.join(packages)} here and no apt: THE TESTS BEHIND THEM WILL BE SKIPPED")
        return
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    download = ["apt-get", "download", "-q", *packages]
    if not bounded(download, PROGRAMS):
        # Its lists may be missing or old.
        bounded([*(root_command() or []), "apt-get", "update", "-q"])
        if not bounded(download, PROGRAMS):
            session.warn(f"{', '.join(packages)} could not be downloaded: THE TESTS BEHIND THEM WILL BE SKIPPED")
    for package in PROGRAMS.glob("*.deb"):
        session.run("dpkg-deb", "-x", str(package), str(PROGRAMS), external=True)
        package.unlink()


def search_path() -> str:
    """Return where programs are looked for: the shared environment, what was unpacked, and this machine."""
    places = (BIN, PROGRAMS / "usr" / "sbin", PROGRAMS / "usr" / "bin")
    return os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])


def apt_installs(session: nox.Session, *packages: str) -> bool:
    """Install packages of Debian; return False where that is not possible."""
    if not (apt := shutil.which("apt-get")) or (become := root_command()) is None:
        return False
    for attempt in range(1, APT_TRIES + 1):
        session.log(f"installing {', '.join(packages)}, attempt {attempt} of {APT_TRIES}")
        if all(
            bounded([*become, apt, *command])
            for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *packages])
        ):
            return True
    return False


def root_command() -> list[str] | None:
    """What to put before a command to run it as root without a password; None where that is not possible."""
    if sysconfig.get_platform().startswith("linux") and os.geteuid() == 0:
        return []
    if (sudo := shutil.which("sudo")) and bounded([sudo, "-n", "true"]):
        return [sudo, "-n"]
    return None


def bounded(command: list[str], folder: Path = ROOT) -> bool:
    """Did the command succeed within `APT_TIMEOUT_S`?"""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, timeout=APT_TIMEOUT_S, check=False, env=env, cwd=folder).returncode == 0
    except subprocess.TimeoutExpired:
        return False
