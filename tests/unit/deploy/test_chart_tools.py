"""Helm and kubeconform on the chart; where they are not installed, `test_chart` holds the rest."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart import needed
from tools.chart import CHART, COMMAND, HELM, KUBERNETES, RENDERED, SCHEMAS, template, values


def manifests(text: str) -> dict[tuple[str, str], object]:
    """The manifests of a file, by kind and name."""
    found = [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]
    named = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(named) == len(found)
    return named


FILES = [pytest.param(path, id=path.stem) for path in values()]


@pytest.mark.parametrize("file", FILES)
def test_what_is_checked_in_is_what_the_chart_renders(file: Path) -> None:
    done = template(needed("helm"), "-f", file)
    assert done.returncode == 0, done.stderr
    # as manifests: other versions of Helm may order and comment them otherwise
    assert manifests(done.stdout) == manifests((RENDERED / file.name).read_text()), (
        f"stale; write it with: {COMMAND}"
    )


@pytest.mark.parametrize("file", FILES)
def test_lint_has_no_complaint(file: Path) -> None:
    done = subprocess.run(
        [needed("helm"), "lint", "--strict", "--quiet", "-f", file, CHART],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES)
def test_kubeconform_finds_nothing_invalid_and_skips_nothing(file: Path) -> None:
    place = f"{SCHEMAS}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    done = subprocess.run(
        [
            *(needed("kubeconform"), "-strict", "-summary", "-kubernetes-version", KUBERNETES),
            *("-schema-location", place, RENDERED / file.name),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


REFUSED = {
    "a misspelt name": ("service.replcas=2", "replcas"),
    "a secret among the settings": ("settings.ETA_DATABASE_URL=postgresql://x", "ETA_DATABASE_URL"),
    "credentials among the store's options": (
        "lake.storageOptions.AWS_SECRET_ACCESS_KEY=x",
        "AWS_SECRET_ACCESS_KEY",
    ),
    "a password in an address": ("openlineage.url=http://me:secret@host", "openlineage/url"),
    "an image that changes under its name": ("images.service.tag=latest", "tag"),
    "no database": ("database.existingSecret=", "database.existingSecret: name the Secret"),
    "a consumer without Kafka": ("consumer.enabled=true", "kafka.bootstrapServers: the consumer"),
    "two Sparks": ("spark.remote=sc://other:15002", "spark.remote: there is one Spark"),
    "jobs without Spark": ("spark.enabled=false", "spark.remote: the jobs need"),
    "metrics that are closed": ("monitoring.serviceMonitors=true", "metricsToken.existingSecret"),
    "an ingress without a host": (
        "service.ingress.enabled=true,service.ingress.tlsElsewhere=true",
        "service.ingress.host",
    ),
    "keys in plain text": (
        "service.ingress.enabled=true,service.ingress.host=eta.example",
        "service.ingress.tlsSecret: without a certificate",
    ),
    "every host": ("service.ingress.host=*", "service/ingress/host"),
    "a lake that ends with the pod": ("lake.uri=file:///tmp/lake", "lake/uri"),
    "clients that say who they are": ("service.trustedProxies=*", "service/trustedProxies"),
    "all networks": ("service.trustedProxies=0.0.0.0/0", "service/trustedProxies"),
    "another Spark among the settings": (
        "settings.ETA_SPARK_REMOTE=sc://other:15002",
        "ETA_SPARK_REMOTE",
    ),
    "consumers that read nothing": (
        r"consumer.enabled=true,kafka.bootstrapServers=k:9092,consumer.replicas=60",
        "consumer.replicas: more than",
    ),
    "a smallest number above the largest": (
        "consumer.autoscaling.kind=cpu,consumer.autoscaling.minimum=5,"
        "consumer.autoscaling.maximum=3",
        "consumer.autoscaling.minimum: more",
    ),
    "a heap without its memory": ("spark.heap=8g", "spark.heap: with 1.1 GB"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_wrong_values_are_refused_with_their_place(why: str) -> None:
    setting, told = REFUSED[why]
    done = template(needed("helm"), "-f", CHART / "ci" / "required.yaml", "--set", setting)
    assert done.returncode != 0
    assert told in done.stderr


def test_a_schedule_can_be_left_out() -> None:
    done = template(
        needed("helm"), "-f", CHART / "ci/required.yaml", "--set", "jobs.schedules.measure=null"
    )
    names = {one["metadata"]["name"] for one in yaml.safe_load_all(done.stdout) if one}
    assert "eta-erase" in names
    assert "eta-measure" not in names


@pytest.mark.parametrize("is_wanted", [False, True])
def test_airflow_comes_on_request_alone(tmp_path: Path, is_wanted: bool) -> None:
    """Beside a stand-in for Airflow's own chart, which is fetched from the network."""
    chart = tmp_path / "eta-airflow"
    shutil.copytree(HELM / "eta-airflow", chart)
    shutil.copytree(CHART, chart / "charts" / "eta")
    stand_in = chart / "charts" / "airflow"
    (stand_in / "templates").mkdir(parents=True)
    (stand_in / "Chart.yaml").write_text("apiVersion: v2\nname: airflow\nversion: 1.20.0\n")
    (stand_in / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: airflow}\n"
        "data: {remote: {{ (index .Values.env 6).value | quote }}}\n"
    )
    files = ["-f", chart / "with-airflow.yaml"] if is_wanted else []
    required = ["--set", "eta.database.existingSecret=eta-database"]
    done = template(needed("helm"), *files, *required, chart=chart)
    assert done.returncode == 0, done.stderr
    made = [one for one in yaml.safe_load_all(done.stdout) if one]
    maps = [one for one in made if one["kind"] == "ConfigMap"]
    assert [one["data"] for one in maps] == ([{"remote": "sc://eta-spark:15002"}] * is_wanted)
    assert any(one["kind"] == "CronJob" for one in made) is not is_wanted
    services = {one["metadata"]["name"] for one in made if one["kind"] == "Service"}
    assert "eta-spark" in services
