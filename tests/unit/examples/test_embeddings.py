"""Embeddings in Redis are where a person's export and an erasure look for them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from eta_data import DataError
from eta_examples import write_embeddings
from lakehouse.privacy.export_embedding import read_embedding
from lakehouse.privacy.redis_keys import delete_keys
from lakehouse.settings import LakeSettings
from tests.support.redis_server import running_redis

VECTORS = np.random.default_rng(1).normal(size=(3, 64))
USERS = ["u1", "ü:2", "u*"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    Redis.from_url(server).flushall()
    return server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text("{}")
    return tmp_path


def test_an_export_of_a_person_reads_the_vector(url: str, source: Path) -> None:
    assert write_embeddings(url, "acme", USERS, VECTORS, [source], ttl_days=2) == 3
    settings = LakeSettings(redis_url=url)
    for user, vector in zip(USERS, VECTORS, strict=True):
        found = read_embedding(settings, "acme", user)
        assert found.format == "float32"
        assert np.array_equal(np.float32(found.value), vector.astype(np.float32))
        assert 86_400 < Redis.from_url(url).ttl(f"acme:embedding:{user}") <= 2 * 86_400
    assert delete_keys(url, "acme", ["u1"]) == 1
    assert read_embedding(settings, "acme", "u1").format == "none"


def test_who_is_in_the_training_no_more_has_no_vector_and_others_keep_theirs(
    url: str, source: Path
) -> None:
    redis = Redis.from_url(url)
    theirs = {b"acme-2:embedding:u1", b"acme:other:u1", b"acm:embedding:u1"}
    for key in theirs:
        redis.set(key, b"1")
    write_embeddings(url, "acme", USERS, VECTORS, [source], ttl_days=1)
    write_embeddings(url, "acme", ["u1"], VECTORS[:1], [source], ttl_days=1)
    assert set(redis.keys()) == theirs | {b"acme:embedding:u1"}


def test_nothing_stays_of_an_export_that_an_erasure_deleted_meanwhile(
    url: str, source: Path
) -> None:
    (source / "manifest.json").unlink()
    with pytest.raises(DataError, match="went away"):
        write_embeddings(url, "acme", USERS, VECTORS, [source], ttl_days=1)
    assert Redis.from_url(url).keys() == []


def test_a_redis_that_is_away_is_told(source: Path, tmp_path: Path) -> None:
    for address in (f"unix://{tmp_path}/none.sock", "no address"):
        with pytest.raises(DataError, match="does not answer"):
            write_embeddings(address, "acme", USERS, VECTORS, [source], ttl_days=1)
