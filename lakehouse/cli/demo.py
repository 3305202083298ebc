"""`eta demo`: two tenants of generated data through everything."""

from lakehouse.cli.control import lake_settings
from lakehouse.cli.end_to_end import FileToSend, TenantFiles, run_end_to_end
from lakehouse.cli.output import note
from lakehouse.contracts.kinds import DataType
from lakehouse.demo.generate import generate
from lakehouse.demo.tenants import DEMO_TENANTS
from lakehouse.storage.lake import Lake
from lakehouse.training.plot import plot_training_sets
from lakehouse.training.publish import find_snapshot


def demo() -> None:
    """Generate two tenants' data and take it through the service and the models."""
    settings = lake_settings()
    lake = Lake(settings)
    note("Generating two tenants: a shop and a news site")
    tenants = []
    for tenant in DEMO_TENANTS:
        files = generate(tenant, settings.home_dir / "demo" / tenant.tenant_id)
        tenants.append(
            TenantFiles(
                tenant.tenant_id,
                (
                    FileToSend(DataType.ITEMS, files.items),
                    FileToSend(DataType.INTERACTIONS, files.interactions),
                ),
                name=tenant.name,
                settings=tenant.settings,
            )
        )

    def plot() -> None:
        manifests = [find_snapshot(lake, tenant.tenant_id, "current") for tenant in tenants]
        path = plot_training_sets(lake, manifests, settings.home_dir / "demo" / "training.png")
        note("")
        note(f"Popularity, labels and negatives, as a picture: {path}")

    run_end_to_end(settings, tenants, finish=plot)
