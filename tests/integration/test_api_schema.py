"""Schemathesis over the OpenAPI: no made-up request is answered with an error of ours or in an undocumented form."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
schemathesis = pytest.importorskip("schemathesis", reason="needs the extra `dev`")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving import serving  # noqa: E402

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with serving(tmp_path_factory.mktemp("schema"), api_keys="key-a") as server:
        yield schemathesis.openapi.from_url(f"{server.address}/openapi.json")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_made_up_requests(described: Any) -> None:
    asked = []
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers={"Authorization": "Bearer key-a"})

        ask()
        asked.append(operation.label)
    assert len(asked) >= 20, asked
