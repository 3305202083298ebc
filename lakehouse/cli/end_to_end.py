"""Files → running service → models: what `eta run` and `eta demo` have in common."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import typer

from lakehouse.cli.output import note
from lakehouse.cli.prepare import end_if_refused, prepare_and_tell
from lakehouse.cli.service_process import running_service
from lakehouse.cli.summary import print_next_commands, print_overview
from lakehouse.cli.upload import show_report
from lakehouse.cli.uploading import UploadClient, UploadOptions
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.spark.session import open_local_session


@dataclass(frozen=True, slots=True)
class FileToSend:
    """A file, what its rows are and how it is read."""

    data_type: DataType
    path: Path
    options: UploadOptions = field(default_factory=UploadOptions)


@dataclass(frozen=True, slots=True)
class TenantFiles:
    """A tenant and the files to upload for it, in order; `settings` replace those it has."""

    tenant_id: str
    files: tuple[FileToSend, ...]
    name: str | None = None
    settings: TenantSettings | None = None


def run_end_to_end(
    settings: LakeSettings,
    tenants: Sequence[TenantFiles],
    *,
    finish: Callable[[], None] | None = None,
) -> None:
    """Upload each tenant's files through the real service, build, publish, show the result.

    `finish` is called after the table of results. Ends with exit code 1 when a file has wrong rows
    (nothing of that file is stored and nothing is built), or when a tenant's data did not pass the
    checks. A tenant that was added for files of which nothing was stored is taken out again.
    """
    warming = Thread(target=_warm_up, args=(settings,), daemon=True)
    warming.start()  # a JVM needs seconds, and the uploads hardly need this process
    database = ControlDatabase.open(settings.control_url)
    log = settings.home_dir / "logs" / "service.log"
    try:
        with running_service(log) as url:
            for tenant in tenants:
                with _added(database, tenant), _temporary_key(database, tenant.tenant_id) as key:
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
    with suppress(Exception):
        open_local_session(settings)


@contextmanager
def _added(database: ControlDatabase, tenant: TenantFiles) -> Iterator[None]:
    """Add a tenant, or change its settings; a new one goes again when nothing of it was stored."""
    is_new = not database.tenants.exists(tenant.tenant_id)
    if is_new:
        database.tenants.add(tenant.tenant_id, name=tenant.name, settings=tenant.settings)
    elif tenant.settings is not None:
        database.set_tenant_settings(tenant.tenant_id, tenant.settings)
    try:
        yield
    except BaseException:
        if is_new and database.tenants.remove_unused(tenant.tenant_id):
            note(f"The tenant {tenant.tenant_id} was not added.")
        raise


@contextmanager
def _temporary_key(database: ControlDatabase, tenant_id: str) -> Iterator[str]:
    new = database.keys.create(tenant_id)
    try:
        yield new.secret
    finally:
        database.keys.revoke(new.key_id)


def _upload(url: str, key: str, tenant: TenantFiles) -> None:
    client = UploadClient(url, key, tenant.tenant_id)
    for file in tenant.files:
        report = client.send(file.path, file.data_type, file.options)
        note(f"{tenant.tenant_id}, {file.data_type}")
        show_report(file.path.name, report)
        if report["status"] != "success":
            raise typer.Exit(1)
