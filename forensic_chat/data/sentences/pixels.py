"""Sentences on noise, copies and the spectrum."""

from forensic_chat.data.sentences.base import Phrases

PIXELS: dict[str, Phrases] = {
    "noise.inconsistency": Phrases(
        name="the noise map",
        supports="tampered",
        suspect=(
            "The noise is inconsistent{place}, at {v}",
            "Noise strength differs {how}{place} ({v}), which points to {fake}",
            "The noise map stands out{place} with {v}",
            "At {v}, the grain{place} deviates {how} from its surroundings",
            "The noise level is abnormal{place}: {v}",
        ),
        clean=(
            "The noise ratio between parts of the image is {v}, which is unremarkable",
            "Between parts of the image the grain has a ratio of {v}, no more than usual",
            "Grain was compared region by region; the largest ratio, {v}, is ordinary",
            "The grain of the parts has a ratio of {v}, ordinary for a photo: subject and focus change it too",
            "Noise was compared across the image and is ordinary: a ratio of {v}",
        ),
        nothing=(
            "The noise is uniform (ratio {v} between parts)",
            "No noise difference was found across the image: ratio {v}",
            "The grain is consistent everywhere, at a ratio of {v} between parts",
            "The grain is even from edge to edge, a ratio of {v}, as expected",
        ),
        empty=(
            "The image is too small to compare its grain, and nothing suspicious was noted",
            "No noise ratio could be measured",
            "No grain could be compared in an image of this size",
        ),
        limit=(
            "A noise ratio of {v} does not exclude an edit whose grain was matched",
            "The noise map, with a ratio of {v}, cannot rule out a small edit",
        ),
        rule=(
            "One sensor leaves noise of one character, so it should not change from part to part",
            "Content from another source usually brings its own noise",
        ),
        real=(
            "A real photo would show noise of the same character everywhere",
            "In a real photo, the grain would change only with brightness",
        ),
        explain=(
            "Every sensor leaves fine noise. The map compares its strength across the image; a "
            "pasted or generated part usually has another."
        ),
    ),
    "copymove.matches": Phrases(
        name="the copy-move test",
        supports="tampered",
        suspect=(
            "{v} matching points show that a part{place} was duplicated",
            "The copy-move test finds {v} matches{place}, which points to {fake}",
            "A part{place} is copied within the image, with {v} matches",
            "Cloned content{place}: {v} matching points",
            "The same detail was pasted more than once{place}; the copy-move test counts {v} matches",
            "The same pixels appear a second time{place}, with {v} matching points that reveal a copy",
        ),
        clean=(
            "The copy-move test counts {v} matches, no more than repeated patterns give",
            "With {v} matching points, the copy-move test is unremarkable",
            "Copies were looked for: {v} matches, nothing suspicious",
            "The copy-move test gives {v} matches, which is ordinary",
        ),
        nothing=(
            "No part of the image appears a second time: {v} matching points",
            "The copy-move test finds nothing duplicated ({v} matches)",
            "No copied area was found ({v} matches)",
            "No part of the image is cloned: the copy-move test counts {v} matches",
            "Nothing was copied within the image ({v} matching points)",
        ),
        empty=(
            "The copy-move test was left out: in a graphic or a screenshot, repeated parts are normal",
            "Repeated parts are normal in a graphic, so the copy-move test was left out",
            "No copy-move test was made: the image looks like a graphic, where repeated parts are ordinary",
        ),
        limit=(
            "The copy-move test ({v} matches) cannot see what was pasted from another picture",
            "With {v} matches, the copy-move test does not exclude a part pasted from elsewhere",
        ),
        rule=(
            "Nature does not repeat itself to the pixel, so exact matches should not occur",
            "Two parts of a real photo are never copies of each other",
        ),
        real=("A real photo would have no two parts that match to the pixel, so no copy-move matches",),
        explain=(
            "Copy-move means that a part of the image was pasted elsewhere in it. The test "
            "counts matching details."
        ),
    ),
    "spectrum.peaks": Phrases(
        name="the spectral peak score",
        supports="synthetic",
        suspect=(
            "Regular peaks stand out {how} in the spectrum ({v})",
            "The spectrum has abnormal peaks of {v}, which points to {fake}",
            "At {v}, spectral peaks reveal upsampling by a generator",
            "Spectral peaks measure {v}, {how} above the usual",
            "The frequency spectrum gives it away: peaks of {v} at regular spacing",
        ),
        clean=(
            "Spectral peaks, which upsampling can leave, measure {v}: ordinary",
            "The highest peaks in the spectrum measure {v}, nothing unusual",
            "The spectrum is unremarkable: its peaks reach {v}",
            "Upsampling was looked for in the spectrum; peaks of {v} are nothing suspicious",
            "Peaks in the spectrum reach {v}, in line with camera photos",
        ),
        nothing=(
            "The spectrum shows no regular peaks ({v})",
            "No upsampling peaks were found in the spectrum ({v})",
        ),
        limit=(
            "Spectral peaks of {v} do not exclude a generator: its upsampling need not leave any",
            "The spectral peaks ({v}) cannot rule out a generator, since compression hides upsampling",
        ),
        rule=(
            "The spectrum of a camera photo falls off smoothly; regular peaks usually come from upsampling",
            "Generators enlarge small arrays of numbers, and this upsampling usually leaves regular peaks",
        ),
        real=(
            "A real photo would have a smooth spectrum without regular peaks",
            "In a real photo, no regular peaks would rise from the spectrum",
        ),
        explain=(
            "The spectrum shows how much fine and coarse detail there is. Generators enlarge their "
            "output step by step, which can leave regular peaks."
        ),
    ),
    "spectrum.resampling": Phrases(
        name="the resampling test",
        supports="tampered",
        suspect=(
            "Resampling stands out {how}{place} ({v})",
            "The resampling test gives {v}{place}, which points to {fake}",
            "At {v}, interpolation reveals a part{place} that was rescaled, as after pasting",
            "Periodic interpolation of {v}{place} is unusual for an untouched photo",
        ),
        clean=(
            "The resampling test, which looks for rescaled pixels, gives {v}, which is unremarkable",
            "Resampling measures {v}, nothing unusual: most honest files were rescaled once",
            "Whether the pixels were rescaled was tested; {v} is ordinary",
            "Resampling is no stronger than usual ({v})",
        ),
        nothing=("No resampling was found ({v})", "No interpolation was found between pixels ({v})"),
        rule=(
            "Rescaled pixels are sums of their neighbours, a pattern that a sensor usually does not make",
            "A part that is fitted into another picture usually needs rescaling",
        ),
        real=("A real photo at its native size would show no resampling",),
        explain=(
            "Scaling or rotating computes pixels from their neighbours. The test looks for that "
            "regular dependence."
        ),
    ),
}
