"""What a classifier reaches that never sees a pixel: the figure to read beside every other one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

Shape = tuple[int, int, str]
"""Width and height in pixels, and the file's format."""
FEWEST_SOURCES = 4
"""Of each class: with fewer, a source left out is too often the only one of its kind."""
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")


def size_format(
    shapes: Sequence[Shape], positive: Sequence[bool], sources: Sequence[str], seed: int
) -> dict[str, Any]:
    """`auc`: of a random forest on width, height, aspect and format, predicted for whole sources left out
    (up to five folds); None where a class has fewer than four sources. `note`: says which."""
    y, names = np.asarray(positive, bool), np.asarray(sources)
    counts = [len(set(names[side].tolist())) for side in (~y, y)]
    of = f"{counts[0]} sources of real and {counts[1]} of fake images"
    if min(counts) < FEWEST_SOURCES:
        return {"auc": None, "note": f"too few sources: {of}; {FEWEST_SOURCES} of each are needed"}
    folds = StratifiedGroupKFold(min(5, *counts), shuffle=True, random_state=seed)
    x = np.array([features(shape) for shape in shapes])
    guessed = np.zeros(len(y))
    for train, test in folds.split(x, y, names):
        forest = RandomForestClassifier(
            100, min_samples_leaf=3, class_weight="balanced", random_state=seed
        ).fit(x[train], y[train])
        guessed[test] = forest.predict_proba(x[test]) @ forest.classes_
    return {"auc": float(roc_auc_score(y, guessed)), "note": f"over {of}"}


def features(shape: Shape) -> list[float]:
    width, height, kind = shape
    return [
        np.log(width),
        np.log(height),
        np.log(width / height),
        width % 64 == 0 and height % 64 == 0,
        width % 8 == 0 and height % 8 == 0,
        *(kind == name for name in FORMATS),
    ]
