"""Sends made interactions to a topic at a rate: `python -m benchmarks.streaming.sender`."""

import argparse
import time
from typing import Any

from ingest_service.stream.producer import InteractionProducer

TENANT = "acme"
START_MS = 1_700_000_000_000


def event(number: int) -> dict[str, Any]:
    """Return the n-th interaction; no two are alike."""
    return {
        "user_id": f"user-{number % 9_973}",
        "item_id": f"item-{number % 1_009}",
        "interaction_type": ("view", "click", "like", "purchase")[number % 4],
        "timestamp": START_MS + number,
        "context": {"device_type": "mobile", "session_id": f"s{number // 20}"},
    }


def send(bootstrap: str, prefix: str, count: int, rate: float | None = None) -> None:
    """Send so many, as fast as it goes or at `rate` per second."""
    with InteractionProducer(bootstrap, topic_prefix=prefix) as producer:
        began = time.monotonic()
        for number in range(count):
            producer.send(TENANT, event(number))
            if rate and number % 50 == 0:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))


def main() -> None:
    """Send as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming.sender")
    parser.add_argument("bootstrap")
    parser.add_argument("prefix")
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float)
    options = parser.parse_args()
    send(options.bootstrap, options.prefix, options.count, options.rate)


if __name__ == "__main__":
    main()
