"""Spark Structured Streaming, Kafka to Delta: the peer. Runs until its input ends or is told to.

`python -m benchmarks.streaming.spark_peer BOOTSTRAP TOPIC FOLDER [--all]`; `--all` reads what is
there and ends, else micro-batches start every half second.
"""

import argparse
import os
from pathlib import Path

from lakehouse.settings import LakeSettings
from lakehouse.spark.runtime import prepare_environment

PACKAGE = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
SCHEMA = (
    "tenant_id string, user_id string, item_id string, interaction_type string, timestamp long, "
    "context struct<device_type: string, location: string, session_id: string>"
)


def main() -> None:
    """Stream as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming.spark_peer")
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    prepare_environment(LakeSettings(home=options.folder / "home"), os.environ)
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import col, from_json

    builder = SparkSession.builder.master("local[2]").config("spark.jars.packages", PACKAGE)
    spark = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", options.bootstrap)
        .option("subscribe", options.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    row = from_json(col("value").cast("string"), SCHEMA).alias("row")
    rows = messages.select(row, "partition", "offset").select("row.*", "partition", "offset")
    writer = rows.writeStream.format("delta").option(
        "checkpointLocation", str(options.folder / "checkpoint")
    )
    if options.all:
        writer = writer.trigger(availableNow=True)
    else:
        writer = writer.trigger(processingTime="500 milliseconds")
    query = writer.start(str(options.folder / "table"))
    (options.folder / "started").touch()
    query.awaitTermination()


if __name__ == "__main__":
    main()
