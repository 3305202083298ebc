"""What runs in a cluster is closed, runs what there is, and is looked at where it answers."""

import ast
import json
import re
import tomllib
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from ingest_service.settings import ServiceSettings, StreamSettings
from lakehouse.contracts.topics import TOPICS
from lakehouse.settings import LakeSettings
from tests.conftest import PROJECT_DIR
from tests.support.chart import containers, of_kind, pod_specs, rendered
from tests.unit.documentation.examples import blocks
from tools.chart import CHART, HELM, RENDERED, SCHEMAS, values

ALL = [path.stem for path in values()]
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SPLIT: dict[str, tuple[tuple[str, ...], ...]] = {
    "prepare_training_data": (("prepare",),),
    "publish_docs": (),
}
"""DAGs that are no list of commands: one does in tasks what one command does; where the pages
of the other go is the platform's to say."""
NOT_SETTINGS = {"HOME", "DBT_TARGET"}


def _file(manifest: dict[str, Any]) -> str:
    group, _, version = manifest["apiVersion"].rpartition("/")
    parts = [manifest["kind"].lower(), group.partition(".")[0], version]
    return "-".join(part for part in parts if part) + ".json"


@cache
def _validator(file: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads((SCHEMAS / file).read_text()))


@pytest.mark.parametrize("name", ALL)
def test_every_manifest_fits_the_schema_of_its_kind(name: str) -> None:
    for one in rendered(name):
        _validator(_file(one)).validate(one)


def test_no_schema_is_kept_for_nothing() -> None:
    used = {_file(one) for name in ALL for one in rendered(name)}
    assert {path.name for path in SCHEMAS.glob("*.json")} == used


def test_each_file_of_values_is_rendered() -> None:
    assert {path.stem for path in RENDERED.iterdir()} == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_values_fit_their_schema(name: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(VALUES, schema)
    jsonschema.validate(yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text()), schema)


def _is_closed(part: Any) -> bool:
    """Whether an object of the schema refuses names that it does not know."""
    if not isinstance(part, dict):
        return True
    has_names = "properties" in part and part.get("type") == "object"
    return (not has_names or part.get("additionalProperties") is False) and all(
        map(_is_closed, part.values())
    )


def test_the_schema_of_values_refuses_unknown_names_everywhere() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert _is_closed(schema)
    assert set(VALUES) | {"global"} == set(schema["properties"])


@pytest.mark.parametrize("name", ALL)
def test_pods_have_no_rights_that_they_do_not_need(name: str) -> None:
    for owner, template in pod_specs(rendered(name)):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, owner
        assert spec["securityContext"]["runAsNonRoot"] is True, owner
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        for container in containers(template):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, owner
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), owner
            assert "memory" in resources["limits"], owner
            assert not container["image"].endswith(":latest"), owner


@pytest.mark.parametrize("name", ALL)
def test_secrets_are_named_and_never_made(name: str) -> None:
    assert of_kind(rendered(name), "Secret") == []
    for owner, template in pod_specs(rendered(name)):
        for container in containers(template):
            for variable in container.get("env", ()):
                if _is_secret(variable["name"]) and variable["name"] != "ETA_STORAGE_OPTIONS":
                    assert set(variable["valueFrom"]) == {"secretKeyRef"}, (owner, variable)


def _is_secret(name: str) -> bool:
    return bool(re.search(r"TOKEN|PASSWORD|_URL$|_KEY$|CLIENT_OPTIONS|STORAGE_OPTIONS", name)) and (
        name not in {"ETA_OPENLINEAGE_URL", "ETA_STREAM_REGISTRY_URL"}
    )


@pytest.mark.parametrize("name", ALL)
def test_settings_take_the_place_of_no_value(name: str) -> None:
    """A variable twice: the last one counts, and no check of the chart's has seen it."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = set(schema["properties"]["settings"]["propertyNames"]["not"]["enum"])
    given = set(yaml.safe_load((CHART / f"ci/{name}.yaml").read_text()).get("settings", ()))
    for _, template in pod_specs(rendered(name)):
        for container in containers(template):
            names = {variable["name"] for variable in container.get("env", ())}
            assert names - NOT_SETTINGS - given <= refused


@pytest.mark.parametrize("name", ALL)
def test_every_variable_is_a_setting(name: str) -> None:
    known = {
        f"{cls.model_config['env_prefix']}{field.upper()}"
        for cls in (LakeSettings, ServiceSettings, StreamSettings)
        for field in cls.model_fields
    }
    for _, template in pod_specs(rendered(name)):
        for container in containers(template):
            names = [variable["name"] for variable in container.get("env", ())]
            assert len(names) == len(set(names))
            assert set(names) <= known | NOT_SETTINGS


@pytest.mark.parametrize("name", ALL)
def test_every_command_is_one_of_eta(name: str) -> None:
    page = (PROJECT_DIR / "docs/reference/cli.md").read_text()  # a test holds it to the commands
    known = re.findall(r"^## (eta .*)$", page, re.MULTILINE)
    for owner, template in pod_specs(rendered(name)):
        for container in containers(template):
            arguments = container["args"]
            if arguments[0] != "eta":
                assert "test" in owner
                continue
            words = " ".join(word for word in arguments if not word.startswith("-"))
            assert any(f"{words} ".startswith(f"{path} ") for path in known), words


@pytest.mark.parametrize("name", ALL)
def test_a_process_that_stays_is_probed_for_start_traffic_and_life(name: str) -> None:
    for one in of_kind(rendered(name), "Deployment", "StatefulSet"):
        (container,) = one["spec"]["template"]["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            way = container[probe].get("httpGet") or container[probe]["tcpSocket"]
            assert way["port"] in ports


def test_a_process_is_never_ended_for_what_another_start_would_not_mend() -> None:
    (service,) = (
        one
        for one in rendered("required")
        if one["metadata"]["name"] == "eta-service" and one["kind"] == "Deployment"
    )
    (container,) = service["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    seconds = service["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert seconds > ServiceSettings().shutdown_seconds + 5


@pytest.mark.parametrize("name", ["required", "everything"])
def test_every_pod_is_under_the_policy_that_denies(name: str) -> None:
    manifests = rendered(name)
    policies = of_kind(manifests, "NetworkPolicy")
    denies = [one for one in policies if set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}]
    (deny,) = denies
    assert "ingress" not in deny["spec"]
    chosen = deny["spec"]["podSelector"]["matchLabels"]
    for owner, template in pod_specs(manifests):
        assert chosen.items() <= template["metadata"]["labels"].items(), owner
    ports = [port["port"] for rule in deny["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53]


def test_nobody_reaches_what_asks_nobody_who_they_are() -> None:
    """Spark and the pages of metrics: the jobs, and whom the values name."""
    for name, others in (("required", 0), ("everything", 1)):
        policies = {
            one["metadata"]["name"]: one["spec"]
            for one in rendered(name)
            if one["kind"] == "NetworkPolicy"
        }
        (rule,) = policies["eta-spark"]["ingress"]
        component = "app.kubernetes.io/component"
        assert rule["from"][0]["podSelector"]["matchLabels"][component] == "jobs"
        assert len(rule["from"]) == 1 + others
        assert ("eta-metrics" in policies) == bool(others)


def test_there_is_one_spark_and_never_two_pods_of_it() -> None:
    (spark,) = of_kind(rendered("required"), "StatefulSet")
    assert spark["spec"]["replicas"] == 1
    assert of_kind(rendered("airflow"), "StatefulSet") == []


def test_spark_fits_into_its_memory() -> None:
    """The heap, and the 1.1 GB that the JVM was measured to take beside it."""
    heap = int(VALUES["spark"]["heap"].removesuffix("m")) * 2**20
    limit = int(VALUES["spark"]["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    assert heap + 1.1e9 <= limit


def _of_dags() -> set[tuple[str, tuple[tuple[str, ...], ...]]]:
    """Schedule and commands, in their order, of each DAG that runs commands of `eta` alone."""
    found = set()
    for path in (PROJECT_DIR / "dags").glob("*.py"):
        calls = [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]
        schedule = None
        steps: list[tuple[int, tuple[str, ...]]] = []
        for call in calls:
            given = {word.arg: word.value for word in call.keywords}
            name = getattr(call.func, "id", "")
            if name == "DAG":
                schedule = _cron(given["schedule"])
            elif name == "EtaOperator" and path.stem not in SPLIT:
                steps.append((call.lineno, tuple(ast.literal_eval(given["arguments"]))))
        commands = SPLIT.get(path.stem, tuple(step for _, step in sorted(steps)))
        if commands:
            assert schedule is not None
            found.add((schedule, commands))
    return found


def _cron(schedule: ast.expr) -> str | None:
    """The cron expression of a schedule, by time alone or by time and assets."""
    texts = (one.value for one in ast.walk(schedule) if isinstance(one, ast.Constant))
    return next((text for text in texts if isinstance(text, str) and text.count(" ") == 4), None)


def test_cron_jobs_do_what_the_dags_do_when_they_do_it() -> None:
    jobs = VALUES["jobs"]["schedules"]
    told = {
        (one["schedule"], command)
        for one in jobs.values()
        for command in map(tuple, one["commands"])
    }
    dags = {(schedule, step) for schedule, steps in _of_dags() for step in steps}
    assert told == dags
    ordered = [steps for schedule, steps in _of_dags() if len(steps) == 3]
    assert ordered == [tuple(map(tuple, jobs["keep-tables"]["commands"]))]


def test_a_job_is_never_run_twice_at_once_and_not_beside_airflow() -> None:
    jobs = of_kind(rendered("required"), "CronJob")
    assert {one["metadata"]["name"] for one in jobs} == {
        f"eta-{name}" for name in VALUES["jobs"]["schedules"]
    }
    assert {one["spec"]["concurrencyPolicy"] for one in jobs} == {"Forbid"}
    assert {one["spec"]["timeZone"] for one in jobs} == {"Etc/UTC"}
    assert of_kind(rendered("airflow"), "CronJob") == []


def test_consumers_are_never_more_than_partitions() -> None:
    most = max(topic.partitions for topic in TOPICS)
    assert VALUES["consumer"]["autoscaling"]["maximum"] == most
    (scaled,) = of_kind(rendered("everything"), "ScaledObject")
    assert scaled["spec"]["maxReplicaCount"] == most
    told = {one["metadata"]["topic"] for one in scaled["spec"]["triggers"]}
    assert told == {f"prod-{topic.name}" for topic in TOPICS}
    assert {one["metadata"]["consumerGroup"] for one in scaled["spec"]["triggers"]} == {
        "prod-data-pipeline-consumer"
    }


def test_what_scales_a_consumer_is_the_only_one_that_says_how_many() -> None:
    for name, kind in (("everything", "ScaledObject"), ("airflow", "HorizontalPodAutoscaler")):
        (consumer,) = (
            one
            for one in of_kind(rendered(name), "Deployment")
            if one["metadata"]["name"] == "eta-consumer"
        )
        assert "replicas" not in consumer["spec"]
        assert len(of_kind(rendered(name), "ScaledObject", "HorizontalPodAutoscaler")) == 1
        assert len(of_kind(rendered(name), kind)) == 1


def test_rules_and_dashboard_are_those_of_the_project() -> None:
    manifests = rendered("everything")
    (rule,) = of_kind(manifests, "PrometheusRule")
    shipped = yaml.safe_load((PROJECT_DIR / "deploy/prometheus/rules.yml").read_text())
    assert rule["spec"] == shipped
    (dashboard,) = of_kind(manifests, "ConfigMap")
    (text,) = dashboard["data"].values()
    assert text == (PROJECT_DIR / "deploy/grafana/data_quality.json").read_text()


def test_targets_have_the_names_that_the_rules_go_by() -> None:
    manifests = rendered("everything")
    named = set(
        re.findall(
            r'job="([\w-]+)"', json.dumps(of_kind(manifests, "PrometheusRule")).replace('\\"', '"')
        )
    )
    monitors = {one["metadata"]["name"]: one for one in of_kind(manifests, "ServiceMonitor")}
    services = {one["metadata"]["name"]: one for one in of_kind(manifests, "Service")}
    assert {one["spec"]["jobLabel"] for one in monitors.values()} == {"prometheus-job"}
    scraped = {services[name]["metadata"]["labels"]["prometheus-job"] for name in monitors}
    assert named
    assert named <= scraped
    for name, monitor in monitors.items():
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= services[name]["metadata"]["labels"].items()
        ports = {port["name"] for port in services[name]["spec"]["ports"]}
        assert {end["port"] for end in monitor["spec"]["endpoints"]} <= ports


def test_budgets_let_a_node_be_drained() -> None:
    for one in of_kind(rendered("everything"), "PodDisruptionBudget"):
        assert one["spec"]["maxUnavailable"] == 1


def test_versions_are_the_projects() -> None:
    version = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["version"]
    for folder in ("eta", "eta-airflow"):
        chart = yaml.safe_load((HELM / folder / "Chart.yaml").read_text())
        assert chart["appVersion"] == version
    beside = yaml.safe_load((HELM / "eta-airflow" / "values.yaml").read_text())["airflow"]
    lock = tomllib.loads((PROJECT_DIR / "uv.lock").read_text())["package"]
    (airflow,) = {one["version"] for one in lock if one["name"] == "apache-airflow"}
    assert beside["airflowVersion"] == airflow
    assert beside["enabled"] is False


def test_the_values_that_the_guide_shows_are_values_of_the_chart() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    shown = blocks((PROJECT_DIR / "docs/kubernetes.md").read_text(), "yaml")
    assert shown
    for block in shown:
        jsonschema.validate(yaml.safe_load(block.text), schema)
