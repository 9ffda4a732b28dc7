"""Sentences on what the trained encoder saw."""

from forensic_chat.data.sentences.base import Phrases

ENCODER: dict[str, Phrases] = {
    "encoder.synthetic": Phrases(
        name="the score for a wholly generated image",
        supports="synthetic",
        suspect=(
            "The trained encoder scores the whole image {v} of 1 for being generated",
            "Learned traces point {how} to {fake}: the whole-image score is {v} of 1",
            "The encoder sees generator traces in the fine detail and scores them {v} of 1",
            "The whole-image score of {v} is {how} above the usual and points to {fake}",
            "The encoder finds generated detail, with a whole-image score of {v} of 1",
            "The fine detail of the whole picture looks generated to the encoder: {v} of 1",
            "With a score of {v} of 1 for a wholly generated image, the encoder sees the traces of a generator",
            "The learned score for a wholly generated image is {v} of 1, {how} above the usual",
        ),
        clean=(
            "The encoder sees no generator traces (whole-image score {v} of 1)",
            "The whole-image score is {v} of 1, in line with a camera photo",
            "The encoder finds nothing that looks generated and scores the image {v} of 1",
            "Learned traces of generation were looked for; the whole-image score of {v} is low",
            "The learned score for a wholly generated image is low: {v} of 1",
            "Nothing in the fine detail looks generated to the encoder, which scores it {v} of 1",
            "The encoder's score for a wholly generated image is only {v} of 1, which is low",
        ),
        nothing=(
            "The encoder sees no generator traces: its whole-image score rounds to {v}",
            "The learned score for a wholly generated image rounds to {v} of 1, so low that nothing speaks for it",
            "Nothing in the fine detail looks generated to the encoder, whose whole-image score rounds to {v}",
        ),
        low=(
            (
                "The learned score for a wholly generated image is {v} of 1, which is low: less than the encoder "
                "begins with before it looks"
            ),
            "The whole-image score is low, {v} of 1: the encoder begins with more before it looks",
            "What the encoder saw lowered the score for generation, to {v} of 1",
            "The score for a wholly generated image is {v} of 1, on the low side",
        ),
        odd=(
            "The learned score for a wholly generated image is {v} of 1, neither clear nor negligible",
            "The whole-image score is {v}, which alone settles nothing",
            "The encoder's score for a wholly generated image, {v} of 1, settles nothing",
            "The whole-image score of {v} leaves some doubt but does not count by itself",
        ),
        limit=(
            "A whole-image score of {v} cannot exclude a generator that the encoder has never met",
            "A whole-image score of {v} does not rule out a generator of a new kind",
            "The whole-image score, {v}, is no proof against a new generator",
        ),
        rule=(
            (
                "Cameras record light, and generators decode numbers; the decoder usually leaves learned "
                "traces in fine detail"
            ),
            (
                "Fine detail of a generated picture usually comes from a decoder, whose traces the "
                "encoder was trained to see"
            ),
        ),
        real=(
            "A real photo would carry sensor and lens traces, and its whole-image score would be low",
            "In a real photo, the encoder would see no generator traces but detail from sensor and lens",
        ),
        explain=(
            "The encoder is a trained network that scores from 0 to 1 how much the fine detail looks "
            "generated. It was tested on known images and can be wrong on new kinds."
        ),
    ),
    "encoder.tampered": Phrases(
        name="the score for a local change",
        supports="tampered",
        suspect=(
            "The trained encoder scores a local change{place} at {v} of 1",
            "Learned traces point {how} to {fake}: the local-change score is {v}",
            "The encoder sees a part{place} that was edited, at a score of {v} of 1",
            "The local-change score of {v} is {how} above the usual",
            "The encoder finds altered detail{place}, with a local-change score of {v}",
            "Traces{place} betray an edit: the local-change score is {v} of 1",
            "The learned score for a locally changed photo is {v} of 1, {how} above the usual",
            "With a local-change score of {v}, part of the photo{place} looks edited",
        ),
        clean=(
            "The encoder sees no local edit (local-change score {v} of 1)",
            "The local-change score is {v} of 1, in line with an untouched photo",
            "The encoder finds nothing that looks edited and scores a local change {v} of 1",
            "The local-change score of {v} is ordinary: no place looks edited to the encoder",
            "Learned traces of editing were looked for; a local-change score of {v} is unremarkable",
            "The learned score for a locally changed photo is low: {v} of 1",
            "No part looks edited to the encoder, whose local-change score is {v} of 1",
            "The encoder's score for a local change is only {v} of 1, which is low",
        ),
        nothing=(
            "The encoder sees no local edit: its local-change score rounds to {v}",
            "The learned score for a locally changed photo rounds to {v} of 1, so low that nothing speaks for it",
            "No part looks edited to the encoder, whose local-change score rounds to {v}",
        ),
        low=(
            (
                "The learned score for a locally changed photo is {v} of 1, which is low: less than the encoder "
                "begins with before it looks"
            ),
            "The local-change score is low, {v} of 1: the encoder begins with more before it looks",
            "What the encoder saw lowered the score for a local change, to {v} of 1",
            "The score for a local change is {v} of 1, on the low side",
        ),
        odd=(
            "The learned score for a locally changed photo is {v} of 1, neither clear nor negligible",
            "The local-change score is {v}, which alone settles nothing",
            "The encoder's score for a local change, {v} of 1, settles nothing",
            "The local-change score of {v} leaves some doubt but does not count by itself",
        ),
        limit=(
            "A local-change score of {v} cannot exclude a small edit",
            "A local-change score of {v} does not rule out a careful edit: most small ones go unseen",
            "The local-change score, {v}, does not exclude an edit: many are missed",
        ),
        rule=(
            (
                "All parts of one photo pass through one camera; the encoder was trained to see where an "
                "edit should break that"
            ),
            "An edit usually replaces the camera's traces with others, which the encoder was trained to see",
        ),
        real=(
            "A real photo would carry the same camera traces in every part and no traces of an edit",
            "In a real photo, the encoder would find no edited part from edge to edge",
        ),
        explain=(
            "The local-change score comes from a trained network that compares traces across the "
            "image, from 0 to 1. It was tested on known edits and can miss new kinds."
        ),
    ),
    "encoder.mask": Phrases(
        name="the mask",
        supports="tampered",
        suspect=(
            "The encoder's mask covers {v}% of the image as altered{place}",
            "{v}% of the image is marked{place}, which points to {fake}",
            "The mask shows an edited area{place}, {v}% of the image",
            "Marked{place}: {v}% of the pixels, where traces differ {how} from the rest",
            "The mask marks {v}% of the image{place}, where an edit stands out",
        ),
        clean=(
            "The mask covers {v}% of the image, which is unremarkable",
            "Only {v}% of the image is marked, nothing suspicious",
            "At {v}%, the mask shows no edited area",
            "No area was marked as edited: the mask covers {v}%",
        ),
        nothing=(
            "The encoder's mask is empty: no place stands out as edited",
            "The mask of changed places is empty, so no area was marked",
            "No area is marked as edited: the encoder's mask is empty",
            "The encoder looked for edited places, and no area was marked",
        ),
        odd=(
            "The mask marks {v}% of the image, too uncertain to count by itself",
            "{v}% of the image is marked, but the mask alone does not decide",
            "The mask covers {v}% of the image, a hint that settles nothing",
            "{v}% of the image is marked, too weakly for the mask to settle it",
        ),
        limit=(
            "A mask of {v}% does not exclude an edit: it misses most small ones",
            "An empty mask cannot rule out a small edit, since it misses most of them",
        ),
        rule=("All parts of a real photo come from one camera, so no part should be marked",),
        real=("A real photo would leave the mask empty",),
        explain=(
            "The mask marks pixels whose traces differ from the rest of the image. It shows "
            "where, not what was there before."
        ),
    ),
    "encoder.familiarity": Phrases(
        name="the familiarity score",
        clean=(
            "Familiarity is within the usual ({v} of 1), so the encoder's scores are usable as they are",
            "The image is as familiar as the encoder expects ({v} of 1), nothing unusual",
            "The familiarity score of {v} of 1 is unremarkable and takes nothing from the other scores",
            "With a familiarity of {v} of 1, the scores are worth what they usually are",
        ),
        low=(
            "Familiarity is {v} of 1: few known images lie farther from what the encoder learned, yet its scores count",
            "Few training images have a familiarity as small as {v} of 1, though it lets the encoder's scores count",
            "The encoder knows few images like this (familiarity {v} of 1), enough for its scores to count",
        ),
        odd=(
            "Familiarity is only {v} of 1, so the encoder's scores count for less",
            "The image is unfamiliar to the encoder ({v} of 1), and its scores deserve less trust",
            "The encoder knows few training images like this (familiarity {v} of 1)",
            "The familiarity score of {v} of 1 says that the encoder has little experience with such images",
        ),
        explain=(
            "Familiarity says how much the image resembles what the encoder was trained on. Low "
            "means that its scores deserve less trust."
        ),
    ),
    "encoder.stability": Phrases(
        name="the stability test",
        clean=(
            "The verdict is stable: as a smaller JPEG, the image's fake probability moves by {v}, a usual amount",
            "Re-delivery as a smaller JPEG moves the fake probability by {v}, which is unremarkable",
            "The scores survive re-delivery: as a smaller JPEG, the fake probability moves by {v}, as is usual",
            "Stability was tested by re-delivery; the fake probability shifts by {v}, which is normal",
            "Made smaller and re-saved, the image keeps its verdict: stability is usual, a move of {v}",
        ),
        odd=(
            "The verdict is unstable: re-delivery moves the fake probability by {v}",
            "Re-delivery as a smaller JPEG moves the fake probability by {v}, so the scores are not settled",
            "Re-delivery could change the verdict: it moves the fake probability by {v}, which is little stability",
            "After re-delivery the fake probability moves by {v}, so the verdict hangs on how the file was passed on",
        ),
        explain=(
            "The image is made smaller, saved again and scored once more. If the fake probability "
            "moves far, the verdict hangs on delivery and is worth less."
        ),
    ),
}
