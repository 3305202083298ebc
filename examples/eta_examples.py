"""What the examples share: exports, rows as numbers, the loop, rankings, vectors in Redis.

NumPy alone; torch stands in the two scripts. Users and items are numbers from 1, given by encoders;
0 is "unknown". Training may know what the evaluation snapshot leaves it: of the training set the
positives that are in its `train`, each with what was known before it. All items are ranked.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from redis import Redis
from redis.exceptions import RedisError
from rich.progress import Progress

from eta_data import DataError, Encoders, TrainingSet

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Batch = dict[str, NDArray[Any]]
Score = Callable[[Ints], NDArray[Any]]
"""Numbers of users → the score of every item for each: users × items, item 0 included."""

DEPTH: Final = 10
HISTORY: Final = 50
AT_ONCE: Final = 500
_ENCODED: Final = {
    "user": "user_id",
    "item": ["item_id", "history_item_ids"],
    "kind": "history_interaction_types",
}


def arguments(about: str, *, epochs: int) -> argparse.ArgumentParser:
    """Return the options that both examples have."""
    parser = argparse.ArgumentParser(
        description=about.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--lake", type=Path, default=Path(".eta/lake"), help="folder of the lake")
    add("--tenant", default="acme", help="whose data")
    add("--training", type=Path, help="export of the training set, if it lies elsewhere")
    add("--evaluation", type=Path, help="export of the evaluation snapshot, likewise")
    add("--out", type=Path, default=Path("example-figures"), help="folder for figures")
    add("--redis", metavar="URL", help="write embeddings of users to this Redis")
    add("--ttl-days", type=int, default=30, help="after so many days they expire")
    add("--epochs", type=int, default=epochs, help="passes over the examples")
    add("--batch", type=int, default=512, help="positives in a batch")
    add("--history", type=int, default=30, help=f"items of a user's past, at most {HISTORY}")
    add("--seed", type=int, default=1, help="of the order and of the weights")
    return parser


def find_export(options: argparse.Namespace, kind: str) -> Path:
    """Return the folder of the tenant's current snapshot; `kind` is training or evaluation.

    Raises `DataError` with the command that makes what is missing.
    """
    given: Path | None = getattr(options, kind)
    if given is not None:
        return given
    tenant, is_training = options.tenant, kind == "training"
    current = options.lake / f"{kind}_sets" / tenant / "current.json"
    if not current.is_file():
        make = "prepare" if is_training else f"evaluation make --tenant {tenant}"
        raise DataError(
            f"{options.lake} has no {kind} snapshot of {tenant}",
            remedy=f"make one with `uv run eta {make}`, or name another --lake or --tenant",
        )
    suffix = f"parquet-all-history-{HISTORY}" if is_training else "evaluation-parquet"
    name = f"{json.loads(current.read_bytes())['snapshot_id']}-{suffix}"
    folder: Path = options.lake.parent / "exports" / tenant / name
    if not folder.is_dir():
        command = f"export --tenant {tenant} --features all --history {HISTORY}"
        if not is_training:
            command = f"evaluation export --tenant {tenant}"
        raise DataError(
            f"the current {kind} snapshot of {tenant} was not exported to {folder}",
            remedy=f"`uv run eta {command}`, or name an export with --{kind}",
        )
    return folder


@dataclass(frozen=True, slots=True)
class Pairs:
    """Positives by the numbers of their users and items."""

    users: Ints
    items: Ints

    def have(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of the given pairs are among these."""
        return np.isin(_as_one(users, items), _as_one(self.users, self.items))


@dataclass(frozen=True, slots=True)
class Task:
    """What a model learns from, and what it is judged by."""

    options: argparse.Namespace
    folders: tuple[Path, Path]
    data: TrainingSet
    encoders: Encoders
    kinds: Ints
    """Numbers of the interaction types that make a positive."""
    train: Pairs
    validation: Pairs
    test: Pairs

    @classmethod
    def open(cls, options: argparse.Namespace, encoded: Mapping[str, str] | None = None) -> "Task":
        """Open both exports; `encoded` are columns to be encoded beside users and items."""
        folders = find_export(options, "training"), find_export(options, "evaluation")
        data = TrainingSet.open(folders[0], options.tenant)
        if "history_item_ids" not in data.schema.names:
            raise DataError(
                f"{folders[0]} has no histories",
                remedy=f"`uv run eta export --features all --history {HISTORY} --tenant TENANT`",
            )
        # drawn negatives are not needed, so their files are not read
        data = data.where("label", 1.0)
        encoders = Encoders.fit(data, {**_ENCODED, **(encoded or {})})
        types = json.loads((folders[0] / "manifest.json").read_bytes())["parameters"]
        kinds = encoders["kind"].codes(pa.array(types["positive_types"], pa.string()))
        parts = [
            positives(TrainingSet.open(folders[1], options.tenant, split=split), encoders)
            for split in ("train", "validation", "test")
        ]
        return cls(options, folders, data, encoders, np.asarray(kinds), *parts)

    def size(self, name: str) -> int:
        """Return how many numbers an encoder gives, 0 included."""
        return self.encoders[name].size

    def batches(self, epoch: int, columns: Sequence[str] = ()) -> Iterator[Batch]:
        """Yield the examples of an epoch, in an order of its own."""
        schema = self.data.schema
        loader = self.data.numpy(
            self.options.batch,
            seed=self.options.seed,
            columns=[*_COLUMNS, *columns],
            encoders=self.encoders,
            lengths={"history_item_ids": HISTORY, _KINDS: HISTORY},
            fill={name: 0 for name in columns if pa.types.is_integer(schema.field(name).type)},
            remainder="keep",
        )
        loader.set_epoch(epoch)
        return examples(loader, self.train, self.kinds, self.options.history)

    def rows(self, columns: Sequence[str] = ()) -> Batch:
        """Return all examples as one batch, in order of time."""
        rows = joined(self.batches(0, columns))
        order = np.lexsort((rows["item_id"], rows["user_id"], rows["event_time"]))
        return {name: column[order] for name, column in rows.items()}


_KINDS: Final = "history_interaction_types"
_COLUMNS: Final = ("user_id", "item_id", "event_time", "history_item_ids", _KINDS)


def positives(data: TrainingSet, encoders: Encoders) -> Pairs:
    """Read the positives of one part of an evaluation snapshot, which may have none."""
    columns = ["user_id", "item_id", "label"]
    given = encoders.for_other_data()
    loader = data.numpy(65_536, columns=columns, encoders=given, remainder="keep")
    rows = joined(loader) if len(data) else dict.fromkeys(columns, np.zeros(0))
    users, items = (rows[name][rows["label"] == 1].astype(np.int64) for name in columns[:2])
    return Pairs(users, items)


def joined(batches: Iterable[Batch]) -> Batch:
    """Return all rows of some batches as one."""
    held = list(batches)
    if not held:
        raise DataError(
            "no positive of the training set is in train of the evaluation snapshot",
            remedy="make both of the same data: `eta prepare`, then `eta evaluation make`",
        )
    return {name: np.concatenate([batch[name] for batch in held]) for name in held[0]}


def examples(batches: Iterable[Batch], train: Pairs, kinds: Ints, length: int) -> Iterator[Batch]:
    """Yield those positives that training may know, with the last ones before as `history`.

    Other interactions of the history are left out: a view of the wanted item just before it would
    be all that a model learns to look at. 0 stands behind a history of less than `length`.
    """
    for batch in batches:
        keep = train.have(batch["user_id"], batch["item_id"])
        rows = {name: column[keep] for name, column in batch.items() if "history" not in name}
        is_kind = np.isin(batch[_KINDS][keep], kinds[kinds > 0])
        history, lengths = compacted(batch["history_item_ids"][keep], is_kind, length)
        if keep.any():
            yield rows | {"history": history, "history_length": lengths}


def compacted(values: NDArray[Any], keep: NDArray[np.bool_], length: int) -> tuple[Ints, Ints]:
    """Return the last `length` kept values of each row, in their order, and how many they are."""
    keep = keep & (keep[:, ::-1].cumsum(axis=1)[:, ::-1] <= length)
    order = np.argsort(~keep, axis=1, kind="stable")[:, :length]
    found = np.take_along_axis(np.where(keep, values, 0), order, axis=1)
    return found.astype(np.int64), keep.sum(axis=1)


def appended(history: Ints, lengths: Ints, items: Ints) -> tuple[Ints, Ints]:
    """Return histories with one more item each, and lengths; the oldest of a full one goes."""
    width = history.shape[1]
    grown = np.where((lengths == width)[:, None], np.roll(history, -1, axis=1), history)
    places = np.minimum(lengths, width - 1)
    grown[np.arange(len(items)), places] = items
    return grown, places + 1


def newest(keys: NDArray[Any], values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return for each number up to `count` the value of its last row, 0 for one without a row."""
    found = np.zeros((count, *values.shape[1:]), values.dtype)
    found[keys] = values  # of several rows of one key the last stays
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """Means over the users who have both training rows and something held out."""

    hr: float
    """Share of them with a held-out item among the first `DEPTH`."""
    ndcg: float
    """Discounted gain of their held-out items there, of the best that is possible."""
    users: int


def judge(score: Score, wanted: Pairs, *had: Pairs, at_once: int = 1024) -> Judged:
    """Rank all items, less those that the users had, and look for what they wanted next.

    `had` begins with train, whose users are asked. An item without a number is never found.
    """
    users = np.intersect1d(wanted.users, had[0].users)
    users = users[users > 0]
    if not users.size:
        raise DataError(
            "nobody has both training rows and positives held out",
            remedy="divide in another way: `eta evaluation make --train-share`, `--method`",
        )
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    hits, gains = [], []
    for start in range(0, users.size, at_once):
        chosen = users[start : start + at_once]
        scores = score(chosen).astype(np.float64)
        scores[:, 0] = -np.inf
        for pairs in had:
            is_chosen = np.isin(pairs.users, chosen)
            rows = np.searchsorted(chosen, pairs.users[is_chosen])
            scores[rows, pairs.items[is_chosen]] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
        found = wanted.have(np.repeat(chosen, best.shape[1]), best.ravel()).reshape(best.shape)
        found &= np.isfinite(np.take_along_axis(scores, best, axis=1))
        counts = np.bincount(wanted.users, minlength=chosen[-1] + 1)[chosen].clip(max=DEPTH)
        hits.append(found.any(axis=1))
        gains.append(
            (found * discounts[: best.shape[1]]).sum(axis=1) / discounts.cumsum()[counts - 1]
        )
    return Judged(
        float(np.concatenate(hits).mean()), float(np.concatenate(gains).mean()), users.size
    )


def popularity(task: Task) -> Score:
    """Score every item by its positives in train, for everybody alike."""
    counts = np.bincount(task.train.items, minlength=task.size("item"))
    return lambda users: np.tile(counts, (users.size, 1))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One point of the curve."""

    loss: float
    hr: float
    ndcg: float


def fit(
    task: Task,
    step: Callable[[Batch], float],
    score: Score,
    keep: Callable[[], None],
    columns: Sequence[str] = (),
) -> list[Epoch]:
    """Take a step per batch and judge each epoch on validation; `keep` is called at the best."""
    curve: list[Epoch] = []
    with Progress() as progress:
        bar = progress.add_task("training", total=task.options.epochs)
        for epoch in range(task.options.epochs):
            losses = [
                (step(batch), len(batch["user_id"])) for batch in task.batches(epoch, columns)
            ]
            values, rows = zip(*losses, strict=True)
            loss = float(np.average(values, weights=rows))
            if not np.isfinite(loss):
                raise DataError("the loss is no number any more", remedy="give a lower --rate")
            judged = judge(score, task.validation, task.train)
            curve.append(Epoch(loss, judged.hr, judged.ndcg))
            if judged.ndcg == max(one.ndcg for one in curve):
                keep()
            about = f"epoch {epoch + 1}: loss {loss:.3f}, validation HR@10 {judged.hr:.3f}"
            progress.update(bar, advance=1, description=about)
    return curve


def report(task: Task, name: str, curve: Sequence[Epoch], score: Score) -> None:
    """Judge on the test, beside popularity; write figures and the curve, and say them."""
    had = task.train, task.validation
    found = {
        "popularity": judge(popularity(task), task.test, *had),
        name: judge(score, task.test, *had),
    }
    out = task.options.out
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "tenant": task.options.tenant,
        "seed": task.options.seed,
        "training": task.data.snapshot,
        "best_epoch": 1 + int(np.argmax([one.ndcg for one in curve])),
        "test": {of: asdict(judged) for of, judged in found.items()},
        "curve": [asdict(one) for one in curve],
    }
    file = out / f"{name}-{task.options.tenant}.json"
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    plot(
        file.with_suffix(".png"), name, curve, judge(popularity(task), task.validation, task.train)
    )
    for of, judged in found.items():
        print(f"{of:12} HR@10 {judged.hr:.4f}  NDCG@10 {judged.ndcg:.4f}  {judged.users:,} users")
    print(f"figures: {file}")


def plot(path: Path, name: str, curve: Sequence[Epoch], popular: Judged) -> None:
    """Write the training curve (PNG): the loss, and HR@10 on validation beside popularity."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(curve) + 1)
    left.plot(epochs, [one.loss for one in curve], color="#8d6a9f", marker="o", markersize=3)
    left.set_title(f"{name}: loss")
    right.plot(epochs, [one.hr for one in curve], color="#2a6f97", marker="o", markersize=3)
    right.axhline(popular.hr, color="#333333", linestyle="--", linewidth=1, label="popularity")
    right.set_title("HR@10 on validation, all items ranked")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def publish(task: Task, users: Ints, vectors: NDArray[Any], items: NDArray[Any]) -> None:
    """Write the vectors of items beside the figures, and those of users to Redis if asked to."""
    if not (np.isfinite(vectors).all() and np.isfinite(items).all()):
        raise DataError("the model has vectors that are not finite", remedy="give a lower --rate")
    file = task.options.out / f"items-{task.options.tenant}.parquet"
    columns = {"item_id": task.encoders["item"].values, "vector": list(items[1:].astype("<f4"))}
    pq.write_table(pa.table(columns), file)
    if task.options.redis is not None:
        ids = task.encoders["user"].decode(pa.array(users)).to_pylist()
        count = write_embeddings(
            task.options.redis,
            task.options.tenant,
            ids,
            vectors,
            task.folders,
            task.options.ttl_days,
        )
        print(f"{count:,} embeddings under {task.options.tenant}:embedding:USER; items: {file}")


def write_embeddings(
    url: str,
    tenant: str,
    users: Sequence[str],
    vectors: NDArray[Any],
    sources: Sequence[Path],
    ttl_days: int,
) -> int:
    """Replace a tenant's embeddings in Redis, and return how many there are.

    `{tenant}:embedding:{user}` holds little-endian float32 numbers, which `eta privacy export`
    reads and an erasure deletes. Who is not among `users` any more loses their key, and all keys
    expire. `sources` are the exports that were trained on: an erasure deletes them, so when one is
    gone by the time all is written, nothing that was learnt from it stays.
    """
    prefix = f"{tenant}:embedding:"
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    values = {
        f"{prefix}{user}".encode(): row.tobytes() for user, row in zip(users, rows, strict=True)
    }
    names = list(values)
    try:
        with Redis.from_url(url, socket_timeout=30) as redis:
            for start in range(0, len(names), AT_ONCE):
                pipeline = redis.pipeline(transaction=False)
                for name in names[start : start + AT_ONCE]:
                    pipeline.set(name, values[name], ex=ttl_days * 86_400)
                pipeline.execute()
            is_whole = all((source / "manifest.json").is_file() for source in sources)
            for name in set(redis.scan_iter(f"{prefix}*", count=AT_ONCE)):
                if not is_whole or name not in values:
                    redis.unlink(name)
    except (RedisError, ValueError) as error:
        raise DataError(
            f"the Redis of --redis does not answer ({type(error).__name__})",
            remedy="start one (`redis-server`), or leave --redis out",
        ) from error
    if not is_whole:
        raise DataError(
            "an export went away during the training, as an erasure does; its embeddings, too",
            remedy="export the current snapshots and train again",
        )
    return len(names)


def told(main: Callable[[], object]) -> None:
    """Run a program; what its user can do something about ends it in two lines."""
    try:
        main()
    except DataError as error:
        sys.exit(f"error: {error}")


def _as_one(users: NDArray[Any], items: NDArray[Any]) -> Ints:
    return users.astype(np.int64) << 32 | items.astype(np.int64)
