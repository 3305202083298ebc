"""The two demonstration tenants and what sets them apart."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self

from lakehouse.contracts.tenant import InteractionType, TenantSettings

SECOND: Final = 1_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR

START: Final = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * SECOND
"""First moment of the generated history (epoch ms): fixed, so that every run gives one result."""
DAYS: Final = 60
END: Final = START + DAYS * DAY


class Business(StrEnum):
    """What a tenant does, which decides how its items live and how its visitors behave."""

    SHOP = "shop"
    NEWS = "news"


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """A tenant to generate; the sizes and the seed may be changed with `sized`."""

    tenant_id: str
    name: str
    business: Business
    seed: int
    interaction_count: int
    item_count: int
    user_count: int
    has_event_ids: bool
    settings: TenantSettings = field(default_factory=TenantSettings)

    def sized(
        self,
        *,
        interactions: int | None = None,
        items: int | None = None,
        users: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """Return the same tenant in another size; users follow the interactions unless given."""
        count = self.interaction_count if interactions is None else interactions
        return replace(
            self,
            interaction_count=count,
            item_count=self.item_count if items is None else items,
            user_count=max(1, count * self.user_count // self.interaction_count)
            if users is None
            else users,
            seed=self.seed if seed is None else seed,
        )


ACME: Final = DemoTenant(
    tenant_id="acme",
    name="Acme Outdoor Shop",
    business=Business.SHOP,
    seed=20260301,
    interaction_count=20_000,
    item_count=800,
    user_count=1_000,
    has_event_ids=True,
)

GLOBEX: Final = DemoTenant(
    tenant_id="globex",
    name="Globex Daily News",
    business=Business.NEWS,
    seed=20260302,
    interaction_count=12_000,
    item_count=600,
    user_count=900,
    has_event_ids=False,
    settings=TenantSettings(
        positive_types=frozenset({InteractionType.CLICK, InteractionType.LIKE}),
    ),
)

DEMO_TENANTS: Final = (ACME, GLOBEX)
