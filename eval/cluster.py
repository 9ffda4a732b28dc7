"""Shards as tasks of Ray (extra `ray`): on the cluster of RAY_ADDRESS, else as processes of this machine.

All machines see the data and OUT under the same paths, and run the same checkout. Ray trusts everyone who reaches
its ports: keep a cluster in a network of its own.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from eval.bars import Step
from forensic_chat.errors import ForensicChatError, UsageError

STORE_BYTES = 80 * 2**20
"""Ray's least: nothing but a shard's options goes through its memory."""


def run(tasks: Sequence[Callable[[], None]], on_step: Step) -> None:
    """Run every task once, a CPU core each. Raises UsageError without a Ray that runs; and what a task raised, when the
    others that run have been stopped."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError:
        raise UsageError('Ray is not installed; pip install "forensic-chat[ray]", or use --shard') from None
    local = {"address": "local", "num_cpus": len(tasks), "object_store_memory": STORE_BYTES}
    where: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else local | {"include_dashboard": False}
    try:
        ray.init(**where, configure_logging=False, log_to_driver=False)
    except Exception as error:  # bare ones, where its processes don't come up
        ray.shutdown()
        raise UsageError(
            f"Ray can't be reached or started ({error!s:.120}); look at RAY_ADDRESS and the machine's load, or use "
            "--shard"
        ) from error
    try:
        start = ray.remote(num_cpus=1, max_retries=0)(_call)
        running = [start.remote(task) for task in tasks]
        done = 0
        while running:
            ready, running = ray.wait(running)
            ray.get(ready)
            done += len(ready)
            on_step(done, len(tasks))
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, ForensicChatError) else error from None
    finally:
        ray.shutdown()


def _call(task: Callable[[], None]) -> None:
    task()
