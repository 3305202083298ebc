"""Hands the tenants' settings to the models: control database → `ops.tenant_settings`."""

import json
from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
from deltalake import write_deltalake

from lakehouse.contracts.clickstream import (
    MICROSECONDS_A_MINUTE,
    ClickstreamEvent,
    ImpressionEvent,
    json_paths,
)
from lakehouse.contracts.event_types import Meaning, by_strength, named
from lakehouse.contracts.examples import UTC
from lakehouse.contracts.kinds import InteractionType
from lakehouse.contracts.negatives import SHARE_STEPS
from lakehouse.contracts.tables import OPS_TENANT_SETTINGS, TENANT_SETTINGS
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.storage.lake import Lake


def publish_tenant_settings(
    lake: Lake, tenants: Mapping[str, TenantSettings], now: datetime
) -> int:
    """Append a version for each tenant whose training settings changed; return how many did.

    The newest version counts; older ones stay, so that a run knows which tenants changed. The table
    must exist. Two processes at once may both append a version with the same content: harmless.
    """
    table = lake.table(OPS_TENANT_SETTINGS)
    held = _newest_versions(table.to_pyarrow_table())
    changed = []
    for tenant_id, settings in sorted(tenants.items()):
        row = _row(tenant_id, settings)
        version, previous = held.get(tenant_id, (0, None))
        if row != previous:
            changed.append({**row, "version": version + 1, "known_at": now})
    if changed:
        write_deltalake(table, pa.Table.from_pylist(changed, TENANT_SETTINGS), mode="append")
    return len(changed)


def mapping_tenants(lake: Lake) -> set[str]:
    """Return the tenants whose clickstream the models read, by the newest settings they have."""
    held = _newest_versions(lake.table(OPS_TENANT_SETTINGS).to_pyarrow_table())
    return {name for name, (_, row) in held.items() if row.get("clickstream") is not None}


def _newest_versions(table: pa.Table) -> dict[str, tuple[int, dict[str, object]]]:
    newest = {}
    for row in table.sort_by("version").to_pylist():
        version = row.pop("version")
        del row["known_at"]
        newest[row["tenant_id"]] = (version, row)
    return newest


def _row(tenant_id: str, settings: TenantSettings) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        **_meanings(settings),
        "seed": settings.seed,
        "negatives_per_positive": settings.negatives_per_positive,
        "half_life_days": settings.half_life_days,
        "clickstream": _clickstream(settings),
        "examples": _examples(settings),
        "traffic": _traffic(settings),
        "negatives": _negatives(settings),
    }


def _negatives(settings: TenantSettings) -> str | None:
    """How sampled negatives are drawn, as the models read it (`macros/sampling`): JSON.

    Shares are ten-thousandths of the positives; what is left of them is drawn uniformly.
    """
    said = settings.negatives
    shares = {"popularity": said.shares.popularity, "category": said.shares.category}
    if not any(shares.values()):
        return None
    told: dict[str, float] = {name: round(share * SHARE_STEPS) for name, share in shares.items()}
    return json.dumps(
        {**told, "exponent": said.popularity_exponent, "period_days": said.popularity_days}
    )


def _traffic(settings: TenantSettings) -> str | None:
    """Thresholds and flags left out, as the models read them (`macros/traffic`): JSON."""
    said = settings.traffic
    told = {
        "leave_out": sorted(said.leave_out or ()) or None,
        "rate_per_hour": said.rate_per_hour,
        "interval_variation": said.interval_variation,
    }
    used = {name: value for name, value in told.items() if value is not None}
    return json.dumps(used) if used else None


def _examples(settings: TenantSettings) -> str | None:
    """Zone and attributes of examples, as the models read them (`macros/features`): JSON."""
    said = settings.examples
    told = {
        "time_zone": None if said.time_zone == UTC else said.time_zone,
        **{
            kind: [
                {"name": name, "paths": json_paths(path)}
                for name, path in sorted(attributes.items())
            ]
            or None
            for kind, attributes in (("item", said.item_attributes), ("user", said.user_attributes))
        },
    }
    used = {name: value for name, value in told.items() if value is not None}
    return json.dumps(used, ensure_ascii=False) if used else None


def _clickstream(settings: TenantSettings) -> str | None:
    """What the clickstream's events are, as the models read it (`macros/staging`): JSON.

    Paths are JSONPaths, of each value several: the first that is found counts. A time out of the
    properties is believed between `earliest` and `latest` (microseconds).
    """
    said = settings.clickstream
    if said is None:
        return None
    taken = said.mapped(settings.interaction_types)
    events = [_event(settings, name, one) for name, one in taken.items()]
    told: dict[str, object] = {"events": events}
    if said.impressions is not None:
        shown = said.impressions.shown(said.preset)
        events += [_event(settings, name, one) for name, one in shown.items()]
        window = said.impressions.click_window_minutes
        told["click_window_us"] = round(window * MICROSECONDS_A_MINUTE)
        told["clicked_by"] = sorted(said.impressions.clicked_by or _not_negative(settings))
        if said.impressions.negatives_per_positive:
            told["shown_negatives"] = said.impressions.negatives_per_positive
    if said.identity is not None:
        told["identity"] = {
            "tie_events": None if said.identity.ties is None else sorted(said.identity.ties),
            "untie_events": said.identity.untying(said.preset),
        }
    return json.dumps(told, ensure_ascii=False)


def _event(
    settings: TenantSettings, name: str, one: ClickstreamEvent | ImpressionEvent
) -> dict[str, object]:
    def paths(field: str) -> list[str] | None:
        said: str | None = getattr(one, field, None)
        return None if said is None else json_paths(said)

    interaction = one if isinstance(one, ClickstreamEvent) else None
    return {
        "event_name": name,
        "is_impression": interaction is None,
        "interaction_type": interaction.type if interaction else None,
        "item_lists": paths("items"),
        "item_paths": paths("item_id"),
        "value_paths": paths("value"),
        "key_paths": [json_paths(key) for key in interaction.key] if interaction else [],
        "position_paths": paths("position"),
        "page_paths": paths("page"),
        "policy_paths": paths("policy"),
        "time_paths": paths("time"),
        "time_unit": one.time_unit,
        "earliest": int(settings.time_range.start.timestamp() * 1_000_000),
        "latest": int(settings.time_range.end.timestamp() * 1_000_000),
    }


def _not_negative(settings: TenantSettings) -> set[str]:
    """The types that say no dislike, and do no more than take something back."""
    types = settings.event_types
    if types is not None:
        neutral = named(types, Meaning.NEUTRAL)
        undoing = {name for name in neutral if types[name].undoes is not None}
        return types.keys() - named(types, Meaning.NEGATIVE) - undoing
    negative = settings.negative_types
    return set(settings.interaction_types) - (
        {InteractionType.DISLIKE.value} if negative is None else set(map(str, negative))
    )


def _meanings(settings: TenantSettings) -> dict[str, object]:
    """What the types of a tenant mean: declared types say so, else there are two lists of names."""
    types = settings.event_types
    if types is None:
        return {
            "positive_types": _names(settings.positive_types),
            "negative_types": _names(settings.negative_types),
            "event_types": None,
        }
    return {
        "positive_types": named(types, Meaning.POSITIVE),
        "negative_types": named(types, Meaning.NEGATIVE),
        "event_types": [
            {
                "name": name,
                "weight": one.weight,
                "value_scale": None if one.value is None else one.value.scale,
                "undoes": one.undoes,
            }
            for name, one in by_strength(types)
        ],
    }


def _names(types: frozenset[str] | None) -> list[str] | None:
    return None if types is None else sorted(str(name) for name in types)
