# /// script
# requires-python = ">=3.11"
# dependencies = ["eta-data", "matplotlib>=3.9", "numpy>=2", "redis>=6", "rich>=14", "torch>=2.4"]
#
# [tool.uv.sources]
# eta-data = { path = "../packages/eta-data" }
# ///
"""SASRec: from a user's last items to the next one, by self-attention.

Kang and McAuley, "Self-Attentive Sequential Recommendation", 2018, with the loss that later work
made usual: cross-entropy over all items instead of one drawn negative.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eta_examples import Batch, Ints, Task, appended, arguments, fit, newest, publish, report, told


class SasRec(nn.Module):
    """Histories → vectors of users; a score is the product with the vector of an item."""

    def __init__(self, items: int, length: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(items, width, padding_idx=0)
        self.ages = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        block = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        for embedding in (self.items, self.ages):
            nn.init.normal_(embedding.weight, std=width**-0.5)

    def forward(self, history: Tensor, lengths: Tensor) -> Tensor:
        """Return vectors (rows × width) of histories (rows × length, the newest last, then 0)."""
        history = history[:, : int(lengths.max())]
        age = (lengths[:, None] - 1 - torch.arange(history.shape[1])).clamp(min=0)
        found = self.dropout(self.items(history) + self.ages(age))
        # an item sees itself and what came before it, so not what pads the list behind it
        mask = nn.Transformer.generate_square_subsequent_mask(history.shape[1])
        found = self.norm(self.blocks(found, mask=mask, is_causal=True))
        last: Tensor = found[torch.arange(len(lengths)), lengths - 1]
        return last


def main() -> None:
    """Train, judge, and write embeddings."""
    parser = arguments(__doc__ or "", epochs=8)
    parser.add_argument("--width", type=int, default=64, help="of the vectors")
    parser.add_argument("--blocks", type=int, default=2, help="of attention")
    parser.add_argument("--dropout", type=float, default=0.2, help="share that is left out")
    parser.add_argument("--rate", type=float, default=0.001, help="of learning")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    task = Task.open(options)
    rows = task.rows()
    # what each user had when training ended: the history of their last example, and its item
    grown = appended(rows["history"], rows["history_length"], rows["item_id"])
    history, lengths = (newest(rows["user_id"], one, task.size("user")) for one in grown)

    model = SasRec(
        task.size("item"), options.history, options.width, options.blocks, options.dropout
    )
    optimizer = torch.optim.Adam(model.parameters(), options.rate)
    best: dict[str, Tensor] = {}

    def step(batch: Batch) -> float:
        model.train()
        has_past = batch["history_length"] > 0
        if not has_past.any():
            return float(np.log(task.size("item")))
        past, count, wanted = (
            torch.from_numpy(batch[name][has_past].astype(np.int64))
            for name in ("history", "history_length", "item_id")
        )
        loss = functional.cross_entropy(model(past, count) @ model.items.weight.T, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.no_grad()
    def vectors(users: Ints) -> Tensor:
        model.eval()
        found: Tensor = model(torch.from_numpy(history[users]), torch.from_numpy(lengths[users]))
        return found

    @torch.no_grad()
    def score(users: Ints) -> np.ndarray:
        return (vectors(users) @ model.items.weight.T).numpy()

    def keep() -> None:
        best.update({name: value.clone() for name, value in model.state_dict().items()})

    curve = fit(task, step, score, keep)
    model.load_state_dict(best)
    report(task, "sasrec", curve, score)
    users = np.flatnonzero(lengths)
    publish(task, users, vectors(users).numpy(), model.items.weight.detach().numpy())


if __name__ == "__main__":
    told(main)
