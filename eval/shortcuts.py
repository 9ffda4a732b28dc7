"""What a classifier reaches that never sees a pixel: the figure to read beside every AUC."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eval.rows import Row


def size_format_auc(
    rows: Sequence[Row], positive: Sequence[bool], groups: Sequence[str], seed: int
) -> float | None:
    """AUC of a logistic regression on bytes, bits per pixel, sides, squareness and format, predicted for
    groups left out (up to five folds); None when a class has fewer than four groups."""
    y = np.asarray(positive, bool)
    names = np.asarray(groups)
    fewest = min(len(set(names[y])), len(set(names[~y])))
    if fewest < 4:
        return None
    folds = StratifiedGroupKFold(min(5, fewest), shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    x = np.array([features(row) for row in rows])
    guessed = cross_val_predict(model, x, y, groups=names, cv=folds, method="decision_function")
    return float(roc_auc_score(y, guessed))


def features(row: Row) -> list[float]:
    width, height = row.width, row.height
    return [
        np.log(row.bytes),
        np.log(8 * row.bytes / (width * height)),
        np.log(max(width, height)),
        np.log(min(width, height)),
        width == height,
        width % 64 == 0 and height % 64 == 0,
        width % 8 == 0,
        row.format == "PNG",
        row.format == "WEBP",
    ]
