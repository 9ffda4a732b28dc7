"""What every face of the product says in the same words."""

MEANINGS = {
    "real": "no sign of generation was found; local edits are often missed",
    "synthetic": "looks generated as a whole",
    "tampered": "looks like a photo with altered parts",
    "inconclusive": "what was found does not decide",
}
"""What a verdict's label means."""

UNDECIDED = (
    "This is a result, not a failure: it says that neither answer can be relied on. The file as it left the "
    "camera or the app, rather than a screenshot or a copy from a messenger, may decide it."
)

CHECKED = {True: "verified", False: "not verified", None: "not checkable"}
"""What became of a claim's check."""

MARKS = {True: "✔", False: "✘", None: "–"}

LIMITS = (
    "A verdict is a probability, not proof. It is wrong at times, in both directions, and more often on "
    "images that were resized, re-saved, screenshotted or made by means it was not measured on; "
    "MODEL_CARD.md has the error rates."
)
BASE_RATE = (
    "The probabilities assume that six of nine images are real, two synthetic and one tampered. "
    "Where fakes are rarer, a fake verdict is right less often than its number says."
)
REAL_MEANS = (
    "“Real” means that nothing was found. It does not mean that the picture shows what its caption says."
)
