"""Sentences on second looks that a question asked for: into a part, and at another delivery.

They say what was measured and accuse nobody: the verdict was calibrated on whole images as they came.
"""

from forensic_chat.data.sentences.base import Phrases

SECOND_LOOK: dict[str, Phrases] = {
    "zoom.synthetic": Phrases(
        name="the cut-out's score for generation",
        clean=(
            "Seen by itself, the cut-out gets {v} of 1 for generation",
            "The encoder gives the cut-out alone {v} of 1 for generation",
            "The cut-out by itself is scored {v} of 1 for generation",
            "Alone, the cut-out reaches {v} of 1 for generation",
        ),
        explain=(
            "A part was cut out at its full size and scored like an image of its own. A part is less than the "
            "whole, so the verdict does not rest on it."
        ),
    ),
    "zoom.tampered": Phrases(
        name="the cut-out's score for a local change",
        clean=(
            "Seen by itself, the cut-out gets {v} of 1 for a local change",
            "The encoder gives the cut-out alone {v} of 1 for a local change",
            "The cut-out by itself is scored {v} of 1 for a local change",
            "Alone, the cut-out reaches {v} of 1 for a local change",
        ),
        explain=(
            "A part was cut out at its full size and scored like an image of its own. If all of it was pasted in, "
            "nothing beside it is left to compare it with."
        ),
    ),
    "zoom.mask": Phrases(
        name="the mask inside the cut-out",
        clean=(
            "Read at this size, the mask marks {v}% of the cut-out",
            "{v}% of the cut-out is marked at this size",
            "Inside the cut-out, {v}% of the pixels are marked",
            "At full size, the mask covers {v}% of the cut-out",
        ),
        explain=(
            "The mask was made again on the part alone, at its full size. It can show finer places than the mask of "
            "the whole image, which is read at a smaller size."
        ),
    ),
    "redelivery.rough": Phrases(
        name="re-delivery as a rough JPEG",
        clean=(
            "Re-delivered as a rough JPEG, its fake probability moves by {v} and stays on its side of the middle",
            "Re-delivery as a rough JPEG moves the fake probability by {v}, not across the middle",
            "Rough compression was tried: re-delivery moves the fake probability by {v}, which turns nothing",
            "A rough JPEG of the same size moves the fake probability by {v}, on the same side of the middle",
        ),
        odd=(
            "Re-delivered as a rough JPEG, its fake probability moves by {v}, across the middle",
            "Re-delivery as a rough JPEG moves the fake probability by {v} and would turn the verdict",
            "Rough compression was tried: re-delivery moves the fake probability by {v} and turns it",
            "A rough JPEG of the same size moves the fake probability by {v}, to the other side of the middle",
        ),
        explain="The image was saved again as a JPEG of low quality and scored once more.",
    ),
    "redelivery.half": Phrases(
        name="re-delivery at half the size",
        clean=(
            "Re-delivered at half the size, its fake probability moves by {v} and stays on its side of the middle",
            "Re-delivery at half the size moves the fake probability by {v}, not across the middle",
            "Half the size was tried: re-delivery moves the fake probability by {v}, which turns nothing",
            "At half the size, the fake probability moves by {v}, on the same side of the middle",
        ),
        odd=(
            "Re-delivered at half the size, its fake probability moves by {v}, across the middle",
            "Re-delivery at half the size moves the fake probability by {v} and would turn the verdict",
            "Half the size was tried: re-delivery moves the fake probability by {v} and turns it",
            "At half the size, the fake probability moves by {v}, to the other side of the middle",
        ),
        explain="The image was made half as wide and high, saved as a JPEG and scored once more.",
    ),
}
