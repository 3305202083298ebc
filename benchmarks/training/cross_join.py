"""The original specification's way to negatives: users × items, less what is known, sampled.

Written as it stands there (`jobs/create_training_data.py`), so with its faults: the sample's share
has nothing to do with the number wanted, and nothing looks at time.
"""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from benchmarks.training.generator import Log

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEGATIVE_RATIO: Final = 4


def seconds_of_cross_join(session: "SparkSession", folder: Path, interactions: int) -> float:
    """Write the training data of a log of that size that way; return the seconds it took."""
    from pyspark.sql import functions as f

    source, target = folder / f"log-{interactions}", folder / f"cross-{interactions}"
    source.mkdir(parents=True, exist_ok=True)
    for number, piece in enumerate(Log(interactions).pieces()):
        piece.drop("event_time").write_parquet(source / f"{number}.parquet")
    rows = session.read.parquet(str(source))
    started = perf_counter()
    positives = (
        rows.filter(f.col("interaction_type").isin(["click", "purchase", "like"]))
        .select("user_id", "item_id")
        .withColumn("label", f.lit(1.0))
    )
    items = rows.select("item_id").distinct()
    negatives = (
        positives.select("user_id")
        .distinct()
        .crossJoin(items)
        .join(positives.select("user_id", "item_id"), on=["user_id", "item_id"], how="left_anti")
        .sample(fraction=NEGATIVE_RATIO / 100.0)
        .limit(positives.count() * NEGATIVE_RATIO)
        .withColumn("label", f.lit(0.0))
    )
    positives.union(negatives).write.parquet(str(target), mode="overwrite", partitionBy=["label"])
    return perf_counter() - started
