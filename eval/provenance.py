"""What made the figures of a run: options, data, models, code, machine; kept beside them in results.json."""

import hashlib
import json
import platform
import subprocess
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.examples import Example
from eval.files import write_json

UNSTATED = ("out", "shard", "ray")
"""Options on which no figure depends."""
LIBRARIES = ("forensic-chat", "numpy", "opencv-python-headless", "pillow", "scipy", "scikit-learn", "torch",
              "onnxruntime", "transformers")  # fmt: skip


def provenance(
    options: Namespace, examples: Sequence[Example], models: dict[str, str], maker: str, threshold: float
) -> dict[str, Any]:
    """What made the figures: options, versions, hashes."""
    digest = hashlib.sha256()
    for e in sorted(examples, key=lambda e: e.id):
        parts = [e.path.read_bytes(), e.mask.read_bytes() if e.mask else b""]
        digest.update(
            "\0".join([e.id, e.label, *(hashlib.sha256(part).hexdigest() for part in parts)]).encode()
        )
    return {
        "options": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(options).items()
            if name not in UNSTATED
        },
        "data": {
            "sha256": digest.hexdigest(),
            "images": dict(Counter(e.label for e in examples)),
            "forged": sum(e.forged and e.label == "tampered" for e in examples),
            "of_sources_in_training": sum(e.in_training for e in examples),
        },
        "models": models,
        "models_and_code": maker,
        "mask_threshold": threshold,
        "commit": commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "machine": f"{platform.system()} {platform.machine()}",
    }


def commit() -> str | None:
    """Of the checkout; "+" when files differ from it."""
    try:
        words = [
            "git",
            "-C",
            str(Path(__file__).parent),
            "describe",
            "--always",
            "--dirty=+",
            "--abbrev=40",
            "--exclude=*",
        ]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def headline(about: dict[str, Any]) -> str:
    """In one line, or two where images are of sources that training knows."""
    data = about["data"]
    images = ", ".join(f"{count} {label}" for label, count in data["images"].items())
    made = f"models and code {about['models_and_code'][:12]}, commit {about['commit']}"
    line = f"{images}; data {data['sha256'][:12]}, {made}"
    if shared := data["of_sources_in_training"]:
        line += f"\n{shared} are of sources that the split `train` has too: unseen sources come out worse"
    return line


def keep(path: Path, suite: str, result: dict[str, Any]) -> None:
    """Put one suite's result into `path`; those of other suites stay."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    write_json(path, known | {suite: result})
