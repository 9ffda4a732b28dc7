"""Stage 0: align the projector with the language model, both tower and language model frozen, by TRL.

    accelerate launch -m train.align --config configs/embedded/align.yaml --examined DIR --output_dir DIR

LLaVA's first stage (Liu et al., arXiv 2304.08485) on text that code can prove: colours, brightness, places, sizes,
the trace map, findings (train.facts). No captions: what a view shows is claimed nowhere. The trained projector is
written to OUT/projector.safetensors, from where `--start OUT` of the later stages takes it. Exit code 75: stopped after
--minutes, the same command goes on.
"""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from datasets import Dataset
from PIL import Image
from trl import SFTConfig, SFTTrainer, TrlParser

from forensic_chat.errors import UsageError
from forensic_chat.imaging.views import View
from forensic_chat.mllm.loading import PROJECTOR, save_projector
from forensic_chat.mllm.prompts import Turn, messages
from train.chunks import UNFINISHED, trained
from train.examinations import Examined
from train.examinations import load as load_examinations
from train.facts import drawn, unproven
from train.models import PROJECTION, ModelArguments, load

ASKED = 4
"""Questions about one view: its 196 tokens serve all of them."""


@dataclass
class AlignArguments:
    examined: Path = field(metadata={"help": "folder of train.examinations"})
    views: int = field(default=600, metadata={"help": "conversations, each about one view"})
    minutes: float = field(default=0, metadata={"help": "stop and save after so many minutes; 0: at the end"})


def row(record: Examined, view: View, rng: Random) -> dict[str, Any]:
    """A conversation about one view. Raises UsageError for an answer that code does not prove."""
    turns = []
    for k, fact in enumerate(drawn(record, view, ASKED, rng)):
        if fault := unproven(fact, record, view):
            raise UsageError(f"{fact.answer!r} {fault}; correct train.facts")
        label = [{"type": "text", "text": f"{view.name.capitalize()}:"}, {"type": "image"}]
        asked = [{"type": "text", "text": f"\n{fact.question}"}]
        turns += [Turn("user", [*label, *asked] if k == 0 else asked), Turn("assistant", fact.answer)]
    return {"messages": messages(turns), "images": [Image.fromarray(view.pixels)]}


def projector_only(model: Any) -> int:
    """Freeze everything but the projector; the number of parameters that are trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = PROJECTION in name
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def main(arguments: list[str] | None = None) -> None:
    data, base, config = TrlParser((AlignArguments, ModelArguments, SFTConfig)).parse_args_and_config(
        arguments
    )
    rng = Random(config.seed)
    every = load_examinations(data.examined, "train")
    if not every:
        raise UsageError(f"{data.examined.name} holds no examinations of split train; run train.examinations")
    pictured = [(record, view) for record, views in every for view in views]
    rows = [row(*rng.choice(pictured), rng) for _ in range(data.views)]
    model, processor = load(base)
    print(f"{len(rows)} conversations, {projector_only(model)} parameters of the projector")
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=processor
    )
    finished = trained(trainer, data.minutes)
    save_projector(trainer.accelerator.unwrap_model(trainer.model), Path(config.output_dir) / PROJECTOR)
    if not finished:
        raise SystemExit(UNFINISHED)


if __name__ == "__main__":
    main()
