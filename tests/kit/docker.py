"""A Docker engine of its own for a session, and the images of `deploy/compose.yaml` in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.image import buildah, say

STANDINS = Path(__file__).parents[1] / "standins"
PACKAGES = "ca-certificates,postgresql,valkey-server,caddy,prometheus,docker-compose"
PLUGIN = "./usr/libexec/docker/cli-plugins/docker-compose"
START_S = 60


class Docker:
    """A client of an engine whose socket, images and volumes are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._env = os.environ | {
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "DOCKER_CONFIG": str(folder / "client"),
            "DOCKER_BUILDKIT": "0",
        }

    def run(self, *arguments: str, timeout_s: int = 300, text: str | None = None) -> str:
        """Run docker, and return what it prints on its standard output."""
        command = [shutil.which("docker") or "docker", *arguments]
        return subprocess.run(
            command, env=self._env, input=text, stdout=subprocess.PIPE, text=True, check=True, timeout=timeout_s
        ).stdout.strip()

    def succeeds(self, *arguments: str, timeout_s: int = 300) -> bool:
        try:
            self.run(*arguments, timeout_s=timeout_s)
        except subprocess.CalledProcessError:
            return False
        return True

    def load(self, image: str, name: str) -> None:
        """Bring an image of buildah into the engine."""
        archive = self.folder / "image.tar"
        buildah("push", "-q", image, f"docker-archive:{archive}:{name}", timeout_s=600)
        self.run("load", "-q", "-i", str(archive))
        archive.unlink()

    def provide(self, images: dict[str, str]) -> list[str]:
        """Pull the image of each service, or build its stand-in. Returns the services that have neither."""
        missing = [name for name, image in images.items() if not self.succeeds("pull", "-q", image, timeout_s=900)]
        if missing or not self.succeeds("compose", "version"):
            self._debian()
        stages = (STANDINS / "Containerfile").read_text(encoding="utf-8")
        built = [name for name in missing if f"AS {name}\n" in stages]
        for name in built:
            file = ["-f", str(STANDINS / "Containerfile"), str(STANDINS)]
            self.run("build", "-q", "--build-arg", "BASE=debian", "--target", name, "-t", images[name], *file)
            say(f"{images[name]} cannot be pulled, so Debian's package takes its place")
        return [name for name in missing if name not in built]

    def _debian(self) -> None:
        """Make what stand-ins are built on, and take Debian's Compose out of it where the client has none."""
        archive = self.folder / "debian.tar"
        command = [shutil.which("mmdebstrap") or "mmdebstrap", "-q", "--variant=minbase", f"--include={PACKAGES}"]
        subprocess.run([*command, "trixie", str(archive)], check=True, timeout=1200)
        self.run("import", str(archive), "debian")
        if not self.succeeds("compose", "version"):
            with tarfile.open(archive) as tar:
                tar.extract(PLUGIN, self.folder, filter="tar")
            (self.folder / "client" / "cli-plugins").mkdir(parents=True)
            (self.folder / PLUGIN).rename(self.folder / "client" / "cli-plugins" / "docker-compose")
        archive.unlink()


@contextmanager
def engine(folder: Path) -> Iterator[Docker]:
    """Start an engine in a folder, beside one that may be running: it has no bridge of its own."""
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", "--bridge=none"]
    with (folder / "log").open("wb") as log:
        command = [shutil.which("dockerd") or "dockerd", f"--host=unix://{folder}/docker.sock", *places]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            docker, deadline = Docker(folder), time.monotonic() + START_S
            while not (folder / "docker.sock").exists() or not docker.succeeds("version"):
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, "the engine did not answer"
                time.sleep(0.5)
            yield docker
        finally:
            process.terminate()
            process.wait(60)
