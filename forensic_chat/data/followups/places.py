"""Answers about where: regions, and parts of the picture."""

from collections.abc import Sequence
from random import Random

from forensic_chat.data.case import Case
from forensic_chat.data.followups.saying import join, leading, states
from forensic_chat.data.statements import located
from forensic_chat.schema import Finding, Region


def where(case: Case, rng: Random) -> str:
    """The regions, what drew them, and how they are to be taken."""
    if case.regions:
        lines = [located(region, case, rng) for region in case.regions[:3]]
        behind = drew(case, case.regions[0])
        shown = behind[:1] or case.of("encoder.mask")[:1]
        return join(*lines, *states(shown, case, rng), caution(case, behind, rng))
    if case.label == "synthetic":
        return join(
            "No single region: the verdict is about the image as a whole",
            *states(leading(case)[:1], case, rng),
        )
    if case.label == "tampered":
        opener = "I can't say where"
    else:
        opener = rng.choice(("There is no place to point to", "Nowhere in particular"))
    return join(opener, *states(case.of("encoder.mask")[:1], case, rng))


def drew(case: Case, region: Region) -> list[Finding]:
    """The suspicious findings that lie in a region."""
    return [finding for finding in case.against_image() if finding.region == region.id]


def caution(case: Case, behind: Sequence[Finding], rng: Random) -> str | None:
    """How a marked place is to be taken beside the verdict."""
    match case.label:
        case "inconclusive":
            return "Whether that place was changed stays open: the verdict is inconclusive"
        case "real":
            return "That a place is marked did not turn the verdict, which is real"
        case "synthetic":
            return "The verdict is about the image as a whole, so the place is a further hint only"
    if not behind:
        return "Take the place as a hint: the verdict does not rest on it alone"
    return rng.choice(("The borders are rough", "Take the place as a hint, its borders are rough", None))


def about_region(case: Case, rng: Random, region: Region) -> str:
    """One region, what drew it, and how it is to be taken."""
    behind = drew(case, region)
    return join(located(region, case, rng), *states(behind[:2], case, rng), caution(case, behind, rng))


def no_such(case: Case, name: str) -> str:
    """That there is no finding or region of that name."""
    if name[0] == "E":
        first, last = case.findings[0].id, case.findings[-1].id
        return f"There is no finding of that number; they go from {first} to {last}."
    marked = ", ".join(region.id for region in case.regions)
    return "There is no such region. " + (f"Marked: {marked}." if marked else "No region was marked.")


def placed(case: Case, rng: Random, sides: Sequence[str]) -> str:
    """What is marked in a part of the picture; things in it are not recognised."""
    opener = "I measure traces and don't recognise things, so I can only go by the place"
    if not case.regions:
        whole = "The verdict is about the image as a whole" if case.label == "synthetic" else None
        mask = states(case.of("encoder.mask")[:1], case, rng) or ["No region was marked, there or elsewhere"]
        return join(opener, *mask, whole)
    there = [region for region in case.regions if sides and lies(region, sides, case.image_size)]
    if not there:
        none = "No marked region lies there" if sides else "See whether it lies where a region is marked"
        return join(opener, none, *(located(region, case, rng) for region in case.regions[:2]))
    behind = drew(case, there[0])
    lines = [located(region, case, rng) for region in there[:2]]
    return join(opener, *lines, *states(behind[:1], case, rng), caution(case, behind, rng))


def lies(region: Region, sides: Sequence[str], image_size: tuple[int, int]) -> bool:
    """Whether the region's centre lies in the halves named; centre: in the middle half of both axes."""
    x = (region.box[0] + region.box[2]) / (2 * image_size[0])
    y = (region.box[1] + region.box[3]) / (2 * image_size[1])
    holds = {
        "left": x <= 0.5,
        "right": x >= 0.5,
        "top": y <= 0.5,
        "bottom": y >= 0.5,
        "centre": 0.25 <= x <= 0.75 and 0.25 <= y <= 0.75,
    }
    return all(holds[side] for side in sides)
