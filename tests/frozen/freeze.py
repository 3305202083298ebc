"""`python -m tests.frozen.freeze`: pack a small home as this version of eta leaves it.

Run once per layout, when a release writes it for the first time: `tests/frozen/layout-N.tar.gz`.
A packed home is never made again: it is what people have.
"""

import io
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tenant import DataType, OnError
from lakehouse.control.database import ControlDatabase
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.layout import newest_layout
from lakehouse.storage.tables import ensure_tables
from tests.support.ingesting import ingest, service
from tests.support.rows import lines

FOLDER: Final = Path(__file__).parent
TENANTS: Final = ("acme", "globex")


def rows(first: int, count: int) -> str:
    """Interactions of users and items by number, one of them bad."""
    good = [f"u{n % 3},i{n % 5},click,{1_700_000_000_000 + n}" for n in range(first, first + count)]
    return lines(*good, f"u0,i1,click,not a time {first}")


def main() -> None:
    """Make the home and pack it."""
    with TemporaryDirectory() as folder:
        home = Path(folder, "home")
        settings = LakeSettings(home=home)
        ensure_tables(Lake(settings))
        database = ControlDatabase.open(settings.control_url)
        running = service(DeltaSink(Lake(settings)), lake=settings)
        for name in TENANTS:
            database.tenants.add(name)
            ingest(running, home, rows(0, 20), f"{name}-1", OnError.QUARANTINE, tenant_id=name)
            items = b"item_id,category\ni1,shoes\ni2,hats\n"
            ingest(running, home, items, f"{name}-2", data_type=DataType.ITEMS, tenant_id=name)
        database.close()
        (home / "rows.csv").unlink()
        target = FOLDER / f"layout-{newest_layout()}.tar.gz"
        if target.exists():
            raise SystemExit(f"{target} is there: a packed home is never made again")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as archive:
            archive.add(home, "home")
        target.write_bytes(packed.getvalue())
        print(f"{target}: {len(packed.getvalue()):,} bytes")


if __name__ == "__main__":
    main()
