"""Sentences on the traces of JPEG compression."""

from forensic_chat.data.sentences.base import Phrases

JPEG: dict[str, Phrases] = {
    "jpeg.quality": Phrases(
        name="the JPEG quality",
        supports="tampered",
        suspect=(
            "The JPEG quality of {v} is unusual and points to {fake}",
            "Quantisation tables of quality {v} are suspicious here",
            "The estimated quality {v} deviates from what a camera writes",
            "A quality of {v} contradicts the rest of the file",
        ),
        clean=(
            "The JPEG quality is estimated at {v}, an ordinary figure",
            "The quantisation tables stand for quality {v}, which is unremarkable",
            "Quality {v} is usual for a shared file",
            "The JPEG was last saved at quality {v}, nothing unusual",
            "A JPEG quality of {v} is ordinary",
        ),
        empty=(
            "No JPEG quality could be read",
            "There are no JPEG tables, so no quality was estimated",
            "No quality figure is available for this file",
            "The file has no JPEG quality",
        ),
        odd=(
            "The JPEG quality is {v}; heavy compression hides fine traces",
            "At quality {v}, compression has removed part of the detail",
            "The quality of {v} limits what the other tests can see",
            "The file was compressed at quality {v}, so weak traces may be gone",
        ),
        limit=("The file was saved at JPEG quality {v}, and each save removes fine detail",),
        rule=("Cameras usually write their own quantisation tables at high quality",),
        real=("A real photo straight from a camera would usually have a high JPEG quality",),
        explain=(
            "JPEG quality is read from the tables in the file. Low quality hides traces; it is "
            "no proof of anything."
        ),
    ),
    "jpeg.double": Phrases(
        name="the double-compression test",
        supports="tampered",
        suspect=(
            "The JPEG was compressed twice, measured at {v}",
            "A double compression shows {how} in the JPEG coefficients ({v}), which points to {fake}",
            "Double compression measures {v}: the file was altered and saved again",
            "The coefficients deviate {how}, as after a second compression: {v}",
        ),
        clean=(
            "The double-compression test, which looks for an earlier save, gives {v}, which is unremarkable",
            "Double compression measures {v}, no more than the usual",
            "The JPEG coefficients are ordinary: double compression measures {v}, as in honest files",
            "Whether the JPEG was saved twice was tested; {v} is an ordinary result",
            "An earlier save leaves no more than the usual mark (double-compression figure {v})",
        ),
        empty=(
            "No double-compression test was possible",
            "There are no JPEG coefficients to test for double compression",
            "The double-compression test was not possible, and nothing suspicious was noted",
            "No double compression can be measured in this file",
        ),
        rule=(
            "A photo would be compressed once, by the camera; saving it again leaves a double pattern",
            "Files that were opened and saved again usually carry double compression",
        ),
        real=("A real photo straight from a camera would show one JPEG compression, not a double one",),
        explain=(
            "Saving a JPEG twice leaves gaps in its coefficients. It shows re-saving, and "
            "re-saving alone is harmless."
        ),
    ),
    "jpeg.ghost": Phrases(
        name="the ghost map",
        supports="tampered",
        suspect=(
            "The JPEG ghost map stands out {how}{place}, at {v}",
            "A compression ghost of {v} appears{place}, which points to {fake}",
            "The ghost map differs {how}{place} ({v}): this part was pasted with another compression history",
            "At {v}, the ghost map reveals a part{place} that was compressed differently",
            "The area{place} has a compression ghost of {v}, unusual beside its surroundings",
        ),
        clean=(
            "The JPEG ghost map, which compares how parts were compressed, measures {v}: unremarkable",
            "All parts seem to share one compression history: the ghost map measures {v}, nothing unusual",
            "A compression ghost was looked for; {v} is within the usual",
            "No part reacts to re-saving unlike the rest (ghost map {v}, an ordinary figure)",
            "The ghost map reads {v}: in line with one compression history",
        ),
        nothing=(
            "No compression ghost was found: the map measures {v}",
            "The JPEG ghost map is flat ({v}), so all parts share one compression history",
            "The ghost map is uniform, at {v}: one compression history everywhere",
        ),
        empty=(
            "No ghost map could be made",
            "The file has no JPEG history, so there is no ghost map",
            "A ghost map was not possible here, and nothing suspicious was noted",
            "There is no compression ghost to look for in this file",
        ),
        rule=(
            "One photo has one compression history, so its ghost map should be flat",
            "A part pasted from another JPEG usually keeps its old compression and shows up as a ghost",
        ),
        real=(
            "A real photo would give a flat ghost map",
            "In a real photo, the ghost map would look the same everywhere",
        ),
        explain=(
            "A ghost map re-saves the image at many qualities and marks parts that react "
            "differently: they had another compression before."
        ),
    ),
    "jpeg.grid": Phrases(
        name="the JPEG grid",
        supports="tampered",
        suspect=(
            "The JPEG grid is shifted {how}{place} ({v})",
            "At {v}, the 8x8 grid is misaligned{place}, which points to {fake}",
            "The compression grid breaks{place}: {v}, an inconsistent alignment",
            "The grid{place} differs from the rest by {v}, as after pasting",
        ),
        clean=(
            "The JPEG grid of 8x8 blocks was compared across the image and is unremarkable ({v})",
            "The 8x8 blocks line up as in honest files: the grid test measures {v}, nothing unusual",
            "The grid test, which looks for blocks that no longer line up, gives {v}: ordinary",
            "The grid of 8x8 blocks was compared region by region, with {v}, an ordinary result",
        ),
        nothing=(
            "No shift of the JPEG grid was found ({v})",
            "The 8x8 grid of the JPEG is consistent across the image, with a shift of {v}",
            "The JPEG grid is aligned everywhere ({v}), as expected",
        ),
        empty=(
            "No JPEG grid could be measured",
            "The file has no 8x8 grid to check",
            "There is no JPEG grid in this file",
            "No grid was found to compare",
        ),
        rule=(
            "A camera lays one 8x8 grid over the whole photo; a pasted part usually brings its own",
            "The grid of a real photo starts at the corner and should not shift",
        ),
        real=("A real photo would have one unbroken 8x8 grid",),
        explain=(
            "JPEG works in 8x8 blocks. Content moved from elsewhere carries blocks that no longer line up."
        ),
    ),
}
