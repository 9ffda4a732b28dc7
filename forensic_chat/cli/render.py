"""An examination as a report for the terminal.

Every text goes through `plain` into a `Text`, so neither rich's markup nor the terminal can be steered by it.
"""

from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from forensic_chat.cli.plain import plain
from forensic_chat.schema import CLASSES, Claim, Examination, Finding, Region
from forensic_chat.wording import CHECKED, LIMITS, MARKS, MEANINGS

WIDTH = 100
STYLES = {"real": "green", "synthetic": "magenta", "tampered": "red", "inconclusive": "yellow"}


def console(stream: TextIO) -> Console:
    """A console on `stream`: colours only on a terminal, at most WIDTH columns, nothing interpreted."""
    made = Console(file=stream, highlight=False, markup=False, emoji=False)
    made.width = min(made.width, WIDTH) if made.is_terminal else WIDTH
    return made


def report(examination: Examination, on: Console) -> None:
    """Print everything the examination says."""
    verdict(examination, on)
    _section(on, "Where", _where(examination))
    if examination.rationale:
        _section(on, "Why", claims(examination.rationale.claims, on))
    findings(examination.findings, on)
    if examination.warnings:
        _section(on, "Warnings", *(Text(plain(warning), "yellow") for warning in examination.warnings))
    _section(on, "Time", Text(_timings(examination.timings), "dim"))
    on.print()
    on.print(Text(LIMITS, "italic"))


def verdict(examination: Examination, on: Console) -> None:
    """Print the image's line, the verdict with its probabilities, and what is known of its provenance."""
    image, said = examination.image, examination.verdict
    on.print(
        Text.assemble(
            (plain(image.name), "bold"),
            f"  {image.format} {image.width} x {image.height}  ",
            (f"sha256 {image.sha256[:16]}", "dim"),
        )
    )
    head = Text.assemble(
        (said.label.upper(), f"bold {STYLES[said.label]}"), f" - {said.confidence}: {MEANINGS[said.label]}"
    )
    reasons = [Text(f"- {plain(reason)}") for reason in said.reasons]
    on.print(
        Panel(Group(head, *reasons, Text(), _bars(examination, on)), title="Verdict", title_align="left")
    )
    for finding in examination.findings:
        if finding.kind.startswith("provenance."):
            on.print(
                Text.assemble(("Provenance  ", "bold"), plain(finding.summary), (f"  {finding.id}", "dim"))
            )


def claims(stated: list[Claim], on: Console) -> RenderableType:
    """Each claim with its check mark, the findings it cites, and how it was checked."""
    marks = {True: "v", False: "x", None: "-"} if _ascii(on) else MARKS
    styles = {True: "green", False: "red", None: "dim"}
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    for claim in stated:
        word, style = CHECKED[claim.verified], styles[claim.verified]
        cited = ", ".join([*claim.findings, *([claim.region] if claim.region else [])])
        table.add_row(
            Text(marks[claim.verified], f"bold {style}"),
            Text.assemble(
                plain(claim.text),
                (f"  [{plain(cited)}]" if cited else "", "cyan"),
                (f"\n{word}: {plain(claim.check)}", style if claim.verified is False else "dim"),
            ),
        )
    return table


def findings(found: list[Finding], on: Console) -> None:
    """Print the findings grouped by what they support, the unremarkable ones last and dimmed."""
    for supports in ("synthetic", "tampered", "real"):
        group = sorted((f for f in found if f.supports == supports), key=lambda f: -f.strength)
        if group:
            _section(on, f"Points to {supports}", _table(group, on, STYLES[supports]))
    rest = [finding for finding in found if finding.supports == "neutral"]
    if rest:
        _section(on, "Checked, and points to neither", _table(rest, on, "dim"))


def _table(group: list[Finding], on: Console, style: str) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("what was looked at", no_wrap=True)
    table.add_column("found", ratio=1)
    table.add_column("strength", no_wrap=True)
    table.add_column("false alarms", no_wrap=True, justify="right")
    dim = "dim" if style == "dim" else ""
    for finding in group:
        where = f" [{finding.region}]" if finding.region else ""
        table.add_row(
            Text(finding.id, style),
            Text(plain(finding.kind), dim),
            Text(plain(finding.summary) + where, dim),
            Text(_bar(finding.strength, 10, on), style),
            Text(f"<= {finding.false_alarm_rate:.1%}", "dim"),
        )
    return table


def _where(examination: Examination) -> RenderableType:
    lines = [_region(region) for region in examination.regions] or [Text("no region stands out")]
    mask = examination.mask
    if mask and mask.png:
        # a path; base64 is never printed
        inline = mask.png.startswith("iVBOR")
        where = "written with --mask FILE" if inline else plain(mask.png)
        lines.append(Text(f"mask: {where}  (white = suspected; reliability {mask.reliability:.0%})", "dim"))
    return Group(*lines)


def _region(region: Region) -> Text:
    x0, y0, x1, y1 = region.box
    return Text.assemble(
        (region.id, "bold"),
        f"  {x1 - x0} x {y1 - y0} px at ({x0}, {y0})..({x1}, {y1})",
        f", {region.area:.1%} of the image, score {region.score:.2f}",
    )


def _bars(examination: Examination, on: Console) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for name in CLASSES:
        share = getattr(examination.verdict.probabilities, name)
        table.add_row(name, Text(_bar(share, 50, on), STYLES[name]), f"{share:6.1%}")
    fake = (
        f"fake (synthetic + tampered): {examination.verdict.fake_probability:.1%}; 50% is the operating point"
    )
    return Group(table, Text(fake, "dim"))


def _bar(share: float, width: int, on: Console) -> str:
    full, empty = ("#", ".") if _ascii(on) else ("█", "░")
    filled = round(share * width)
    return full * filled + empty * (width - filled)


def _ascii(on: Console) -> bool:
    return not on.encoding.lower().startswith("utf")


def _timings(timings: dict[str, float]) -> str:
    stages = [f"{plain(name)} {seconds:.2f}" for name, seconds in timings.items() if name != "total"]
    return f"{timings.get('total', sum(timings.values())):.2f} s: {', '.join(stages)}"


def _section(on: Console, title: str, *body: RenderableType) -> None:
    on.print()
    on.print(Text(title, "bold"))
    for part in body:
        on.print(Padding(part, (0, 0, 0, 2)))
