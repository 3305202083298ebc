"""`eta demo`: two tenants of generated data through everything."""


def demo() -> None:
    """Generate two tenants' data and take it through the service and the models."""
    from lakehouse.cli.end_to_end import TenantFiles, run_end_to_end
    from lakehouse.cli.output import note
    from lakehouse.demo.generate import generate
    from lakehouse.demo.tenants import DEMO_TENANTS
    from lakehouse.settings import LakeSettings

    settings = LakeSettings()
    note("Generating two tenants: a shop and a news site")
    tenants = []
    for tenant in DEMO_TENANTS:
        files = generate(tenant, settings.home_dir / "demo" / tenant.tenant_id)
        tenants.append(
            TenantFiles(
                tenant.tenant_id,
                files.interactions,
                files.items,
                name=tenant.name,
                settings=tenant.settings,
            )
        )
    run_end_to_end(settings, tenants)
