"""What the lmms-eval tasks beside this file call. Run from the folder of a run of the suite `explanation`, whose
items.jsonl is the data set, with this checkout on PYTHONPATH.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from eval.explanation.aspects import ASPECTS, Aspect, heard, score
from eval.explanation.facts import Evidence
from eval.explanation.items import truth_of
from eval.explanation.kinds import OPENING
from eval.explanation.reading import label_of
from forensic_chat.imaging.intake import take_in
from forensic_chat.schema import CLASSES

ONE_WORD = (
    "Is this image real (a camera photo that was not altered), synthetic (generated as a whole) or tampered "
    "(a photo with altered parts)? Reply with that one word."
)
Doc = dict[str, Any]


def once_each(docs: Any) -> Any:
    """The data set with one line of each image."""
    first = {image: k for k, image in reversed(list(enumerate(docs["image"])))}
    return docs.select(sorted(first.values()))


def visual(doc: Doc) -> list[Image.Image]:
    """The image, upright, RGB."""
    return [Image.fromarray(take_in(doc["image"]).pixels)]


def verdict_text(doc: Doc, kwargs: Any = None) -> str:
    return ONE_WORD


def explanation_text(doc: Doc, kwargs: Any = None) -> str:
    return OPENING


def target(doc: Doc) -> str:
    return str(doc["truth"]["label"])


def verdict_results(doc: Doc, results: Sequence[str]) -> dict[str, Doc]:
    """The label read off an answer; "unparsable" where none, or two, can be read."""
    read = {"truth": target(doc), "said": label_of(results[0]) or "unparsable"}
    return dict.fromkeys(("accuracy", "balanced_accuracy", "unparsable"), read)


def accuracy(results: Sequence[Doc]) -> float:
    return float(np.mean([r["said"] == r["truth"] for r in results]))


def balanced_accuracy(results: Sequence[Doc]) -> float:
    """Classes weigh the same; those that do not occur are left out."""
    classes = [[r for r in results if r["truth"] == label] for label in CLASSES]
    return float(np.mean([accuracy(mine) for mine in classes if mine]))


def unparsable(results: Sequence[Doc]) -> float:
    """The share of answers without a verdict: wrong, and counted here."""
    return float(np.mean([r["said"] == "unparsable" for r in results]))


def explanation_results(doc: Doc, results: Sequence[str]) -> dict[str, Doc]:
    """Specificity compares answers, so scoring waits for all of them."""
    return {name: {"doc": doc, "answer": results[0]} for name in ASPECTS}


def aspect(results: Sequence[Doc], name: Aspect) -> float:
    """0..100: the mean of one aspect over the answers."""
    said = [heard("verdict", 0, [r["answer"]], Evidence()) for r in results]
    scores = [
        score(said[k], truth_of(r["doc"]), said[k + 1 :] + said[:k]).aspects[name]
        for k, r in enumerate(results)
    ]
    return float(np.mean(scores))


def correctness(results: Sequence[Doc]) -> float:
    return aspect(results, "correctness")


def specificity(results: Sequence[Doc]) -> float:
    return aspect(results, "specificity")


def logical_consistency(results: Sequence[Doc]) -> float:
    return aspect(results, "logical_consistency")


def factual_accuracy(results: Sequence[Doc]) -> float:
    return aspect(results, "factual_accuracy")


def instruction_following(results: Sequence[Doc]) -> float:
    return aspect(results, "instruction_following")
