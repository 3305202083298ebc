"""An inspection as the service answers it, and its proposal as settings to save."""

from dataclasses import asdict
from typing import Any

import yaml

from ingest_service.sources.inspecting.inspection import Inspection, time_range_of
from lakehouse.contracts.tenant import DataType, TenantSettings


def answer_of(found: Inspection) -> dict[str, Any]:
    """Return the answer, of JSON values alone."""
    dialect, reading, trial = found.dialect, found.reading, found.trial
    questions = _questions(found)
    return {
        "format": {
            "name": found.format.value,
            "compression": found.order.packing,
            "note": _note(found),
        },
        "encoding": {
            "name": reading.encoding,
            "how": reading.encoding_from,
            "candidates": [{"name": name, "sample": sample} for name, sample in found.candidates],
        },
        "dialect": {
            "delimiter": reading.delimiter,
            "quote": '"' if dialect else None,
            "escape": dialect.escape if dialect else None,
            "header": ("first" if dialect.has_header else "none") if dialect else None,
            "skip_lines": dialect.skip_lines if dialect else 0,
            "comment": dialect.comment if dialect else None,
        },
        "columns": [asdict(column) for column in found.columns],
        "data_type": found.proposal.data_type.value,
        "interaction_types": list(found.order.settings.interaction_types),
        "proposed_mapping": found.mapping,
        "proposed_settings_yaml": settings_yaml(found),
        "rows": trial.rows,
        "reasons": [asdict(reason) for reason in trial.reasons],
        "warnings": [asdict(reason) for reason in trial.warnings],
        "counts": {
            "looked_at": trial.received,
            "would_store": trial.stored,
            "would_reject": trial.rejected,
            "repeated": trial.repeated,
        },
        "is_whole_file": trial.is_whole,
        "questions": questions,
        "choices": [
            {
                "question": choice.question,
                "options": [
                    {"label": label, "mapping": merged(found.mapping, change)}
                    for label, change in choice.options
                ],
            }
            for choice in found.proposal.choices
        ],
    }


def settings_yaml(found: Inspection) -> str:
    """Return the proposal as a settings file: `eta run --settings`, `eta tenants set`."""
    settings: dict[str, Any] = {}
    believed = time_range_of(found.order.settings, found.proposal)
    if believed != TenantSettings().time_range:
        settings["time_range"] = {
            "start": believed.start.date(),
            "end": believed.end.date(),
        }
    declared = found.order.settings.event_types
    if declared is not None:
        settings["event_types"] = {
            name: one.model_dump(mode="json", exclude_defaults=True)
            for name, one in declared.items()
        }
    settings["sources"] = {mapping_name(found.proposal.data_type): found.mapping}
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)


def mapping_name(data_type: DataType) -> str:
    """Return what a proposed mapping is called: that of interactions is used without its name."""
    return "default" if data_type is DataType.INTERACTIONS else data_type.value


def merged(mapping: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping with what an answer changes."""
    return mapping | {name: mapping.get(name, {}) | part for name, part in change.items()}


def _questions(found: Inspection) -> list[str]:
    questions = list(found.proposal.questions)
    if found.candidates:
        names = ", ".join(name for name, _ in found.candidates)
        questions.insert(0, f"Which encoding is it: {names}? The samples show the text under each.")
    believed = time_range_of(found.order.settings, found.proposal)
    if believed != found.order.settings.time_range:
        questions.append(
            f"Times reach from {_day(found, 0)} to {_day(found, 1)}: the proposal widens "
            "`time_range` for them. Is that what they should be?"
        )
    return questions


def _day(found: Inspection, at: int) -> str:
    span = found.proposal.span
    return span[at].date().isoformat() if span else ""


def _note(found: Inspection) -> str:
    if found.trial.is_whole:
        return "all of it was looked at"
    mebibytes = found.order.looked_at / 2**20
    return f"only its start was looked at, about {mebibytes:.0f} MiB"
