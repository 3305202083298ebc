"""Files → running service → models: what `eta run` and `eta demo` have in common."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import typer

from lakehouse.cli.output import note
from lakehouse.cli.prepare import end_if_refused, prepare_and_tell
from lakehouse.cli.service_process import running_service
from lakehouse.cli.several_files import upload_several
from lakehouse.cli.summary import print_next_commands, print_overview
from lakehouse.cli.upload import show_report
from lakehouse.cli.uploading import UploadClient, UploadOptions
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings


@dataclass(frozen=True, slots=True)
class TenantFiles:
    """A tenant and the files to upload for it; `settings` replace those it has."""

    tenant_id: str
    interactions: Sequence[Path]
    items: Sequence[Path] = ()
    name: str | None = None
    settings: TenantSettings | None = None
    mapping: str | None = None


def run_end_to_end(
    settings: LakeSettings,
    tenants: Sequence[TenantFiles],
    *,
    finish: Callable[[], None] | None = None,
) -> None:
    """Upload each tenant's files through the real service, build, publish, show the result.

    The catalogue goes first. `finish` is called after the table of results. Ends with exit code 1
    when a file has wrong rows (nothing of that file is stored and nothing is built), or when a
    tenant's data did not pass the checks.
    """
    warming = Thread(target=_warm_up, args=(settings,), daemon=True)
    warming.start()  # a JVM needs seconds, and the uploads hardly need this process
    database = ControlDatabase.open(settings.control_url)
    log = settings.home_dir / "logs" / "service.log"
    try:
        with running_service(log) as url:
            for tenant in tenants:
                _add_tenant(database, tenant)
                with _temporary_key(database, tenant.tenant_id) as key:
                    _upload(url, key, tenant)
    finally:
        database.close()
    warming.join()
    note("Building the models")
    published = prepare_and_tell(settings)
    print_overview(settings, [tenant.tenant_id for tenant in tenants])
    end_if_refused(published)
    if finish is not None:
        finish()
    print_next_commands(settings, tenants[0].tenant_id)


def _warm_up(settings: LakeSettings) -> None:
    """Start Spark early; what goes wrong here goes wrong again, and is told, when it is needed."""
    from lakehouse.spark.session import open_local_session

    with suppress(Exception):
        open_local_session(settings)


def _add_tenant(database: ControlDatabase, tenant: TenantFiles) -> None:
    if not database.tenants.exists(tenant.tenant_id):
        database.tenants.add(tenant.tenant_id, name=tenant.name, settings=tenant.settings)
    elif tenant.settings is not None:
        database.set_tenant_settings(tenant.tenant_id, tenant.settings)


@contextmanager
def _temporary_key(database: ControlDatabase, tenant_id: str) -> Iterator[str]:
    new = database.keys.create(tenant_id)
    try:
        yield new.secret
    finally:
        database.keys.revoke(new.key_id)


def _upload(url: str, key: str, tenant: TenantFiles) -> None:
    sent = [(DataType.INTERACTIONS, tenant.interactions, tenant.mapping)]
    if tenant.items:
        sent.insert(0, (DataType.ITEMS, tenant.items, None))
    client = UploadClient(url, key, tenant.tenant_id)
    for data_type, (file, *others), mapping in sent:
        note(f"{tenant.tenant_id}, {data_type}")
        options = UploadOptions(mapping)
        if others:
            if not upload_several(client, [file, *others], data_type, options, show_report):
                raise typer.Exit(1)
            continue
        report = client.send(file, data_type, options)
        show_report(file.name, report)
        if report["status"] != "success":
            raise typer.Exit(1)
