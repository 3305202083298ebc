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

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from eta_examples import Batch, Ints, Task, appended, arguments, fit, newest, publish, report, told

TIMES: Final = 3
"""How often an epoch asks for each positive: a row asks for its whole history, item by item."""


class SasRec(nn.Module):
    """Histories → vectors of users; a score is the product with the vector of an item."""

    def __init__(self, items: int, length: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(items, width, padding_idx=0)
        self.places = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        block = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        for embedding in (self.items, self.places):
            nn.init.normal_(embedding.weight, std=width**-0.5)

    def forward(self, history: Tensor) -> Tensor:
        """Return a vector (rows × length × width) after each item of histories, 0 behind them."""
        length = history.shape[1]
        found = self.dropout(self.items(history) + self.places(torch.arange(length)))
        # an item sees itself and what came before it, so not what pads the list behind it
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.norm(self.blocks(found, mask=mask, is_causal=True))


def main() -> None:
    """Train, judge, and write embeddings."""
    parser = arguments(__doc__ or "", epochs=12)
    parser.add_argument("--width", type=int, default=64, help="of the vectors")
    parser.add_argument("--blocks", type=int, default=2, help="of attention")
    parser.add_argument("--dropout", type=float, default=0.2, help="share that is left out")
    parser.add_argument("--rate", type=float, default=0.002, help="of learning")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
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
        taken, count = appended(batch["history"], batch["history_length"], batch["item_id"])
        is_asked = random.random(len(count)) < TIMES / count
        taken = torch.from_numpy(taken[is_asked & (count > 1)])
        wanted = taken[:, 1:]
        is_item = wanted > 0
        if not is_item.any():
            return float(np.log(task.size("item")))
        after = model(taken[:, :-1])[is_item]
        loss = functional.cross_entropy(after @ model.items.weight.T, wanted[is_item])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.no_grad()
    def vectors(users: Ints) -> Tensor:
        model.eval()
        after = model(torch.from_numpy(history[users]))
        return after[torch.arange(len(users)), torch.from_numpy(lengths[users] - 1)]

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
