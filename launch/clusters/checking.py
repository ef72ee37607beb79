"""``lukasa check-cluster FILE``: whether a cluster file says what Ray, or the KubeRay operator, would understand.

Ray's own check accepts any key under ``provider`` and ``node_config``, and reports the others in many lines; here a
key that was misspelt is named in one sentence, before a machine is paid for.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import most_like, nearest
from lukasa.launch.clusters.kuberay import check_ray_job
from lukasa.launch.options.fields import split_words
from lukasa.launch.options.parsing import parse

Config = dict[str, Any]

NODE_CONFIG_KEYS = {
    "aws": [
        "BlockDeviceMappings",
        "EbsOptimized",
        "IamInstanceProfile",
        "ImageId",
        "InstanceMarketOptions",
        "InstanceType",
        "KeyName",
        "MetadataOptions",
        "NetworkInterfaces",
        "Placement",
        "SecurityGroupIds",
        "SubnetId",
        "SubnetIds",
        "TagSpecifications",
        "UserData",
    ],
    "gcp": [
        "canIpForward",
        "disks",
        "guestAccelerators",
        "labels",
        "machineType",
        "metadata",
        "minCpuPlatform",
        "networkInterfaces",
        "scheduling",
        "serviceAccounts",
        "shieldedInstanceConfig",
        "tags",
    ],
}
"""Keys of a machine that Ray hands to the cloud as they are; others pass unless they look like one of these."""


_COMMANDS = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")
_TYPES = (
    *((name, list, "a list of commands") for name in _COMMANDS),
    ("head_start_ray_commands", list, "a list of commands"),
    ("worker_start_ray_commands", list, "a list of commands"),
    ("file_mounts", dict, "a mapping of remote to local paths"),
    ("provider", dict, "a mapping"),
    ("available_node_types", dict, "a mapping"),
    ("node_type.node_config", dict, "a mapping"),
    ("node_type.resources", dict, "a mapping"),
    ("node_type.min_workers", int, "a whole number"),
    ("node_type.max_workers", int, "a whole number"),
)
"""Keys whose type Ray takes for granted: name, type, and what the type is called."""


@dataclass(frozen=True)
class CheckOptions:
    """Check a cluster file of `ray up`, or a RayJob of KubeRay, before it costs anything."""


def main(argv: Sequence[str]) -> int:
    """Check one file; returns the exit code."""
    words, rest = split_words(argv)
    parse(CheckOptions, rest, prog="lukasa check-cluster FILE")
    if len(words) != 1:
        raise UserError("lukasa check-cluster takes one file: give one such as launch/cluster.yaml")
    print(f"{words[0]}: {check_cluster(Path(words[0]))}")
    return 0


def check_cluster(path: Path) -> str:
    """What a cluster file asks for, in one line.

    Raises:
        UserError: Ray would not take it, or would ignore a part of it.
    """
    config = _read(path)
    try:
        if "apiVersion" in config or "kind" in config:
            return check_ray_job(config)
        _check_keys(config)
        return _summary(_prepare(config))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _read(path: Path) -> Config:
    try:
        config = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"cluster file {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"cluster file {path} is not YAML: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"cluster file {path} holds no settings: see launch/cluster.yaml for one that does")
    return config


def _check_keys(config: Config) -> None:
    """Refuse what Ray's own check would let pass, or would stop at without a sentence."""
    schema = _schema()
    _refuse_unknown(config, schema["properties"], "key")
    _check_types(config, schema)
    provider = config.get("provider")
    if not isinstance(provider, Mapping) or "type" not in provider:
        raise UserError("provider.type is missing: expected aws, gcp or local")
    kind = provider["type"]
    _refuse_misspelt(provider, schema["properties"]["provider"]["properties"], "provider.")
    if kind == "local" and (missing := [name for name in ("head_ip", "worker_ips") if name not in provider]):
        raise UserError(f"provider.{missing[0]} is missing: provider local needs head_ip and worker_ips")
    if kind == "local" and "available_node_types" in config:
        raise UserError("provider local has no available_node_types: its machines are head_ip and worker_ips")
    _check_mounts(config.get("file_mounts") or {})
    for name, node_type in (config.get("available_node_types") or {}).items():
        where = f"available_node_types.{name}.node_config."
        _refuse_misspelt(node_type.get("node_config") or {}, NODE_CONFIG_KEYS.get(kind, ()), where)


def _check_types(config: Config, schema: Config) -> None:
    """Refuse what Ray would stumble over while it fills in its defaults, which comes before its own check."""
    import jsonschema

    try:
        jsonschema.validate(config, {**schema, "required": []})
    except jsonschema.ValidationError as error:
        raise UserError(_sentence(error)) from None
    for name, kind, expected in _TYPES:
        places = config.get("available_node_types") or {} if name.startswith("node_type.") else {"": config}
        for place, holder in places.items():
            field = name.removeprefix("node_type.")
            value = holder.get(field) if isinstance(holder, dict) else None
            where = f"available_node_types.{place}.{field}" if place else field
            if not isinstance(holder, dict):
                raise UserError(f"available_node_types.{place} is {holder!r}: expected a mapping")
            if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
                raise UserError(f"{where} is {value!r}: expected {expected}")


def _check_mounts(mounts: Mapping[str, str]) -> None:
    """Ray would stop at a file that is not here without saying which; relative ones are looked for from here."""
    for remote, local in mounts.items():
        if not isinstance(local, str) or not isinstance(remote, str) or "\0" in local:
            raise UserError(f"file_mounts: {remote!r} is {local!r}: expected a path of this machine")
        if not Path(local).expanduser().exists():
            token = remote.endswith(".ray/auth_token")
            make = "make it with `ray get-auth-token --generate`"
            raise UserError(
                f"file_mounts: {local} is not here: {make if token else 'run this in the folder of the repository'}"
            )


def _prepare(config: Config) -> Config:
    """The file with Ray's defaults filled in, after Ray's own check."""
    import logging

    import click
    import jsonschema
    from ray.autoscaler._private.util import prepare_config, validate_config

    logging.getLogger("ray.autoscaler._private.util").setLevel(logging.WARNING)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            prepared = prepare_config(config)
            validate_config(prepared)
    except jsonschema.ValidationError as error:
        raise UserError(_sentence(error)) from None
    except (click.ClickException, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(str(error) or said.getvalue().strip()) from None
    except Exception as error:  # whatever Ray's own reading stumbles over
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"Ray cannot read it ({reason}): compare it with launch/cluster.yaml") from error
    return prepared


def _sentence(error: Any) -> str:
    """What a schema found wrong."""
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(name for name in error.instance if name not in known)
        return f"unknown key {f'{where}.' if where else ''}{unknown}: {nearest(unknown, known)}"
    return f"{where or 'the file'}: {error.message}"


def _refuse_unknown(given: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in given:
        if name not in known:
            raise UserError(f"unknown {what} {name}: {nearest(name, known)}")


def _refuse_misspelt(given: Iterable[str], known: Iterable[str], where: str) -> None:
    known = list(known)
    for name in given:
        if name not in known and (near := most_like(name, known, 0.75)):
            raise UserError(f"unknown key {where}{name}: did you mean {near!r}?")


def _schema() -> Config:
    import ray.autoscaler

    return json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def _summary(config: Config) -> str:
    provider = config["provider"]
    if provider["type"] == "local":
        return f"local, head {provider['head_ip']}, {len(provider['worker_ips'])} workers"
    types = config["available_node_types"]
    workers = [f"{one['min_workers']} to {one['max_workers']} {name}" for name, one in types.items()]
    head = config["head_node_type"]
    others = [text for name, text in zip(types, workers, strict=True) if name != head]
    return f"{provider['type']}, {head}, {', '.join(others)}, at most {config['max_workers']} beside the {head}"
