"""Which events of the clickstream are interactions or impressions, and where in them items stand.

A tenant names a preset, events of its own, or both. Who did it is no part of this: an erasure and
the list of erased people have to know whom an event names, so ingestion reads that, by the source
mapping.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    field_serializer,
    model_validator,
)

from lakehouse.contracts.settings_model import SettingsModel
from lakehouse.contracts.source_mapping import SKIP

MOST_EVENTS: Final = 100
MICROSECONDS_A_MINUTE: Final = 60_000_000
UNTIE: Final = "untie"
"""The event that ends what an anonymous id is tied to, whatever the preset."""
EITHER: Final = "|"
_NAME: Final = r"[^'?\[\]|.\\\x00-\x1f]{1,100}"
PATHS: Final = rf"{_NAME}(\.{_NAME})*(\|{_NAME}(\.{_NAME})*)*"
"""What paths look like: names with dots between them, alternatives with `|`."""


ROOT: Final = "$."
"""How JSONPath begins; a path may be written with it."""


def plain_paths(text: str) -> str:
    """Return paths as they are read: without `$.`, and without blanks around `|`."""
    return EITHER.join(one.strip().removeprefix(ROOT) for one in text.split(EITHER))


def _check_paths(text: str) -> str:
    """Return paths if each may stand in a JSON path; raise `ValueError` otherwise."""
    text = plain_paths(text)
    if re.fullmatch(PATHS, text) is None:
        raise ValueError(
            "a path has names with dots between them, and `|` before the one that is read where "
            "nothing is found (`product_id|product.sku`)"
        )
    return text


Paths = Annotated[str, Field(max_length=500), AfterValidator(_check_paths)]
"""Where a value stands: names with dots between them; of `a|b` it is `b` where `a` has none."""


class ClickstreamEvent(SettingsModel):
    """What the events of one name are. What is left out is as the preset has it.

    `type`: the interaction type, or `skip`: these events are none. `items`: a list within the
    properties, of whose entries each is an interaction; without it the event is one. `item_id` and
    `value` are looked for in the entry (an entry that is no object is the id itself), without
    `items` in the properties, and the item is then the event's own `item_id` if nothing is found;
    the value becomes the `rating`. `time`, in the properties, goes before the event's own time;
    `time_unit` as in a source mapping. `key`: values of the properties that say which act it was,
    such as an order's number, whoever tells of it: they make the interaction's `event_id`.
    """

    type: str | None = None
    items: Paths | None = None
    item_id: Paths = "item_id"
    value: Paths | None = None
    time: Paths | None = None
    time_unit: Literal["iso", "s", "ms", "us"] = "iso"
    key: tuple[Paths, ...] = Field(default=(), max_length=5)

    @model_validator(mode="before")
    @classmethod
    def _names_nobody(cls, said: Any) -> Any:
        if isinstance(said, dict) and "user_id" in said:
            raise ValueError(
                "user_id: who is erased must be found, so the source mapping reads who did it: "
                'sources: {NAME: {columns: {user_id: "userId|properties.customer"}}}'
            )
        return said


EventText = Annotated[str, Field(min_length=1, max_length=512)]


class ImpressionEvent(SettingsModel):
    """Where events of one name have what a user was shown; null in the settings: they say nothing.

    `items`, `item_id`, `time`, `time_unit`: as of a `ClickstreamEvent`. `position`: in the entry;
    `page` and `policy` (what chose the items: a policy or a model): there, else in the properties.
    """

    items: Paths | None = "items"
    item_id: Paths = "item_id"
    position: Paths = "position"
    page: Paths = "page"
    policy: Paths = "policy_id|model_id|policy|model"
    time: Paths | None = None
    time_unit: Literal["iso", "s", "ms", "us"] = "iso"


class ImpressionSettings(SettingsModel):
    """What counts as shown, and as a click on it.

    `events` by their names, beside `recommendation_shown` and the preset's. An item was clicked if
    the user has an interaction with it of a type of `clicked_by` (null: all but negative ones, and
    neutral ones that undo another) after it was shown, within `click_window_minutes`. So many items
    as `negatives_per_positive` that a list showed beside a clicked one become its negatives
    (docs/negative-sampling.md).
    """

    events: Annotated[dict[EventText, ImpressionEvent | None], Field(max_length=MOST_EVENTS)] = (
        Field(default_factory=dict)
    )
    click_window_minutes: Annotated[float, Field(gt=0, le=10_080)] = 30
    clicked_by: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)] | None = None
    negatives_per_positive: Annotated[int, Field(ge=0, le=100)] = 0

    def shown(self, preset: str | None) -> dict[str, ImpressionEvent]:
        """Return event name → where it has what was shown, in the order of names."""
        known: dict[str, ImpressionEvent | None] = {
            **SHOWN_ALWAYS,
            **SHOWN_BY_PRESET.get(preset or "", {}),
            **self.events,
        }
        return {name: one for name, one in sorted(known.items()) if one is not None}


class IdentitySettings(SettingsModel):
    """Which events say whose an `anonymous_id` is, and which end that.

    `ties`: events with both ids tie them (null: of any name). `unties`: events of these names end
    what an anonymous id is tied to (null: `untie`, and the preset's).
    """

    ties: Annotated[tuple[EventText, ...], Field(min_length=1, max_length=MOST_EVENTS)] | None = (
        None
    )
    unties: Annotated[tuple[EventText, ...], Field(max_length=MOST_EVENTS)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        unties = (UNTIE,) if self.unties is None else self.unties
        if both := set(self.ties or ()).intersection(unties):
            raise ValueError(f"clickstream.identity: {', '.join(sorted(both))} cannot be both")
        return self

    def untying(self, preset: str | None) -> list[str]:
        """Return the names of the events that end a tie, in order."""
        usual = {UNTIE, *UNTIES_BY_PRESET.get(preset or "", ())}
        return sorted((usual if self.unties is None else set(self.unties)) - set(self.ties or ()))


class ClickstreamSettings(SettingsModel):
    """Which events are interactions: those of a `preset`, and `events` by their names.

    An entry of `events` for one of the preset's changes what it says and leaves the rest. With
    `impressions` others say what users were shown, with `identity` events of an anonymous id
    become those of the user that it is tied to.
    """

    preset: Literal["segment", "ga4"] | None = None
    events: Annotated[dict[EventText, ClickstreamEvent], Field(max_length=MOST_EVENTS)] = Field(
        default_factory=dict
    )
    impressions: ImpressionSettings | None = None
    identity: IdentitySettings | None = None

    @field_serializer("events")
    def _as_given(self, events: dict[str, ClickstreamEvent]) -> dict[str, Any]:
        """Write no defaults: what an entry leaves out is as the preset has it."""
        return {
            name: one.model_dump(mode="json", exclude_unset=True) for name, one in events.items()
        }

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.preset is None and not self.events and self.impressions is None:
            raise ValueError(
                f"clickstream: name a preset ({', '.join(PRESETS)}), events or impressions"
            )
        known = PRESETS[self.preset] if self.preset else {}
        for name, one in self.events.items():
            if one.type is None and name not in known:
                raise ValueError(f"clickstream.events.{name}: say its type")
        both = self._taken.intersection(
            self.impressions.shown(self.preset) if self.impressions else ()
        )
        if both:
            raise ValueError(
                f"clickstream: {', '.join(sorted(both))} cannot be both, interactions and "
                "impressions: leave the name out of one of them (`type: skip`, or `NAME: null`)"
            )
        return self

    def check_effect(self) -> None:
        """Raise `ValueError` for what never says anything; see `TenantSettings.check_effect`."""
        shown = self.impressions.shown(self.preset) if self.impressions else {}
        if not self._taken and not shown:
            raise ValueError(
                "clickstream: none of its events is an interaction or an impression; leave "
                "clickstream out, or give an event a type"
            )
        if self.impressions is not None:
            self._check_impressions(self.impressions, shown)
        events: dict[str, ClickstreamEvent | ImpressionEvent] = {
            **{f"events.{name}": one for name, one in self.events.items()},
            **{f"impressions.events.{name}": one for name, one in shown.items()},
        }
        for place, one in events.items():
            if one.time is None and one.time_unit != "iso":
                raise ValueError(
                    f"clickstream.{place}.time_unit: it is the unit of `time`, a place in the "
                    "properties, which is left out; the event's own time is read by the source "
                    "mapping (`sources: {NAME: {timestamps: {timestamp: {unit: ms}}}}`)"
                )

    def _check_impressions(
        self, impressions: ImpressionSettings, shown: Mapping[str, ImpressionEvent]
    ) -> None:
        if not shown:
            raise ValueError(
                "clickstream.impressions: no event says what was shown; leave impressions out, or "
                "name an event that does"
            )
        if round(impressions.click_window_minutes * MICROSECONDS_A_MINUTE) < 1:
            raise ValueError(
                "clickstream.impressions.click_window_minutes: less than a microsecond, in which "
                "nothing is clicked"
            )

    @property
    def _taken(self) -> set[str]:
        """The events that are interactions."""
        usual = PRESETS[self.preset] if self.preset else {}
        return {
            name
            for name in {*usual, *self.events}
            if name not in self.events or self.events[name].type != SKIP
        }

    def check_types(self, types: tuple[str, ...]) -> None:
        """Raise `ValueError` for an event of a type that the tenant does not have."""
        for name, one in self.events.items():
            if one.type is not None and one.type not in (*types, SKIP):
                raise ValueError(
                    f"clickstream.events.{name}.type: the tenant has no type {one.type!r}; it has "
                    f"{', '.join(types)}; {SKIP} leaves the events out"
                )
        clicked_by = self.impressions.clicked_by if self.impressions else None
        for kind in clicked_by or ():
            if kind not in types:
                raise ValueError(
                    f"clickstream.impressions.clicked_by: the tenant has no type {kind!r}; it has "
                    f"{', '.join(types)}"
                )

    def mapped(self, types: tuple[str, ...]) -> dict[str, ClickstreamEvent]:
        """Return event name → what it is, in the order of names, without those that are left out.

        A preset's event has the first of its types that is among `types`; with none its type is
        null, and what it says is counted and not taken.
        """
        usual = PRESETS[self.preset] if self.preset else {}
        found = {}
        for name in sorted({*usual, *self.events}):
            said = self.events[name].model_dump(exclude_unset=True) if name in self.events else {}
            if said.get("type") is None:
                said.pop("type", None)
            if name in usual:
                names, event = usual[name]
                said = {
                    **event.model_dump(exclude_unset=True),
                    "type": next((one for one in names if one in types), None),
                    **said,
                }
            if said["type"] != SKIP:
                found[name] = ClickstreamEvent.model_validate(said)
        return found


def json_paths(paths: str) -> list[str]:
    """Return the JSONPath of each alternative: `a.b|c` → `$['a']['b']` and `$['c']`."""
    return [
        "$" + "".join(f"['{name}']" for name in path.split(".")) for path in paths.split(EITHER)
    ]


_SEGMENT_ITEM: Final = "product_id|sku"
_ONE: Final = ClickstreamEvent(item_id=_SEGMENT_ITEM)
_ORDER: Final = ClickstreamEvent(items="products", item_id=_SEGMENT_ITEM, key=("order_id",))
_ITEMS: Final = ClickstreamEvent(items="items", item_id="item_id")
_TRANSACTION: Final = ClickstreamEvent(items="items", item_id="item_id", key=("transaction_id",))

PRESETS: Final[Mapping[str, Mapping[str, tuple[tuple[str, ...], ClickstreamEvent]]]] = {
    "segment": {
        "Product Clicked": (("product_clicked", "click"), _ONE),
        "Product Viewed": (("product_viewed", "view"), _ONE),
        "Product Added": (("product_added", "add_to_cart", "click"), _ONE),
        "Product Removed": (("product_removed", "remove_from_cart", "view"), _ONE),
        "Product Added to Wishlist": (("product_added_to_wishlist", "like"), _ONE),
        "Order Completed": (("order_completed", "purchase"), _ORDER),
        "Order Refunded": (("order_refunded", "refund", "dislike"), _ORDER),
    },
    "ga4": {
        "select_item": (("select_item", "click"), _ITEMS),
        "view_item": (("view_item", "view"), _ITEMS),
        "add_to_wishlist": (("add_to_wishlist", "like"), _ITEMS),
        "add_to_cart": (("add_to_cart", "click"), _ITEMS),
        "remove_from_cart": (("remove_from_cart", "view"), _ITEMS),
        "purchase": (("purchase",), _TRANSACTION),
        "refund": (("refund", "dislike"), _TRANSACTION),
    },
}
"""Events of Segment's ecommerce spec and of GA4: the types that each may be, the first that the
tenant has, and where its items stand. The last name is one of the contract's five."""

SHOWN_ALWAYS: Final = {"recommendation_shown": ImpressionEvent()}
SHOWN_BY_PRESET: Final = {
    "segment": {
        "Product List Viewed": ImpressionEvent(
            items="products", item_id=_SEGMENT_ITEM, page="list_id|category"
        )
    },
    "ga4": {"view_item_list": ImpressionEvent(position="index", page="item_list_id")},
}
"""Events that say what a user was shown."""

UNTIES_BY_PRESET: Final = {"segment": ("Signed Out",)}
"""Events after which a device is nobody's: of Segment's B2B SaaS spec."""
