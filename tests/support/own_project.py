"""A dbt project as an analytics engineer has it: the macros of this one, and nodes of their own."""

import shutil
from pathlib import Path

from tests.conftest import PROJECT_DIR

SERVER = """
    # this process's session as a server: dbt tells it of the lake, as it does one by Thrift
    server:
      {type: spark, method: session, host: localhost, schema: default, threads: 2}
"""

SNAPSHOT = """\
{% snapshot prices %}
{{ config(strategy='check', check_cols=['price'], unique_key="concat(tenant_id, '/', item_id)") }}
select tenant_id, item_id, price
from {{ source('raw', 'items') }}
qualify row_number() over (partition by tenant_id, item_id order by known_at desc) = 1
{% endsnapshot %}
"""

MODELS = {
    "marts/replaced.sql": """\
{{ config(materialized='table', schema='marts') }}
select tenant_id, count(*) as n from {{ source('raw', 'items') }} group by tenant_id
""",
    "marts/appended.sql": """\
{{ config(materialized='incremental', incremental_strategy='append', schema='marts') }}
select tenant_id, item_id, known_at from {{ source('raw', 'items') }}
{% if is_incremental() %} where known_at > (select max(known_at) from {{ this }}) {% endif %}
""",
    "marts/merged.sql": """\
{{ config(
    materialized='incremental', incremental_strategy='merge', unique_key=['tenant_id', 'item_id'],
    schema='marts'
) }}
select tenant_id, item_id, max(known_at) as seen_at from {{ source('raw', 'items') }}
{% if is_incremental() %} where known_at > (select max(seen_at) from {{ this }}) {% endif %}
group by tenant_id, item_id
""",
    "nowhere.sql": """\
{{ config(materialized='incremental', incremental_strategy='append') }}
select r.code, {{ 'true' if is_incremental() else 'false' }} as came_later
from {{ ref('regions') }} as r
""",
}


def make_project(folder: Path) -> Path:
    """Write the project and return its folder; its sources are those of the lake."""
    folder.mkdir(parents=True)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT_DIR / name, folder)
    with (folder / "profiles.yml").open("a") as profiles:
        profiles.write(SERVER)
    (folder / "macros").symlink_to(PROJECT_DIR / "macros")
    sources = "models/staging/_staging__sources.yml"
    texts = {
        sources: (PROJECT_DIR / "dbt_project" / sources).read_text(),
        "seeds/regions.csv": "code\nnorth\nsouth\n",
        "snapshots/prices.sql": SNAPSHOT,
        **{f"models/{path}": text for path, text in MODELS.items()},
    }
    for path, text in texts.items():
        target = folder / "dbt_project" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder
