"""Sentences on what the file says of where it comes from: provenance and metadata."""

from forensic_chat.data.sentences.base import Phrases

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

METADATA: dict[str, Phrases] = {
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
            "The software tag reads {v}; mere exporting sets it too, so it counts for nothing",
            "The metadata names the software {v}, which proves no change by itself: honest photos carry it too",
            "{v} stands in the software tag; many pass through such a program unchanged, so it says little",
            "The program that saved the file is {v}; what it did is not recorded",
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
            "The thumbnail is in line with the image, apart by {v}",
            "The thumbnail is {v} away from the image, no more than usual",
            "The thumbnail was compared and is consistent with the image: {v}",
            "The small preview in the file, the thumbnail, agrees with the image: {v}",
        ),
        nothing=(
            "The embedded thumbnail agrees with the image in full ({v} apart)",
            "The thumbnail is a small version of the same picture, consistent with the image ({v} apart)",
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
}
