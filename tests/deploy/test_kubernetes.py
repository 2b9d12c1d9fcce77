"""The manifests in `deploy/kubernetes/` are what Kubernetes accepts, and fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from chatbill.settings import load_settings
from tests.kit.deployment import DEPLOY, IMAGE_LABELS, documents, settings_of

FOLDER = DEPLOY / "kubernetes"
FILES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("*.example")])
MANIFESTS = [(file.name, document) for file in FILES for document in documents(file)]
OLDEST, NEWEST = "1.30", "1.37"
"""The preStop hook that sleeps came with 1.30."""


def only(kind: str, name: str = "chatbill") -> dict[str, Any]:
    (found,) = (each for _, each in MANIFESTS if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def pods() -> dict[str, dict[str, Any]]:
    """Return the pod of each manifest that runs one."""
    jobs = only("CronJob", "chatbill-backup")["spec"]["jobTemplate"]
    return {
        "web": only("Deployment")["spec"]["template"],
        "worker": only("Deployment", "chatbill-worker")["spec"]["template"],
        "backup": jobs["spec"]["template"],
    }


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize(("file", "manifest"), MANIFESTS, ids=[f"{file}-{each['kind']}" for file, each in MANIFESTS])
def test_kubernetes_accepts_the_manifest(file: str, manifest: dict[str, Any], version: str) -> None:
    assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_a_manifest_with_a_wrong_word_would_be_noticed() -> None:
    manifest = only("Deployment") | {"spec": only("Deployment")["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(manifest, NEWEST, strict=True)


def test_there_is_all_that_a_service_needs() -> None:
    kinds = {manifest["kind"] for _, manifest in MANIFESTS}
    assert kinds >= {"Deployment", "Service", "Ingress", "Secret", "ConfigMap", "PodDisruptionBudget", "CronJob"}
    assert "HorizontalPodAutoscaler" in kinds


def test_the_example_of_a_secret_is_not_applied_with_the_folder() -> None:
    assert not [name for name, each in MANIFESTS if each["kind"] == "Secret" and name.endswith((".yaml", ".yml"))]


def test_every_setting_exists_and_every_secret_is_mounted_where_it_is_read(tmp_path: Path) -> None:
    secret = only("Secret")["stringData"]
    variables = settings_of(only("ConfigMap")["data"])
    for name, value in secret.items():
        (tmp_path / name).write_text(value or "k" * 64)
    here = {name: value.replace("/run/secrets/chatbill", str(tmp_path)) for name, value in variables.items()}
    assert load_settings(here, env_file=None).database.startswith("postgresql")
    for name in ("web", "worker", "backup"):
        (container,) = pods()[name]["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts["secrets"] == "/run/secrets/chatbill"
    settings_of({each["name"]: each["value"] for each in pods()["web"]["spec"]["containers"][0]["env"]})


@pytest.mark.parametrize("name", ["web", "worker", "backup"])
def test_a_pod_runs_without_rights_and_on_a_read_only_file_system(name: str) -> None:
    spec = pods()[name]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    # The Service is called chatbill, and a variable CHATBILL_PORT of its address would be read as the setting.
    assert spec["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert IMAGE_LABELS.fullmatch(container["image"])


def test_names_that_refer_to_each_other_agree() -> None:
    labels = pods()["web"]["metadata"]["labels"]
    assert only("Service")["spec"]["selector"] == labels
    assert only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert only("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert only("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == only("Deployment")["metadata"]["name"]
    (rule,) = only("Ingress")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    (port,) = only("Service")["spec"]["ports"]
    assert path["backend"]["service"] == {"name": "chatbill", "port": {"name": port["name"]}}
    (container,) = pods()["web"]["spec"]["containers"]
    assert port["targetPort"] in {each["name"] for each in container["ports"]}
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods().values()
        for volume in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {each["metadata"]["name"] for _, each in MANIFESTS if each["kind"] == "PersistentVolumeClaim"}


def test_the_probes_ask_what_they_are_for() -> None:
    (container,) = pods()["web"]["spec"]["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/health", "liveness": "/health", "readiness": "/health/ready"}


def test_the_time_to_end_is_longer_than_what_the_service_takes() -> None:
    pod = pods()["web"]["spec"]
    before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before + 2 * load_settings({}, env_file=None).shutdown_grace_s < pod["terminationGracePeriodSeconds"]


def test_the_backup_is_complete_before_it_counts() -> None:
    (container,) = pods()["backup"]["spec"]["containers"]
    (script,) = container["args"]
    assert script.index("pg_dump") < script.index('mv "$copy.part" "$copy"') < script.index("-delete")
