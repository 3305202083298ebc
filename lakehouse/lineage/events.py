"""Facts as events of OpenLineage 2-0-2, built by the project's own client.

The client's `OpenLineageClient` is not used: it adds the environment, the place of the source code
and whatever its variables ask for. What leaves this process is what `facts` holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from openlineage.client import event_v2 as events
from openlineage.client import facet_v2 as facets

from lakehouse.lineage.facts import PRODUCER, Dataset, Job, Run

INTEGRATION: Final = "ETA"


def run_events(run: Run) -> Iterator[events.RunEvent]:
    """Yield the events of a run: its start, and its end if it has ended."""
    if not run.is_begun:
        yield _event(run, events.RunState.START, run.started_at)
    if run.ended_at is not None:
        state = events.RunState.COMPLETE if run.error is None else events.RunState.FAIL
        yield _event(run, state, run.ended_at)


def _event(run: Run, state: events.RunState, moment: datetime) -> events.RunEvent:
    is_end = state is not events.RunState.START
    return events.RunEvent(
        eventType=state,
        eventTime=moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        run=events.Run(run.job.run_id, _run_facets(run, is_end=is_end)),
        job=events.Job(run.job.namespace, run.job.name, _job_facets(run.job)),
        inputs=[_input(dataset) for dataset in run.inputs],
        outputs=[_output(dataset, is_end=is_end) for dataset in run.outputs],
        producer=PRODUCER,
    )


def _run_facets(run: Run, *, is_end: bool) -> dict[str, facets.RunFacet]:
    found: dict[str, facets.RunFacet] = {}
    if run.parent is not None:
        parent = facets.parent_run
        found["parent"] = parent.ParentRunFacet(
            parent.Run(run.parent.run_id),
            parent.Job(run.parent.namespace, run.parent.name),
            producer=PRODUCER,
        )
    if run.tags:
        tags = [
            facets.tags_run.TagsRunFacetFields(key, value, INTEGRATION)
            for key, value in run.tags.items()
        ]
        found["tags"] = facets.tags_run.TagsRunFacet(tags, producer=PRODUCER)
    if run.error is not None and is_end:
        found["errorMessage"] = facets.error_message_run.ErrorMessageRunFacet(
            run.error, "PYTHON", producer=PRODUCER
        )
    return found


def _job_facets(job: Job) -> dict[str, facets.JobFacet]:
    kind = job.name.partition(".")[0].upper()
    return {
        "jobType": facets.job_type_job.JobTypeJobFacet(
            "BATCH", INTEGRATION, kind, producer=PRODUCER
        )
    }


def _input(dataset: Dataset) -> events.InputDataset:
    found: dict[str, facets.InputDatasetFacet] = {}
    if _has_counts(dataset):
        found["inputStatistics"] = (
            facets.input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                dataset.rows, dataset.size, dataset.files, producer=PRODUCER
            )
        )
    if (subset := _subset(dataset)) is not None:
        found["subset"] = facets.base_subset_dataset.InputSubsetInputDatasetFacet(
            subset, producer=PRODUCER
        )
    return events.InputDataset(
        dataset.namespace, dataset.name, found, facets=_dataset_facets(dataset)
    )


def _output(dataset: Dataset, *, is_end: bool) -> events.OutputDataset:
    found: dict[str, facets.OutputDatasetFacet] = {}
    if is_end and _has_counts(dataset):
        found["outputStatistics"] = (
            facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                dataset.rows, dataset.size, dataset.files, producer=PRODUCER
            )
        )
    if (subset := _subset(dataset)) is not None:
        found["subset"] = facets.base_subset_dataset.OutputSubsetOutputDatasetFacet(
            subset, producer=PRODUCER
        )
    return events.OutputDataset(
        dataset.namespace,
        dataset.name,
        found,
        facets=_dataset_facets(dataset, has_version=is_end),
    )


def _dataset_facets(
    dataset: Dataset, *, has_version: bool = True
) -> dict[str, facets.DatasetFacet]:
    found: dict[str, facets.DatasetFacet] = {}
    if dataset.fields:
        schema = facets.schema_dataset
        columns = [schema.SchemaDatasetFacetFields(name, kind) for name, kind in dataset.fields]
        found["schema"] = schema.SchemaDatasetFacet(columns, producer=PRODUCER)
    if dataset.uri is not None:
        found["dataSource"] = facets.datasource_dataset.DatasourceDatasetFacet(
            dataset.namespace, dataset.uri, producer=PRODUCER
        )
        links = facets.symlinks_dataset
        place = links.Identifier(*_place(dataset.uri), "LOCATION")
        found["symlinks"] = links.SymlinksDatasetFacet([place], producer=PRODUCER)
    if dataset.version is not None and has_version:
        found["version"] = facets.dataset_version_dataset.DatasetVersionDatasetFacet(
            dataset.version, producer=PRODUCER
        )
    return found


def _place(uri: str) -> tuple[str, str]:
    """Return namespace and name that OpenLineage's conventions give a folder of a store or disk."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return "file", parts.path
    return f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")


def _subset(dataset: Dataset) -> facets.base_subset_dataset.PartitionSubsetCondition | None:
    partitions = [dict(one) for one in dataset.partitions]
    if dataset.tenant_id is not None:
        partitions.append({"tenant_id": dataset.tenant_id})
    if not partitions:
        return None
    subset = facets.base_subset_dataset
    return subset.PartitionSubsetCondition([subset.Partition(one) for one in partitions])


def _has_counts(dataset: Dataset) -> bool:
    return any(count is not None for count in (dataset.rows, dataset.size, dataset.files))
