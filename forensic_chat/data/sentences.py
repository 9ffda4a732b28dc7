"""Sentences for each kind of finding, in several wordings: the vocabulary of training conversations, and of
the answers that code writes.

Fields: {v} the value as written, {how} slightly/clearly/strongly, {place} " in the upper left" or nothing,
{fake} "a generated image" or "an edited image", by what the finding supports. Every sentence passes the
checks of `mllm.verify` for a finding in the state it is meant for; a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrases:
    """Wordings for one kind of finding."""

    name: str
    """How the test is called inside a sentence."""
    supports: str = ""
    """The fake label that a remarkable result usually supports; "" for either."""
    suspect: tuple[str, ...] = ()
    """It supports a fake label."""
    clean: tuple[str, ...] = ()
    """It was checked and says nothing against the image."""
    nothing: tuple[str, ...] = ()
    """As `clean`, where the value says that there is nothing at all: 0 matches, a noise ratio of 1."""
    empty: tuple[str, ...] = ()
    """Its value is None: nothing is written there, or nothing could be measured."""
    odd: tuple[str, ...] = ()
    """It supports no label but matters: too weak to count, or it lowers what other findings are worth."""
    limit: tuple[str, ...] = ()
    """What a result that says nothing against the image does not exclude."""
    rule: tuple[str, ...] = ()
    """The rule that an artefact of this kind breaks, and why that means fake."""
    real: tuple[str, ...] = ()
    """What a real photo would look like instead."""
    explain: str = ""
    """What the test is, for "what does that mean?"."""


C2PA_STATES: dict[str, tuple[str, ...]] = {
    "absent": (
        "The file carries no Content Credentials, as most files; that says nothing either way",
        "No C2PA manifest is attached, which is common and counts for nothing",
        "Provenance was looked for and is absent, as in most files",
        "Without Content Credentials, its origin is not recorded in the file",
        "Content Credentials are absent, so nobody has signed for where the file comes from",
    ),
    "untrusted": (
        'The Content Credentials read "untrusted": the signer is not on the trust list',
        'A C2PA manifest is there, but its signer is "untrusted"',
        'Provenance is "untrusted", so the manifest proves little',
        'The manifest reads "untrusted"; it names an origin that nobody vouches for',
    ),
    "invalid": (
        'The Content Credentials are "invalid": the file no longer agrees with what was signed',
        'The C2PA manifest is "invalid", so the content was altered after signing or the signature is broken',
        'Provenance reads "invalid": the signed record contradicts the file',
        'The manifest is there but "invalid", a sign of changes after signing',
    ),
    "trusted": (
        'The Content Credentials are "trusted" and intact',
        'A "trusted" C2PA manifest is attached and the file agrees with it',
        'Provenance is "trusted": the signature is valid',
        'The manifest is valid and its signer is "trusted"',
    ),
}
C2PA_GENERATED = (
    "The {v} Content Credentials declare a generated image",
    "The {v} C2PA manifest says that the image was generated",
    "The signed manifest is {v} and names a generator as the source",
    "By its own {v} provenance record, the image is synthetic",
)

PHRASES: dict[str, Phrases] = {
    "provenance.c2pa": Phrases(
        name="the provenance record",
        empty=(
            "No readable Content Credentials were found, though the file holds some",
            "The file holds a C2PA manifest but no readable provenance",
            "The file holds Content Credentials but no readable C2PA manifest",
            "Without readable Content Credentials, its origin stays open",
        ),
        rule=(
            "Signed credentials should agree with every byte they cover",
            "A manifest that a real camera signed would still be valid after the file was passed on",
        ),
        real=("A real photo with Content Credentials would carry a valid camera signature",),
        explain=(
            "Content Credentials (C2PA) are a signed record of where a file comes from. Trusted "
            "means a known signer, untrusted an unknown one, invalid that the record no longer fits the "
            "file, absent that there is none."
        ),
    ),
    "metadata.generator": Phrases(
        name="the generator mark",
        supports="synthetic",
        suspect=(
            "The metadata names the generator {v}",
            "A generator mark is written in the file: {v}",
            "{v} stands in the metadata as the generator name, so the image was generated",
            "The generator tag reads {v}, which points to {fake}",
            "The file itself gives its origin away: its generator name is {v}",
            "By its own metadata the file was made with the generator {v}",
        ),
        clean=(
            "The generator tag holds {v}, which names no known generator",
            "The generator name {v} in the metadata is unremarkable",
            "The metadata field for a generator name reads {v}, nothing suspicious",
            "{v} in the generator tag is ordinary",
        ),
        empty=(
            "No generator name is written in the metadata",
            "The metadata holds no mark of an image generator",
            "No generator mark was found in the file",
            "The metadata holds no generator signature and no sampling parameters",
            "The file was searched for generator parameters, and there are none: no prompt, no generator name",
            "Neither a prompt nor a generator name is left in the metadata",
        ),
        limit=(
            "No generator mark is in the metadata, but such marks are easily removed",
            "That no generator name is written in the file means little: sharing it removes them",
        ),
        rule=(
            "Image generators usually write their name or prompt into the file; cameras never do",
            "Generator parameters in the metadata should not exist in a photo from a camera",
        ),
        real=("A real photo would name a camera in its metadata and no generator name",),
        explain=(
            "Many image generators leave their name, prompt or settings in the file. Finding them is "
            "strong; not finding them means little, because they are easily removed."
        ),
    ),
    "metadata.software": Phrases(
        name="the software tag",
        supports="tampered",
        suspect=(
            "The software tag names {v}, a program that points to {fake}",
            "The metadata records the software {v}, which fits {fake}",
            "{v} was the last software to save the file, a sign of {fake}",
            "According to the metadata, the file was edited with the software {v}",
        ),
        clean=(
            "The software tag reads {v}, which is ordinary",
            "The metadata names the software {v}, nothing suspicious",
            "{v} stands in the software tag; that is unremarkable",
            "The program that saved the file is {v}, a usual entry",
            "The file was last saved by the software {v}, which honest photos are too",
            "The software {v} saved the file; exporting does that as well, so it counts for nothing",
        ),
        empty=(
            "No software is named in the metadata",
            "The software tag is missing, which is common",
            "The metadata names no program",
            "No software entry was found",
        ),
        odd=(
            "The software tag reads {v}; that alone does not decide anything",
            "The metadata names the software {v}, which many harmless files do too",
            "{v} is recorded as the software, and that proves nothing by itself",
            "The program named in the file is {v}",
        ),
        limit=("The software {v} saved the file; what it did to the pixels is not recorded",),
        rule=(
            "A camera would write its own firmware as the software, not a photo program",
            "A program in the software tag usually means that pixels passed through an editor",
        ),
        real=("A real photo would carry the camera's own firmware in the software tag",),
        explain="The software tag says which program saved the file last. Harmless exports set it too.",
    ),
    "metadata.camera": Phrases(
        name="the camera name",
        supports="tampered",
        suspect=(
            "The camera model {v} does not fit the file and points to {fake}",
            "The camera tag reads {v}, a suspicious entry",
            "The EXIF camera name {v} is inconsistent with the file",
            "The camera model {v} contradicts the rest of the metadata",
        ),
        clean=(
            "The EXIF names the camera model {v}, a plausible entry",
            "The camera tag reads {v}, as expected of a camera file",
            "The metadata carries a plausible camera name, {v}",
            "{v} is recorded as the camera model, which is consistent with a photo",
            "By its EXIF the file comes from the camera {v}, as expected of a photo",
        ),
        empty=(
            "No camera model is written in the metadata",
            "The EXIF holds no camera name, which is common after sharing",
            "The camera tag is missing, which by itself says nothing",
            "No camera name was found in the metadata",
        ),
        limit=(
            "The camera name {v} can be taken over from any file, so it proves nothing by itself",
            "The camera tag {v} is easily written by hand; it is a hint and no proof",
        ),
        rule=("A camera model in the EXIF should agree with every other tag of the file",),
        real=("A real photo straight from a device would name its camera model in the EXIF",),
        explain="Cameras write make, model and exposure into the EXIF. The entry can be removed or invented.",
    ),
    "metadata.thumbnail": Phrases(
        name="the embedded thumbnail",
        supports="tampered",
        suspect=(
            "The embedded thumbnail differs {how} from the image ({v}), which points to {fake}",
            "Thumbnail and image disagree {how}: {v}",
            "The thumbnail shows another version of the picture, a difference of {v}",
            (
                "With {v}, the embedded thumbnail does not match the image: it was altered after the "
                "thumbnail was made"
            ),
        ),
        clean=(
            "The embedded thumbnail agrees with the image ({v})",
            "At {v}, the thumbnail is in line with the image",
            "Thumbnail against image gives {v}, nothing unusual",
            "The thumbnail was compared and is consistent with the image: {v}",
            "The small preview in the file, the thumbnail, agrees with the image: {v}",
        ),
        empty=(
            "No thumbnail is embedded, so none could be compared",
            "The file holds no embedded thumbnail",
            "There is no thumbnail in the metadata",
            "No embedded preview was found",
        ),
        rule=(
            "A camera derives the thumbnail from the photo itself, so the two should agree",
            (
                "Editors often leave the old thumbnail behind, so it would still show the picture before "
                "the edit"
            ),
        ),
        real=("A real photo would have a thumbnail that is a small version of the same picture",),
        explain=(
            "A thumbnail is a small preview inside the file. If it shows something else, the "
            "image was changed later."
        ),
    ),
    "metadata.dates": Phrases(
        name="the date check",
        supports="tampered",
        suspect=(
            "The recorded dates contradict each other: {v}",
            "The dates in the metadata read {v}, which is impossible for one shot",
            "A date mismatch, {v}, points to {fake}",
            "The timestamps are inconsistent ({v})",
        ),
        clean=(
            "The recorded dates agree with each other",
            "The dates in the metadata are consistent",
            "The timestamps were compared: they are consistent",
            "The date check reads {v}, nothing unusual",
            "All recorded dates fit one shot, a consistent set",
        ),
        empty=(
            "No dates are recorded in the metadata",
            "The metadata holds no timestamps to compare",
            "There are no dates in the file, which is common after sharing",
            "No date was found in the metadata",
        ),
        odd=(
            "The recorded dates do not fit each other ({v}); a wrongly set clock does that too",
            "The dates read {v}, which a wrongly set camera clock explains as well",
            "By its timestamps the file is {v}; that is odd, and no proof",
            "The date check reads {v}, which decides nothing by itself",
        ),
        rule=(
            "A camera writes all its dates within the same second, so they should not contradict each other",
        ),
        real=("A real photo would carry dates that agree and lie in the past",),
        explain=(
            "Files record when they were taken, digitised and changed. Dates that can't all be "
            "true are a warning."
        ),
    ),
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
            "The double-compression test gives {v}, which is unremarkable",
            "Double compression measures {v}, no more than the usual",
            "The JPEG coefficients are ordinary: double compression measures {v}",
            "At {v}, the double-compression test counts for nothing",
            "Whether the JPEG was saved twice was tested; {v} is an ordinary result",
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
            "The JPEG ghost map measures {v}, which is unremarkable",
            "The ghost map gives {v}, nothing unusual",
            "A compression ghost was looked for; {v} is within the usual",
            "At {v}, the ghost map counts for nothing",
            "The ghost map reads {v}: in line with one compression history",
        ),
        nothing=(
            "No compression ghost was found; the map measures {v}",
            "The JPEG ghost map is flat ({v})",
            "At {v}, the ghost map is uniform: one compression history everywhere",
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
            "The JPEG grid is unremarkable ({v})",
            "The 8x8 grid measures {v}, nothing unusual",
            "At {v}, the grid test counts for nothing",
            "The grid of 8x8 blocks was compared region by region, with {v}, an ordinary result",
        ),
        nothing=(
            "No grid shift was found: {v}",
            "At {v}, the grid is consistent across the image",
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
            "The noise map gives a ratio of {v}, nothing unusual",
            "Grain was compared region by region; the largest ratio, {v}, is ordinary",
            "At a ratio of {v}, the grain counts for nothing: subject and focus do that too",
            "Noise was compared across the image and is ordinary: {v}",
        ),
        nothing=(
            "The noise is uniform (ratio {v})",
            "No noise difference was found across the image: ratio {v}",
            "At a ratio of {v}, the grain is consistent everywhere",
            "The grain is even from edge to edge, a ratio of {v}, as expected",
        ),
        empty=(
            "The image is too small to compare its grain, and nothing suspicious was noted",
            "No noise ratio could be measured",
            "No grain could be compared in an image of this size",
        ),
        limit=(
            "A noise ratio of {v} does not exclude an edit whose grain was matched",
            "At a ratio of {v}, the noise map cannot rule out a small edit",
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
            "No part of the image is cloned; matches: {v}",
            "With {v} matching points, nothing was copied within the image",
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
            "Spectral peaks measure {v}, which is ordinary",
            "The highest spectral peaks measure {v}, nothing unusual",
            "The spectrum is unremarkable: peaks of {v}",
            "Upsampling was looked for in the spectrum; at {v} nothing is suspicious",
            "At {v}, the peaks of the spectrum count for nothing",
            "Peaks in the spectrum reach {v}, in line with camera photos",
        ),
        nothing=(
            "The spectrum shows no regular peaks ({v})",
            "At {v}, no upsampling peaks were found in the spectrum",
        ),
        limit=(
            "Spectral peaks of {v} do not exclude a generator: its upsampling need not leave any",
            "At {v}, the spectral peaks cannot rule out a generator, since compression hides upsampling",
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
            "The resampling test gives {v}, which is unremarkable",
            "Resampling measures {v}, nothing unusual",
            "At {v}, the resampling test counts for nothing",
            "Whether the pixels were rescaled was tested; {v} is ordinary",
        ),
        nothing=("No resampling was found ({v})", "At {v}, nothing suggests interpolation"),
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
    "container.trailing_bytes": Phrases(
        name="the trailing-byte count",
        supports="tampered",
        suspect=(
            "{v} trailing bytes are appended to the file, which points to {fake}",
            "The file has {v} suspicious trailing bytes",
            "After the end of the image there are {v} unusual bytes",
            "{v} bytes were inserted after the end of the image",
        ),
        clean=(
            "The file has {v} trailing bytes, which is unremarkable",
            "Trailing bytes: {v}, nothing suspicious",
            "{v} bytes after the end of the image are no reason for doubt",
            "The file ends as expected, with {v} trailing bytes",
        ),
        odd=(
            "{v} bytes follow after the end of the image, which phones and apps do too",
            "The file goes on after the end of the image, for {v} bytes that were not examined",
            "There are {v} trailing bytes in the file; they decide nothing by themselves",
            "The file carries {v} appended bytes",
        ),
        rule=("A camera file usually has no trailing bytes: it ends where the image ends",),
        real=("A real photo would usually end without trailing bytes",),
        explain=(
            "Trailing bytes come after the image in the file. Phones and apps add some too; they "
            "are not examined as content."
        ),
    ),
    "container.type_mismatch": Phrases(
        name="the file type",
        supports="tampered",
        suspect=(
            "The file type contradicts the name: {v}",
            "A file type mismatch, {v}, points to {fake}",
            "The file extension is inconsistent with the content: {v}",
            "By its content the file type is {v}, a suspicious mismatch",
        ),
        clean=(
            "The file type reads {v}, which is harmless and ordinary",
            "File type and extension: {v}, nothing suspicious",
            "The file type entry {v} is unremarkable",
            "At {v}, the file type is no reason for doubt: it is usual",
        ),
        empty=(
            "The file type agrees with the file name",
            "No file type mismatch was found",
            "File type and extension agree",
            "The extension is consistent with the file type",
        ),
        odd=(
            "By its content the file type is {v}, whatever its name says; renaming does that",
            "The file name promises another file type than {v}, which proves nothing by itself",
            "The file type is {v}, not what the extension says; converting a file does that too",
            "The extension check reads {v}, a matter of handling rather than content",
        ),
        rule=("Cameras write files whose extension agrees with the file type",),
        real=("A real photo from a camera would have the file type that its extension says",),
        explain=(
            "The bytes say what format a file is; the name may say another. It hints at "
            "conversion, not at content."
        ),
    ),
    "container.companion": Phrases(
        name="the companion data",
        clean=(
            "The companion data behind the image, {v} bytes, are announced by the file and ordinary",
            "{v} bytes of companion data follow the image, which is usual for phones",
            "The file announces {v} bytes of companion data, nothing suspicious",
            "Companion data of {v} bytes are unremarkable",
        ),
        odd=(
            "The file announces {v} bytes of companion data, as phones do",
            "{v} bytes of companion data follow the image",
            "There are {v} bytes of companion data, which the file announces",
            "The companion data behind the image take {v} bytes",
        ),
        explain="Phones add a second picture or a short video to a photo, and the file says so.",
    ),
    "container.polyglot": Phrases(
        name="the second format",
        clean=(
            "The second format, {v}, is unremarkable",
            "A second format was looked for: {v}, nothing unusual",
            "The file reads as {v} as a second format too, which is ordinary here",
            "As a second format, {v} is ordinary",
        ),
        odd=(
            "The file can also be read as a second format: {v}",
            "A second format hides in the file: {v}; don't open it as that",
            "The second format is {v}, which says nothing of the picture",
            "The file is {v} as a second format as well",
        ),
        explain="Some files can be read as two formats at once. It says nothing of the picture.",
    ),
    "test.not_run": Phrases(
        name="the list of tests that could not be run",
        clean=(
            "The {v} test could not be run on this image",
            "One test could not be run here: {v}",
            "The {v} test was not run, so it says nothing",
            "Not run on this image: the {v} test",
        ),
        explain="A test that fails on a file is left out, and the report says so.",
    ),
    "encoder.synthetic": Phrases(
        name="the score for a wholly generated image",
        supports="synthetic",
        suspect=(
            "The trained encoder scores the whole image {v} of 1 for being generated",
            "Learned traces point {how} to {fake}: the whole-image score is {v} of 1",
            "At {v}, the encoder sees generator traces in the fine detail",
            "The whole-image score of {v} is {how} above the usual and points to {fake}",
            "The encoder finds generated detail, with a whole-image score of {v}",
            "The fine detail of the whole picture looks generated to the encoder: {v} of 1",
            "With a score of {v} for a wholly generated image, the encoder sees the traces of a generator",
            "The learned score for a wholly generated image is {v} of 1, {how} above the usual",
        ),
        clean=(
            "The encoder sees no generator traces (whole-image score {v})",
            "The whole-image score is {v} of 1, in line with a camera photo",
            "At {v}, the encoder finds nothing that looks generated",
            "The whole-image score of {v} is unremarkable",
            "Learned traces of generation were looked for; the whole-image score of {v} is low",
            "The learned score for a wholly generated image is low: {v} of 1",
            "Nothing in the fine detail looks generated to the encoder, which scores it {v}",
            "The encoder's score for a wholly generated image is only {v} of 1, which is low",
        ),
        odd=(
            "The learned score for a wholly generated image is {v} of 1, neither clear nor negligible",
            "The whole-image score is {v}, too little to decide and too much to pass over",
            "The encoder's score for a wholly generated image, {v} of 1, settles nothing",
            "The whole-image score of {v} leaves some doubt but does not count by itself",
        ),
        limit=(
            "At {v}, the whole-image score cannot exclude a generator unknown to the encoder",
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
            "At {v}, the encoder sees a part{place} that was edited",
            "The local-change score of {v} is {how} above the usual",
            "The encoder finds altered detail{place}, with a local-change score of {v}",
            "Traces{place} betray an edit: the local-change score is {v} of 1",
            "The learned score for a locally changed photo is {v} of 1, {how} above the usual",
            "With a local-change score of {v}, part of the photo{place} looks edited",
        ),
        clean=(
            "The encoder sees no local edit (local-change score {v})",
            "The local-change score is {v} of 1, in line with an untouched photo",
            "At {v}, the encoder finds nothing that looks edited",
            "The local-change score of {v} is ordinary",
            "Learned traces of editing were looked for; a local-change score of {v} is unremarkable",
            "The learned score for a locally changed photo is low: {v} of 1",
            "No part looks edited to the encoder, whose local-change score is {v}",
            "The encoder's score for a local change is only {v} of 1, which is low",
        ),
        odd=(
            "The learned score for a locally changed photo is {v} of 1, neither clear nor negligible",
            "The local-change score is {v}, too little to decide and too much to pass over",
            "The encoder's score for a local change, {v} of 1, settles nothing",
            "The local-change score of {v} leaves some doubt but does not count by itself",
        ),
        limit=(
            "At {v}, the local-change score cannot exclude a small edit",
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
            "The mask is empty ({v}%): no area stands out as edited",
            "No area was marked as edited: the mask covers {v}%",
            "The mask marks {v}% of the image: no edited area was found",
            "Nothing is marked as edited; the mask covers {v}%",
        ),
        odd=(
            "The mask marks {v}% of the image, too uncertain to count by itself",
            "{v}% of the image is marked, but the mask alone does not decide",
            "The mask covers {v}% of the image, a hint that settles nothing",
            "At {v}% of the image, the mask leaves a question open",
        ),
        limit=(
            "A mask of {v}% does not exclude an edit: the mask misses most small ones",
            "That the mask marks {v}% cannot rule out a small edit",
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
            "Familiarity is {v}: the encoder knows images like this one, so its scores are usable as usual",
            "The image is as familiar as the encoder expects ({v}), nothing unusual",
            "At {v}, familiarity is ordinary",
            "The familiarity score of {v} is unremarkable",
            "With a familiarity of {v}, the scores are worth what they usually are",
        ),
        odd=(
            "Familiarity is only {v}, so the encoder's scores count for less",
            "The image is unfamiliar to the encoder ({v})",
            "At {v}, familiarity is so small that few training images look like this",
            "The familiarity score of {v} says that the encoder has little experience with such images",
        ),
        explain=(
            "Familiarity says how much the image resembles what the encoder was trained on. Low "
            "means that its scores deserve less trust."
        ),
    ),
    "encoder.stability": Phrases(
        name="the stability test",
        clean=(
            "The verdict is stable: re-delivery moves the fake probability by {v}, a usual amount",
            "Re-delivery as a smaller JPEG moves the fake probability by {v}, which is unremarkable",
            "At {v}, stability under re-delivery is ordinary",
            "Stability was tested by re-delivery; a shift of {v} is normal",
            "Made smaller and re-saved, the image keeps its verdict: stability is usual, a move of {v}",
        ),
        odd=(
            "The verdict is unstable: re-delivery moves the fake probability by {v}",
            "Re-delivery as a smaller JPEG moves the fake probability by {v}, so the scores are not settled",
            "A stability figure of {v} means that re-delivery could change the verdict",
            (
                "After re-delivery the fake probability moves by {v}, which calls for caution with "
                "stability this weak"
            ),
        ),
        explain=(
            "The image is made smaller, saved again and scored once more. If the fake probability "
            "moves far, the verdict hangs on delivery and is worth less."
        ),
    ),
}
NOTHING = {"noise.inconsistency": 1.0}
"""Kinds whose value is not 0 where there is nothing at all."""


def phrases(kind: str) -> Phrases:
    """The wordings of a kind; a kind without an entry gets generic ones from its name."""
    if kind in PHRASES:
        return PHRASES[kind]
    name = kind.replace(".", " ").replace("_", " ")
    return Phrases(
        name=f"the {name} test",
        suspect=(
            f"The {name} test gives {{v}}, which points to {{fake}}",
            f"The {name} test stands out {{how}}{{place}}, at {{v}}",
            f"At {{v}}, the {name} test is {{how}} unusual{{place}}",
            f"A suspicious {name} test: {{v}}",
        ),
        clean=(
            f"The {name} test gives {{v}}, which is unremarkable",
            f"At {{v}}, the {name} test shows nothing unusual",
            f"The {name} test was made and is ordinary: {{v}}",
            f"Nothing suspicious in the {name} test ({{v}})",
        ),
        odd=(
            f"The {name} test gives {{v}}, which decides nothing by itself",
            f"The {name} test reads {{v}}",
            f"At {{v}}, the {name} test supports no side",
            f"The value of the {name} test is {{v}}",
        ),
        rule=(f"Real photos usually give an unremarkable {name} test",),
        real=(f"A real photo would give an unremarkable {name} test",),
        explain=(
            f"The {name} test is one of the measurements made on this image; its value is listed "
            f"with the findings."
        ),
    )


FAKE: dict[str, tuple[str, ...]] = {
    "synthetic": ("a generated image", "a synthetic image", "a fully generated picture"),
    "tampered": ("an edited image", "a local edit", "tampering", "an edited picture"),
}
HOW = {"none": "slightly", "weak": "slightly", "moderate": "clearly", "strong": "strongly"}
