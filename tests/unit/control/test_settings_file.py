"""Settings files: what is wrong is named by its path, never by its value."""

import json
from pathlib import Path

import pytest
import yaml

from lakehouse.contracts.tenant import DataType, InteractionType, TenantSettings
from lakehouse.control.settings_file import read_settings
from lakehouse.control.tenants import settings_document
from lakehouse.errors import EtaError


@pytest.mark.parametrize("suffix", ["yml", "json"])
def test_yaml_and_json_are_read(tmp_path: Path, suffix: str) -> None:
    document = {"positive_types": ["like"], "sources": {"shop": {"delimiter": ";"}}}
    path = tmp_path / f"settings.{suffix}"
    path.write_text(json.dumps(document) if suffix == "json" else yaml.safe_dump(document))
    settings = read_settings(path)
    assert settings.positive_types == frozenset({InteractionType.LIKE})
    assert settings.mapping("shop", DataType.INTERACTIONS).delimiter == ";"


def test_an_empty_file_means_every_default(tmp_path: Path) -> None:
    path = tmp_path / "empty.yml"
    path.write_text("")
    assert read_settings(path) == TenantSettings()


def test_what_show_prints_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "shown.yml"
    path.write_text(yaml.safe_dump(settings_document(TenantSettings())))
    assert read_settings(path) == TenantSettings()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("time_range: {start: hush}", "time_range.start", id="a wrong value"),
        pytest.param("sources: {a: {colums: {}}}", "sources.a.colums", id="a mistyped name"),
        pytest.param("positive_types: [hush]", "positive_types", id="a wrong element"),
        pytest.param("[hush]", "the whole file", id="not a mapping"),
        pytest.param("a: [hush", "line 1", id="broken syntax"),
    ],
)
def test_the_place_of_an_error_is_named(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(text)
    with pytest.raises(EtaError) as raised:
        read_settings(path)
    assert place in raised.value.message
    assert str(path) in raised.value.message
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "seed: 1\nnegatives_per_positive: 2\nseed: 2\n",
            "seed twice in one place, again on line 3",
        ),
        ('{"seed": 1, "seed": 2}', "seed twice"),
        ("sources:\n  a:\n    columns: {user_id: x, user_id: y}\n", "user_id twice .* line 3"),
    ],
)
def test_a_name_stands_once_in_its_place(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(EtaError, match=name):
        read_settings(path)


@pytest.mark.parametrize(
    "text",
    [
        "positive_types: [like, view]\nnegative_types: [view]\n",
        "positive_types: [like, dislike]\n",
        "negative_types: [purchase]\n",
    ],
)
def test_a_type_is_not_positive_and_negative(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(EtaError, match=r"(view|dislike|purchase) would be positive and negative"):
        read_settings(path)
    path.write_text("positive_types: [dislike]\nnegative_types: []\n")
    assert read_settings(path).negative_types == frozenset()


def test_a_mapping_of_messages_says_nothing_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text("sources: {kafka: {data_types: {items: {comment: '#', skip_lines: 2}}}}")
    with pytest.raises(EtaError, match=r"sources.kafka: .*comment, skip_lines"):
        read_settings(path)


def test_many_errors_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text("\n".join(f"wrong_{n}: 1" for n in range(9)))
    with pytest.raises(EtaError, match="and 4 more"):
        read_settings(path)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(EtaError, match="cannot be read"):
        read_settings(tmp_path / "nothing.yml")


def test_a_file_of_other_bytes_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(EtaError, match="UTF-8"):
        read_settings(path)
