"""The card of an evaluation snapshot: what the rows are, by parts, and nobody's name."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from lakehouse.cli.evaluation import card, list_
from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.card.blocks import Card, Grid, Paragraph
from lakehouse.training.card.document import card_document, read_card
from lakehouse.training.card.evaluation import gather_evaluation, make_evaluation_card
from lakehouse.training.card.html import card_html
from lakehouse.training.card.kept import kept_card
from lakehouse.training.card.markdown import card_markdown
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.manifest import EvaluationManifest
from lakehouse.training.snapshots import EVALUATION_SETS
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON

USERS = tuple(f"user-{number}" for number in range(25))


def published(settings: LakeSettings, rows: list[dict[str, Any]]) -> EvaluationManifest:
    write_evaluation_tables(settings, {"acme": rows, "globex": evaluated(9, seed=5)})
    wanted = {"acme": EvaluationSettings()}
    return make_evaluations(settings, wanted, lambda _: None, lambda: NOON)[0]


def cells(made: Card) -> list[Sequence[str]]:
    grids = [b for section in made.sections for b in section.blocks if isinstance(b, Grid)]
    return [row for grid in grids for row in grid.rows]


def warnings(made: Card) -> str:
    blocks = [block for section in made.sections for block in section.blocks]
    return "\n".join(b.text for b in blocks if isinstance(b, Paragraph) and b.kind == "warning")


def test_its_figures_are_those_of_the_rows(settings: LakeSettings) -> None:
    rows = evaluated(300, users=USERS)
    manifest = published(settings, rows)
    made = make_evaluation_card(gather_evaluation(Lake(settings), manifest))
    told = cells(made)
    frame = pl.DataFrame(rows)
    known = {
        name: frame.filter(pl.col("split") == name) for name in ("train", "validation", "test")
    }
    for name, part in known.items():
        counts = (
            part.height,
            part.filter(pl.col("label") == 1).height,
            part["user_id"].n_unique(),
            part["item_id"].n_unique(),
        )
        row = next(row for row in told if row[0] == name and len(row) == 7)
        assert row[1:5] == tuple(f"{count:,}" for count in counts)
    new = known["test"].join(known["train"], on="item_id", how="anti")["item_id"].n_unique()
    assert ("test", "items", f"{known['test']['item_id'].n_unique():,}", f"{new:,}") in told
    cold = int(known["test"]["is_cold_user"].sum())
    assert ("test", "rows of a cold user", f"{cold:,}", "") in told
    assert ("Items to rank", f"{frame['item_id'].n_unique():,}") in told
    assert warnings(made) == ""
    assert read_card(card_document(made)) == made
    for text in (card_html(made), card_markdown(made), card_document(made).decode()):
        assert not any(name in text for name in (*USERS, '"i0"', ">i7<"))


def test_few_users_lost_rows_and_a_withdrawal_are_told(settings: LakeSettings) -> None:
    lake = Lake(settings)
    manifest = published(settings, evaluated(60))
    assert "Treat this card as personal data" in warnings(
        make_evaluation_card(gather_evaluation(lake, manifest))
    )
    other = manifest.model_copy(
        update={"held_out": manifest.held_out.model_copy(update={"test": 10_000})}
    )
    text = warnings(make_evaluation_card(gather_evaluation(lake, other)))
    assert "are not those its manifest names" in text
    EVALUATION_SETS.withdraw(lake, manifest, NOON)
    held = EVALUATION_SETS.read(lake, "acme", manifest.snapshot_id)
    made = make_evaluation_card(gather_evaluation(lake, held))
    assert "was withdrawn" in warnings(made)
    assert card_html(made)


def test_the_command_keeps_it_and_the_list_links_to_it(
    settings: LakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(settings)
    manifest = published(settings, evaluated(60))
    list_()
    assert "/v1/evaluation/cards/" not in capsys.readouterr().out
    card("acme")
    pages, said = capsys.readouterr()
    folder = settings.home_dir / "exports" / "acme" / f"{manifest.snapshot_id}-evaluation-card"
    assert pages.split() == [str(folder / "card.html"), str(folder / "card.md")]
    assert f"GET /v1/evaluation/cards/{manifest.snapshot_id}" in said
    kept = kept_card(lake, manifest)
    assert kept is not None
    assert (folder / "card.html").read_text() == card_html(kept)
    list_("acme")
    assert f"/v1/evaluation/cards/{manifest.snapshot_id}" in capsys.readouterr().out
    EVALUATION_SETS.withdraw(lake, manifest, NOON)
    assert kept_card(lake, manifest) is None
