# /// script
# requires-python = ">=3.11"
# dependencies = ["eta-data", "matplotlib>=3.9", "numpy>=2", "redis>=6", "rich>=14", "torch>=2.4"]
#
# [tool.uv.sources]
# eta-data = { path = "../packages/eta-data" }
# ///
"""Two towers: a user's features and history on one side, an item's features on the other.

Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", 2019:
the other items of a batch are the negatives, and each item's share in training corrects for how
often it stands there.
"""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional

from eta_examples import Batch, Ints, Task, appended, arguments, fit, newest, publish, report, told

CATEGORY = "item_category"


class Tower(nn.Module):
    """Vectors of length 1 of what is known of some users, or of some items."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, 2 * width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(2 * width, width)
        )

    def forward(self, *known: Tensor) -> Tensor:
        """Return rows × width."""
        return functional.normalize(self.layers(torch.cat(known, dim=1)), dim=1)


class TwoTowers(nn.Module):
    """Both towers; the embeddings of items are those of histories, too."""

    def __init__(self, task: Task, user_numbers: int, item_numbers: int, width: int) -> None:
        super().__init__()
        self.user_ids = nn.Embedding(task.size("user"), width, padding_idx=0)
        self.item_ids = nn.Embedding(task.size("item"), width, padding_idx=0)
        self.categories = nn.Embedding(task.size("category"), width, padding_idx=0)
        for embedding in (self.user_ids, self.item_ids, self.categories):
            nn.init.normal_(embedding.weight, std=width**-0.5)
        self.user_tower = Tower(2 * width + user_numbers, width)
        self.item_tower = Tower(2 * width + item_numbers, width)

    def users(self, users: Tensor, history: Tensor, numbers: Tensor) -> Tensor:
        """Return vectors of users, by their id, the mean of their history, and numbers."""
        lengths = (history > 0).sum(dim=1, keepdim=True).clamp(min=1)
        past = self.item_ids(history).sum(dim=1) / lengths.sqrt()
        found: Tensor = self.user_tower(self.user_ids(users), past, numbers)
        return found

    def items(self, items: Tensor, categories: Tensor, numbers: Tensor) -> Tensor:
        """Return vectors of items, by their id, category and numbers."""
        found: Tensor = self.item_tower(self.item_ids(items), self.categories(categories), numbers)
        return found


class Numbers:
    """Features that are numbers, on a scale of about -1 to 1; what is missing becomes the mean."""

    def __init__(self, task: Task, prefix: str) -> None:
        self.names = [
            field.name
            for field in task.data.schema
            if field.name.startswith(prefix) and _is_number(field.type)
        ]

    def fit(self, rows: Batch) -> "Numbers":
        """Take mean and deviation from the examples."""
        values = self._logarithms(rows)
        is_known = ~np.isnan(values)
        known = is_known.sum(axis=0).clip(min=1)  # a feature may have no value at all
        self.mean = np.where(is_known, values, 0).sum(axis=0) / known
        squares = np.where(is_known, (values - self.mean) ** 2, 0)
        self.deviation = np.sqrt(squares.sum(axis=0) / known) + 1e-6
        return self

    def __call__(self, rows: Batch) -> np.ndarray:
        """Return rows × numbers, float32."""
        scaled = (self._logarithms(rows) - self.mean) / self.deviation
        return np.nan_to_num(scaled.clip(-5, 5)).astype(np.float32)

    def _logarithms(self, rows: Batch) -> np.ndarray:
        values = [rows[name].astype(np.float64) for name in self.names]
        raw = np.stack(values, axis=1) if values else np.zeros((len(rows["user_id"]), 0))
        return np.sign(raw) * np.log1p(np.abs(raw))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def main() -> None:
    """Train, judge, and write embeddings."""
    parser = arguments(__doc__ or "", epochs=10)
    parser.add_argument("--width", type=int, default=64, help="of the vectors")
    parser.add_argument("--temperature", type=float, default=0.1, help="of the softmax")
    parser.add_argument("--rate", type=float, default=0.001, help="of learning")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    task = Task.open(options, {"category": CATEGORY})
    of_users, of_items = Numbers(task, "user_"), Numbers(task, "item_")
    columns = [CATEGORY, *of_users.names, *of_items.names]
    rows = task.rows(columns)
    of_users.fit(rows)
    of_items.fit(rows)

    # users and items as training knew them last
    user, item, sizes = rows["user_id"], rows["item_id"], (task.size("user"), task.size("item"))
    grown, _ = appended(rows["history"], rows["history_length"], item)
    history = torch.from_numpy(newest(user, grown, sizes[0]))
    user_numbers = torch.from_numpy(newest(user, of_users(rows), sizes[0]))
    item_numbers = torch.from_numpy(newest(item, of_items(rows), sizes[1]))
    categories = torch.from_numpy(newest(item, rows[CATEGORY].astype(np.int64), sizes[1]))
    shares = torch.from_numpy(np.bincount(item, minlength=sizes[1]) / item.size).float()

    model = TwoTowers(task, len(of_users.names), len(of_items.names), options.width)
    optimizer = torch.optim.Adam(model.parameters(), options.rate, weight_decay=1e-6)
    best: dict[str, Tensor] = {}

    def step(batch: Batch) -> float:
        model.train()
        users, items, past, kinds = (
            torch.from_numpy(batch[name].astype(np.int64))
            for name in ("user_id", "item_id", "history", CATEGORY)
        )
        left = model.users(users, past, torch.from_numpy(of_users(batch)))
        right = model.items(items, kinds, torch.from_numpy(of_items(batch)))
        logits = left @ right.T / options.temperature - shares[items].log()
        # an item that stands twice in the batch is no negative of itself
        is_same = (items[:, None] == items[None, :]) & ~torch.eye(len(items), dtype=torch.bool)
        loss = functional.cross_entropy(
            logits.masked_fill(is_same, -torch.inf), torch.arange(len(items))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.no_grad()
    def user_vectors(users: Ints) -> Tensor:
        model.eval()
        found: Tensor = model.users(torch.from_numpy(users), history[users], user_numbers[users])
        return found

    @torch.no_grad()
    def item_vectors() -> Tensor:
        model.eval()
        found: Tensor = model.items(torch.arange(sizes[1]), categories, item_numbers)
        return found

    def score(users: Ints) -> np.ndarray:
        return (user_vectors(users) @ item_vectors().T).numpy()

    def keep() -> None:
        best.update({name: value.clone() for name, value in model.state_dict().items()})

    curve = fit(task, step, score, keep, columns)
    model.load_state_dict(best)
    report(task, "two_tower", curve, score)
    users = np.unique(user)
    publish(task, users, user_vectors(users).numpy(), item_vectors().numpy())


if __name__ == "__main__":
    told(main)
