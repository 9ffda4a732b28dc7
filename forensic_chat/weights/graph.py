"""The int8 graph of CLIP's image tower, cut after a middle block and tapped, for ONNX Runtime on CPU."""

import re
from pathlib import Path

from forensic_chat.errors import WeightsCorrupted

TAPPED_BLOCKS = (6, 7, 8, 9, 10)
"""Blocks (1-based count of blocks run) whose output the encoder reads."""


def cut_clip_graph(source: Path, target: Path, blocks: tuple[int, ...] = TAPPED_BLOCKS) -> None:
    """Write the graph pixel_values (1, 3, 224, 224) -> the stream (1, 197, 768) after each of `blocks`.

    Weights stay int8 as they are in the source; everything after the last block goes. Raises WeightsCorrupted
    when the graph is not the tower that is pinned.
    """
    import onnx
    from onnx import TensorProto, helper, utils

    model = onnx.load(str(source))
    names = [f"/vision_model/encoder/layers.{block - 1}/Add_1_output_0" for block in blocks]
    produced = {output for node in model.graph.node for output in node.output}
    if missing := [name for name in names if name not in produced]:
        raise WeightsCorrupted(f"the CLIP graph lacks {missing[0]}; report this, with the version")
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 197, 768]))
    cut = utils.Extractor(model).extract_model(["pixel_values"], names)
    for node in cut.graph.node:
        node.doc_string = ""
    last = max(blocks) - 1
    kept = [int(m.group(1)) for node in cut.graph.node if (m := re.search(r"layers\.(\d+)/", node.name))]
    if max(kept) != last:
        raise WeightsCorrupted(
            f"the cut CLIP graph ends at block {max(kept) + 1}, not {last + 1}; report this"
        )
    onnx.save(cut, str(target))
