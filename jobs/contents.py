"""What the names in a treatment stand for: the hashes of weights, data and inputs that make its identity."""

from collections.abc import Mapping
from functools import cache
from typing import assert_never

from jobs.command import inputs_digest
from sipa.errors import UsageError, WorkloadError
from sipa.plan import Contents
from sipa.spec.model import SweepSpec
from sipa.workloads import Kind, Value


def contents(spec: SweepSpec) -> Contents:
    """The resolver for a sweep; it reads each file once.

    Raises:
        UsageError: (from the resolver) unknown weights or data, or a file that cannot be read.
    """
    folder = spec.source.resolve().parent

    @cache
    def detection(weights: Value, dataset: Value) -> Mapping[str, str]:
        from jobs.detection.workload import contents as detection_contents

        return detection_contents({"weights": weights, "dataset": dataset}, folder)

    def resolve(kind: Kind, parameters: Mapping[str, Value]) -> Mapping[str, str]:
        try:
            return look_up(kind, parameters)
        except WorkloadError as error:
            raise UsageError(f"{spec.source}: {error}") from error

    def look_up(kind: Kind, parameters: Mapping[str, Value]) -> Mapping[str, str]:
        match kind:
            case Kind.DETECTION:
                return detection(parameters["weights"], parameters["dataset"])
            case Kind.COMMAND:
                found = inputs_digest(spec.workload.output, parameters, folder)
                return {} if found is None else {"inputs_sha256": found}
            case _:
                assert_never(kind)

    return resolve
