"""`deploy/compose.yaml` is what Compose reads, and names only settings, files and services that exist."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chatbill.settings import load_settings
from tests.kit.deployment import DEPLOY, IMAGE_LABELS, documents, environment_file, settings_of, violations
from tests.kit.proxies import program

(COMPOSE,) = documents(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("chatbill-1", "chatbill-2", "worker")
ENV = environment_file(DEPLOY / "env.example")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of `deploy/` with secrets that its script has written."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", ".env"))
    make_secrets(tmp_path / "deploy")
    return tmp_path / "deploy"


def make_secrets(folder: Path) -> dict[str, bytes]:
    subprocess.run([folder / "secrets.sh"], check=True, timeout=30)
    return {file.name: file.read_bytes() for file in (folder / "secrets").iterdir()}


def test_compose_accepts_the_file() -> None:
    assert violations(COMPOSE, "vendor.compose-spec") == []
    assert violations({"services": {"chatbill": {"imagee": "chatbill"}}}, "vendor.compose-spec") != []


@pytest.mark.parametrize("name", OURS)
def test_the_service_starts_with_the_settings_of_the_file(copied: Path, name: str) -> None:
    variables = settings_of(ENV | SERVICES[name]["environment"])
    mounted = {key: value.replace("/run/secrets", str(copied / "secrets")) for key, value in variables.items()}
    settings = load_settings(mounted, env_file=None)
    assert settings.database.startswith("postgresql")
    assert settings.secret_key is not None
    assert settings.shared_url is not None
    assert settings.run_jobs == (name == "worker")


def test_the_example_of_the_environment_has_ten_lines() -> None:
    assert len((DEPLOY / "env.example").read_text().splitlines()) == len(ENV) == 10
    settings_of(ENV)


def test_the_secrets_are_written_once_and_kept_from_other_users(copied: Path) -> None:
    first = make_secrets(copied)
    assert first.keys() == COMPOSE["secrets"].keys()
    assert make_secrets(copied) == first
    assert stat.S_IMODE((copied / "secrets").stat().st_mode) == 0o700
    password = first["postgres_password"].decode()
    assert first["database_url"].decode() == f"postgresql://chatbill:{password}@postgres/chatbill"
    shared = f"valkey://:{first['valkey_password'].decode()}@valkey:6379/0"
    assert first["shared_url"].decode() == shared
    passwords = [first[name] for name in first if name.endswith("_password")]
    assert len({first["secret_key"], *passwords}) == 4


def test_every_file_that_is_mounted_exists() -> None:
    mounted = [volume.split(":") for service in SERVICES.values() for volume in service.get("volumes", ())]
    files = [source for source, *_ in mounted if source.startswith(".")]
    assert len(files) >= 4
    assert [file for file in files if not (DEPLOY / file).exists()] == []
    assert {source for source, *_ in mounted if not source.startswith(".")} == COMPOSE["volumes"].keys()
    built = SERVICES["chatbill-1"]["build"]
    assert (DEPLOY / built["context"] / built["dockerfile"]).is_file()


def test_every_image_is_named_by_its_exact_version() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert [image for image in images - {"${IMAGE:-chatbill:slim}"} if not IMAGE_LABELS.fullmatch(image)] == []


def test_what_is_reached_from_outside_is_the_proxy_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.pop("caddy") == ["80:80", "443:443", "443:443/udp"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert SERVICES["postgres"]["networks"] == SERVICES["valkey"]["networks"] == ["back"]
    assert COMPOSE["networks"]["back"] == {"internal": True}


def test_the_service_trusts_the_network_of_the_proxy() -> None:
    (front,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert {SERVICES[name]["environment"]["CHATBILL_TRUSTED_PROXIES"] for name in OURS} == {front["subnet"]}
    assert SERVICES["caddy"]["networks"] == ["front"]


def test_the_service_can_write_into_its_volume_and_nowhere_else() -> None:
    for name in OURS:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["volumes"] == ["data:/data"]


def test_compose_can_wait_for_every_service() -> None:
    # `docker compose up --wait` fails where the health check of a service is disabled.
    disabled = [name for name, service in SERVICES.items() if service.get("healthcheck", {}).get("disable")]
    assert disabled == []


def test_prometheus_reads_every_process() -> None:
    (config,) = documents(DEPLOY / "prometheus" / "compose.yml")
    (job,) = config["scrape_configs"]
    (targets,) = job["static_configs"]
    port = SERVICES["worker"]["environment"]["CHATBILL_METRICS_PORT"]
    assert targets["targets"] == [f"{name}:{port}" for name in OURS]


def test_the_proxy_knows_every_process_that_answers() -> None:
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    assert "reverse_proxy chatbill-1:8000 chatbill-2:8000 {" in text
    assert {name for name in ("DOMAIN", "ACME_EMAIL") if "{$" + name + "}" in text} == set(
        SERVICES["caddy"]["environment"]
    )


def test_caddy_accepts_its_file() -> None:
    caddy = program("caddy")
    if caddy is None:
        pytest.skip("CADDY IS NOT INSTALLED (Debian's package caddy), so deploy/caddy/Caddyfile was not checked")
    environment = os.environ | {"DOMAIN": "chat.example.org", "ACME_EMAIL": "ops@example.org"}
    command = [caddy, "adapt", "--adapter", "caddyfile", "--validate", "--config", str(DEPLOY / "caddy" / "Caddyfile")]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stderr
