"""One typed model of what a tenant decides: time range, label types, how its files are read."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from lakehouse.contracts.clickstream import ClickstreamSettings
from lakehouse.contracts.event_types import (
    DEFAULTS,
    MOST_TYPES,
    EventName,
    EventType,
    Meaning,
    check_event_types,
)
from lakehouse.contracts.examples import ExampleSettings
from lakehouse.contracts.kinds import DataType as DataType
from lakehouse.contracts.kinds import FileFormat as FileFormat
from lakehouse.contracts.kinds import InteractionType as InteractionType
from lakehouse.contracts.kinds import OnError as OnError
from lakehouse.contracts.negatives import NegativeSettings
from lakehouse.contracts.quality import QualitySettings
from lakehouse.contracts.retention import RetentionPolicy
from lakehouse.contracts.settings_model import MOST_COUNT, IsList, SettingsModel
from lakehouse.contracts.source_mapping import SKIP
from lakehouse.contracts.source_mapping import SourceMapping as SourceMapping
from lakehouse.contracts.source_mapping import TimestampFormat as TimestampFormat
from lakehouse.contracts.traffic import TrafficSettings
from lakehouse.errors import EtaError

TENANT_ID_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
TenantId = Annotated[str, StringConstraints(pattern=TENANT_ID_PATTERN)]

CardText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]

_NUMBER: Final = re.compile(r"\s*[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*")
_LEAST_SHARE: Final = 0.000001
_MOST_SHARE: Final = 0.999999
"""The models read shares to six digits."""


def check_tenant_id(tenant_id: str) -> str:
    """Return `tenant_id` if it may stand in a path and in SQL; raise `EtaError` otherwise."""
    if re.fullmatch(TENANT_ID_PATTERN, tenant_id) is None:
        raise EtaError(
            "the tenant id is not valid",
            remedy="use 1 to 63 lower-case letters, digits, '-' or '_', a letter or digit first",
        )
    return tenant_id


UNATTRIBUTED: Final = "_unattributed"
"""Stands for the tenant of messages that name none or contradict themselves; no tenant's id."""


def check_owner(tenant_id: str) -> str:
    """Return the id if it is a tenant's, or the one of what nobody can be given."""
    return tenant_id if tenant_id == UNATTRIBUTED else check_tenant_id(tenant_id)


def _check_moment(value: Any) -> Any:
    """Refuse numbers, which would be read as seconds since 1970: 2025 is no year to them."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError("a time has a date, as in 2026-03-05 or 2026-03-05T12:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_check_moment)]


class TimeRange(SettingsModel):
    """Half-open range [start, end) in which an event time is believed; naive times are UTC."""

    start: Moment = datetime(2020, 1, 1, tzinfo=UTC)
    end: Moment = datetime(2030, 1, 1, tzinfo=UTC)

    @model_validator(mode="after")
    def _ordered_and_aware(self) -> Self:
        for name in ("start", "end"):
            moment: datetime = getattr(self, name)
            if moment.tzinfo is None:
                object.__setattr__(self, name, moment.replace(tzinfo=UTC))
        if self.start >= self.end:
            raise ValueError("time_range: start must lie before end")
        return self


class EvaluationSettings(SettingsModel):
    """How an evaluation snapshot is divided into train, validation and test (docs/evaluation.md).

    `time`: everything from `train_until` on is kept from training, and what lies before
    `validation_until` is validation; moments left out follow from the shares of the positives.
    `leave_one_out`: each user's last positive is the test, the one before it validation.
    Training rows are those of users and items with the minimum of positives in train.
    Naive moments are UTC.
    """

    method: Literal["time", "leave_one_out"] = "time"
    train_until: Moment | None = None
    validation_until: Moment | None = None
    train_share: Annotated[float, Field(ge=_LEAST_SHARE, lt=1)] = 0.8
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    minimum_user_positives: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 0
    minimum_item_positives: Annotated[int, Field(ge=0, le=MOST_COUNT)] = 0

    @model_validator(mode="after")
    def _leaves_something_for_each(self) -> Self:
        for name in ("train_until", "validation_until"):
            moment: datetime | None = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                object.__setattr__(self, name, moment.replace(tzinfo=UTC))
        if self.method == "leave_one_out" and (self.train_until or self.validation_until):
            raise ValueError("leave_one_out has no train_until: each user has a boundary")
        if self.validation_until is not None:
            if self.train_until is None:
                raise ValueError("validation_until needs a train_until")
            if self.validation_until < self.train_until:
                raise ValueError("validation_until must not lie before train_until")
        if self.train_share + self.validation_share > _MOST_SHARE:
            raise ValueError("train_share and validation_share must leave a share for the test")
        return self


class Quotas(SettingsModel):
    """How much a tenant may send; null: as much as it likes.

    `events_per_second`, over the API, SDK and webhooks, is held on average by each process of the
    service, with room for `burst_seconds` of it at once; `events_per_day` (UTC) over all processes
    together. So are `upload_bytes_per_day`, as files are sent, packed or not; `parallel_uploads`
    that are under way at the same time are of each process.
    """

    events_per_second: Annotated[int, Field(gt=0)] | None = 20_000
    burst_seconds: Annotated[float, Field(ge=0.001, le=3600)] = 2.0
    events_per_day: Annotated[int, Field(gt=0)] | None = None
    upload_bytes_per_day: Annotated[int, Field(gt=0)] | None = 64 * 1024**3
    parallel_uploads: Annotated[int, Field(gt=0)] | None = 8


SEGMENT: Final = SourceMapping(
    columns={
        "event_id": "messageId",
        "event_name": "event|type",
        "user_id": "userId",
        "anonymous_id": "anonymousId",
        "session_id": "context.sessionId|properties.session_id|anonymousId|userId",
        "item_id": "properties.product_id|properties.sku",
        "url": "context.page.url",
        "timestamp": "timestamp|receivedAt|sentAt",
        "properties": "properties|traits",
    },
    timestamps={"timestamp": TimestampFormat(unit="iso")},
)
"""How Segment's track and identify calls become clickstream events."""

BUILT_IN_MAPPINGS: Final = {"contract": SourceMapping(), "segment": SEGMENT}
"""Mappings that every tenant has: the contract's own names and units, and Segment's."""


class PrivacySettings(SettingsModel):
    """What an erasure does where a person is only mentioned: in a title, a link or a free text.

    `keep` counts it in the certificate; `redact` puts `(erased)` in the place of the identifier;
    `delete_row` deletes the row. Rows that name the person are deleted whatever this says.
    """

    mentions: Literal["keep", "redact", "delete_row"] = "keep"


class TrainingSetSettings(SettingsModel):
    """What the cards of a tenant's training sets say in its own words; null: "not stated".

    `licence`: under what terms the sets may be used. `consent`: what the users have agreed to.
    `contact`: who answers for them. Texts of one line (docs/training-sets.md).
    """

    licence: CardText | None = None
    consent: CardText | None = None
    contact: CardText | None = None


class TenantSettings(SettingsModel):
    """Everything a tenant may set; every field has the product's default.

    `positive_types`, `negative_types`, `seed` and `negatives_per_positive` shape the training set;
    left out, the variables of the same names in `dbt_project.yml` count. `event_types` are the
    types of its interactions, instead of the contract's five, and say themselves what is positive
    and what is negative; after `half_life_days` a training row weighs half (docs/event-types.md).
    `clickstream` says which clickstream events are interactions (docs/clickstream.md); without it
    none is. `examples` are the zone and the attributes of training examples
    (docs/training-sets.md). `traffic` says which interactions are taken for those of programs, and
    whether these are left out of training (docs/traffic.md). `negatives` says how sampled negatives
    are drawn (docs/negative-sampling.md).
    `evaluation` is how its evaluation snapshots are divided unless `eta evaluation make` says
    otherwise.
    `sources` maps a mapping's name to it; an upload that names none uses `default`, which exists
    even when it is not given (contract column names, epoch milliseconds, commas). `contract` and
    `segment` exist as well. `quotas` bound what it sends as events. `retention` says how long its
    data stays and in which storage (docs/storage-tiers.md). `quality` are the thresholds of the
    checks that decide whether it is published (docs/quality-gate.md). `privacy` says what an
    erasure does with mentions (docs/erasure.md). `training_set` is what the cards of its training
    sets say of licence, consent and contact.
    """

    time_range: TimeRange = Field(default_factory=TimeRange)
    positive_types: Annotated[frozenset[InteractionType] | None, IsList] = None
    negative_types: Annotated[frozenset[InteractionType] | None, IsList] = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    negatives_per_positive: Annotated[int, Field(ge=0, le=1000)] | None = None
    event_types: (
        Annotated[dict[EventName, EventType], Field(min_length=1, max_length=MOST_TYPES)] | None
    ) = None
    half_life_days: Annotated[float, Field(ge=0.01, le=36_500)] | None = None
    clickstream: ClickstreamSettings | None = None
    examples: ExampleSettings = Field(default_factory=ExampleSettings)
    traffic: TrafficSettings = Field(default_factory=TrafficSettings)
    negatives: NegativeSettings = Field(default_factory=NegativeSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    sources: dict[str, SourceMapping] = Field(default_factory=dict)
    quotas: Quotas = Field(default_factory=Quotas)
    retention: RetentionPolicy = Field(default_factory=RetentionPolicy)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    training_set: TrainingSetSettings = Field(default_factory=TrainingSetSettings)

    @model_validator(mode="after")
    def _event_types_fit_together(self) -> Self:
        if self.event_types is None:
            return self
        for meaning in ("positive", "negative"):
            listed: frozenset[InteractionType] | None = getattr(self, f"{meaning}_types")
            if listed is not None:
                names = ", ".join(sorted(listed)) or "what is"
                raise ValueError(
                    f"{meaning}_types: it cannot stand beside event_types, which say what each "
                    f"type means: leave out {meaning}_types, and under event_types give {names} "
                    f"`meaning: {meaning}`"
                )
        check_event_types(self.event_types)
        self.check_mapped_types()
        return self

    @model_validator(mode="after")
    def _clickstream_is_of_its_types(self) -> Self:
        if self.clickstream is not None:
            self.clickstream.check_types(self.interaction_types)
        return self

    def check_meanings(self) -> None:
        """Raise `ValueError` where a type would be positive and negative at once.

        Said when settings are given, not when they are read: a tenant may have had such for long.
        """
        if self.event_types is not None:
            return
        usual = {
            meaning: frozenset(
                InteractionType(n) for n, one in DEFAULTS.items() if one[0] is meaning
            )
            for meaning in Meaning
        }
        positive = usual[Meaning.POSITIVE] if self.positive_types is None else self.positive_types
        negative = usual[Meaning.NEGATIVE] if self.negative_types is None else self.negative_types
        if both := ", ".join(sorted(positive & negative)):
            raise ValueError(
                f"positive_types, negative_types: {both} would be positive and negative; without "
                f"negative_types {', '.join(sorted(usual[Meaning.NEGATIVE]))} is negative: name "
                "each type in one of the two lists"
            )

    def check_effect(self) -> None:
        """Raise `ValueError` for what is said and could never do anything.

        As `check_meanings`, when settings are given and not when they are read.
        """
        if self.positive_types is not None and not self.positive_types:
            raise ValueError(
                "positive_types: none is positive, so there would be no training rows; name one, "
                "or leave the list out for click, like and purchase"
            )
        self.negatives.check_effect()
        if self.negatives_per_positive == 0 and self.negatives.shares.uniform < 1:
            raise ValueError(
                "negatives.shares: with `negatives_per_positive: 0` no negatives are drawn in any "
                "way; leave one of the two out"
            )
        self.traffic.check_effect()
        if self.clickstream is not None:
            self.clickstream.check_effect()

    def check_mapped_types(self) -> None:
        """Raise `ValueError` where a source mapping makes a type of something that is none."""
        for name, mapping in self.sources.items():
            place = f"sources.{name}"
            read = mapping.of(DataType.INTERACTIONS)
            self._check_mapped(place, read.values, read.constants)

    def _check_mapped(
        self, place: str, values: Mapping[str, Mapping[str, str]], constants: Mapping[str, str]
    ) -> None:
        field = "interaction_type"
        mapped = values.get(field, {})
        words = [(f"values.{field}: entry {n}", word) for n, word in enumerate(mapped.values(), 1)]
        if field in constants:
            constant = constants[field]
            words.append((f"constants.{field}: the constant", mapped.get(constant, constant)))
        for said, word in words:
            if word.strip() not in (*self.interaction_types, SKIP):
                raise ValueError(
                    f"{place}.{said} is no type of this tenant, which has "
                    f"{', '.join(self.interaction_types)}; declare it under event_types, or map "
                    "to one of those"
                )

    @property
    def interaction_types(self) -> tuple[str, ...]:
        """The types that the tenant's interactions may be of: as declared, or the contract's."""
        return tuple(self.event_types or (kind.value for kind in InteractionType))

    def mapping(self, name: str | None, data_type: DataType) -> SourceMapping:
        """Return what the source mapping called `name` says for a data type.

        Raises `EtaError` when the tenant has none of that name.
        """
        return self.source(name).of(data_type)

    def source(self, name: str | None) -> SourceMapping:
        """Return the source mapping called `name`, with its sections; raises as `mapping` does."""
        wanted = name or "default"
        found = self.sources.get(wanted)
        if found is not None:
            return found
        if wanted == "default":
            return SourceMapping()
        if wanted in BUILT_IN_MAPPINGS:
            return BUILT_IN_MAPPINGS[wanted]
        known = ", ".join(sorted(self.sources)) or "none"
        raise EtaError(
            f"the tenant has no source mapping of that name (it has: {known})",
            remedy="add it with `eta tenants set TENANT --settings FILE`, or leave the name out",
        )
