"""The part of KubeRay's RayJob that launch/kuberay.yaml uses, to find what is misspelt without a Kubernetes at hand.

Names as in KubeRay's API reference, ``ray.io/v1``, release 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest

Fields = dict[str, Any]
"""Names to what may stand there: a type, the fields of an object, [fields of each item], or a free mapping."""

_QUANTITIES: Fields = {"requests": dict, "limits": dict}
_POD: Fields = {
    "metadata": dict,
    "spec": {
        "containers": [
            {
                "name": str,
                "image": str,
                "imagePullPolicy": str,
                "env": list,
                "envFrom": list,
                "ports": list,
                "resources": _QUANTITIES,
                "securityContext": dict,
                "volumeMounts": [{"name": str, "mountPath": str, "subPath": str, "readOnly": bool}],
            }
        ],
        "volumes": list,
        "nodeSelector": dict,
        "tolerations": list,
        "affinity": dict,
        "serviceAccountName": str,
        "imagePullSecrets": list,
        "securityContext": dict,
    },
}
_HEAD: Fields = {
    "template": _POD,
    "headService": dict,
    "enableIngress": bool,
    "resources": dict,
    "labels": dict,
    "rayStartParams": dict,
    "serviceType": str,
}
_WORKERS: Fields = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "numOfHosts": int,
    "idleTimeoutSeconds": int,
    "suspend": bool,
    "rayStartParams": dict,
    "resources": dict,
    "labels": dict,
    "template": _POD,
}
_CLUSTER: Fields = {
    "rayVersion": str,
    "authOptions": {"mode": str, "secretName": str, "enableK8sTokenAuth": bool},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {
        "resources": _QUANTITIES,
        "image": str,
        "imagePullPolicy": str,
        "idleTimeoutSeconds": int,
        "upscalingMode": str,
        "version": str,
        "env": list,
    },
    "headGroupSpec": _HEAD,
    "workerGroupSpecs": [_WORKERS],
    "gcsFaultToleranceOptions": dict,
}
RAY_JOB: Fields = {
    "apiVersion": str,
    "kind": str,
    "metadata": dict,
    "spec": {
        "entrypoint": str,
        "runtimeEnvYAML": str,
        "jobId": str,
        "submissionMode": str,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "activeDeadlineSeconds": int,
        "backoffLimit": int,
        "suspend": bool,
        "entrypointNumCpus": float,
        "entrypointNumGpus": float,
        "submitterPodTemplate": _POD,
        "rayClusterSpec": _CLUSTER,
    },
}


def check_ray_job(config: Mapping[str, Any]) -> str:
    """What a RayJob asks for, in one line.

    Raises:
        UserError: a field is unknown, missing or of another type, or the Ray in it is not ours.
    """
    if (config.get("apiVersion"), config.get("kind")) != ("ray.io/v1", "RayJob"):
        raise UserError(
            f"it is a {config.get('kind')} of {config.get('apiVersion')}: expected a RayJob of apiVersion ray.io/v1"
        )
    _check(config, RAY_JOB, "")
    _require(config, "metadata.name", "spec.entrypoint", "spec.rayClusterSpec.headGroupSpec.template.spec.containers")
    cluster = config["spec"]["rayClusterSpec"]
    _check_version(cluster.get("rayVersion"))
    groups = cluster.get("workerGroupSpecs", [])
    for group in groups:
        _require(group, "groupName", "template.spec.containers")
        if not group.get("minReplicas", 0) <= group.get("replicas", 0) <= group.get("maxReplicas", 2**31):
            raise UserError(f"worker group {group['groupName']}: replicas is not between minReplicas and maxReplicas")
    pods = [f"{one.get('minReplicas', 0)} to {one.get('maxReplicas', 'any')} {one['groupName']}" for one in groups]
    return f"RayJob {config['metadata']['name']}, Ray {cluster['rayVersion']}, {', '.join(pods)}"


def _check(value: Any, expected: Any, where: str) -> None:
    kind = type(expected) if isinstance(expected, dict | list) else expected
    allowed = (int, float) if kind is float else kind
    found = type(value)
    if not issubclass(found, allowed) or (found is bool and kind is not bool):
        raise UserError(f"{where} is {value!r}: expected {_KINDS[kind]}")
    if isinstance(expected, list):
        for index, item in enumerate(value):
            _check(item, expected[0], f"{where}.{index}")
    elif isinstance(expected, dict):
        for name, item in value.items():
            place = f"{where}.{name}" if where else name
            if name not in expected:
                raise UserError(f"unknown key {place}: {nearest(name, expected)}")
            _check(item, expected[name], place)


_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "text (in quotes)",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def _require(config: Mapping[str, Any], *paths: str) -> None:
    for path in paths:
        value: Any = config
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if not value:
            raise UserError(f"{path} is missing")


def _check_version(version: str | None) -> None:
    from importlib.metadata import version as installed

    if version != installed("ray"):
        raise UserError(
            f"spec.rayClusterSpec.rayVersion is {version} and lukasa is installed with Ray {installed('ray')}: "
            "the image is built with the latter"
        )
