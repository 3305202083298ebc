"""Shows a person a proposed source mapping and asks whether to use it."""

import shlex
from pathlib import Path
from typing import Any

import click
import typer
import yaml

from lakehouse.cli.inspecting import show, show_proposal
from lakehouse.cli.output import note
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError


def how_to_propose(file: Path, data_type: DataType, tenant_id: str) -> str:
    """Return the commands that propose a mapping, and use it."""
    name = shlex.quote(str(file))
    if data_type is DataType.INTERACTIONS:
        return (
            f"eta inspect {name} --type {data_type} --save mapping.yml; look at what it says and "
            f"edit mapping.yml; then eta run {name} --tenant {tenant_id} --settings mapping.yml"
        )
    return (
        f"eta inspect {name} --type {data_type} --save {data_type}.yml; copy its source "
        f"`{data_type}` into `sources` of the settings file, and run the command again with that "
        "file as --settings"
    )


def ask(
    file: Path,
    data_type: DataType,
    tenant_id: str,
    answer: dict[str, Any],
    settings: TenantSettings,
) -> TenantSettings:
    """Return the settings with the proposed mapping, when a person agrees; raises `EtaError`."""
    show(file, answer)
    show_proposal(answer)
    proposed = yaml.safe_load(answer["proposed_settings_yaml"])
    (name,) = proposed["sources"]
    for choice in answer["choices"]:
        proposed["sources"][name] = _chosen(choice, proposed["sources"][name])
    if not typer.confirm("\nRead it so, and keep this as the tenant's mapping?", err=True):
        raise EtaError("nothing was done", remedy=how_to_propose(file, data_type, tenant_id))
    return merged(settings, proposed)


def merged(settings: TenantSettings, proposed: dict[str, Any]) -> TenantSettings:
    """Return settings with proposed ones in their place, other sources kept."""
    document = settings.model_dump()
    sources = {**document["sources"], **proposed["sources"]}
    return TenantSettings.model_validate(document | proposed | {"sources": sources})


def _chosen(choice: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    """Ask one question; return the mapping with what the answer adds to it."""
    note(f"\n{choice['question']}")
    for number, option in enumerate(choice["options"], 1):
        note(f"  {number}: {option['label']}")
    numbers = [str(number) for number in range(1, len(choice["options"]) + 1)]
    taken = typer.prompt("Which", type=_one_of(numbers), err=True)
    changed: dict[str, Any] = choice["options"][int(taken) - 1]["mapping"]
    both = {**mapping, **changed}
    for name, part in changed.items():
        if isinstance(part, dict) and isinstance(mapping.get(name), dict):
            both[name] = {**mapping[name], **part}
    return both


def _one_of(words: list[str]) -> Any:
    return click.Choice(words)
