"""A delta of a lake in an object store is that of the same lake in a folder, vectors and all."""

from pathlib import Path

from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.delta import plan_delta, write_delta
from tests.support.s3 import lake_on_s3
from tests.support.snapshot_histories import SnapshotHistory
from tests.unit.training.test_delta_histories import tree


def test_a_delta_of_a_lake_on_s3(s3: Server, tmp_path: Path) -> None:
    history = SnapshotHistory(LakeSettings(home=tmp_path / "local"), seed=1)
    base = history.publish()
    for _ in range(12):
        history.step()
    result = history.publish()
    logs = (tmp_path / "local").rglob("_delta_log/*.json")
    assert any("deletionVector" in log.read_text() for log in logs)
    chosen = {"features": ("all",), "history": 3}
    remote = Lake(lake_on_s3(s3, tmp_path / "remote", "deltas"))
    for path in history.lake.files():
        folder, _, name = path.rpartition("/")
        content = (tmp_path / "local/lake" / path).read_bytes()
        remote.folder(folder).write(name, content)
    for lake, name in ((history.lake, "one"), (remote, "other")):
        delta = write_delta(plan_delta(lake, base, result, **chosen), tmp_path / name)
        assert min(delta.rows.model_dump().values()) > 0
    assert tree(tmp_path / "one") == tree(tmp_path / "other")
