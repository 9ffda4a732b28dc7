"""Sentences on how the file is built, and on tests that could not be run."""

from forensic_chat.data.sentences.base import Phrases

CONTAINER: dict[str, Phrases] = {
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
}
