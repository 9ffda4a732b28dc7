"""Figures of the server in Prometheus' text format; they tell no content and no owner."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    def __init__(self) -> None:
        self._all = CollectorRegistry()
        ProcessCollector(registry=self._all)
        self._requests = Counter(
            "forensic_chat_requests", "Requests answered", ["method", "route", "status"], registry=self._all
        )
        self._seconds = Histogram(
            "forensic_chat_request_seconds",
            "Seconds until a request was answered to its end",
            ["route"],
            buckets=_SECONDS,
            registry=self._all,
        )

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """route: its template; None for paths that are none of ours."""
        self._requests.labels(method if route else "other", route or "other", status).inc()
        self._seconds.labels(route or "other").observe(seconds)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A figure that is read when it is asked for."""
        Gauge(f"forensic_chat_{name}", what, registry=self._all).set_function(value)

    def text(self) -> bytes:
        return generate_latest(self._all)
