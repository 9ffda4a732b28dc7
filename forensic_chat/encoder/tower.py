"""The CLIP tower: ViT-B/16 with its middle blocks tapped, int8 on CPU through ONNX Runtime.

Middle blocks carry over to unseen generators better than the last (Ojha et al. 2023 froze CLIP; Cozzolino
et al. 2024 and our own source-held-out probes chose the depth). The graph is the pinned base weights' own
int8 graph, cut after the last tapped block: on AVX-512 it ran 2.6 times as fast as float32.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def planes(views: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """V views (224, 224, 3) uint8 RGB -> (V, 3, 224, 224) float32, as CLIP reads them."""
    scaled = (np.stack(views).astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


class Tower:
    """Reads 224 px views one at a time: dynamic quantisation scales by the batch, and a view must not
    depend on its neighbours."""

    def __init__(self, graph: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        # Without VNNI instructions, products of unsigned and signed bytes overflow 16 bits, and nothing is left of the
        # patch tokens (cosine .1 to .3 to the float tower, .9 and more with this). No effect where there is VNNI.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def read(self, views: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """V views (224, 224, 3) uint8 RGB -> (V, 2, blocks, 768) float32: CLS token and mean patch token of
        each tapped block."""
        return self.look(views)[0]

    def look(self, views: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What `read` gives, and the patch tokens of the last tapped block, (V, 196, 768) float32, row by row."""
        states = [self._states(view) for view in views]
        read = [[[one[0, 0] for one in each], [one[0, 1:].mean(0) for one in each]] for each in states]
        return np.array(read), np.stack([each[-1][0, 1:] for each in states])

    def patches(self, view: NDArray[np.uint8], picked: Sequence[int]) -> NDArray[np.float32]:
        """(224, 224, 3) uint8 RGB -> (196, 768 each) float32: patch tokens, row by row, of the tapped blocks
        at the indices `picked`."""
        states = self._states(view)
        return np.concatenate([states[k][0, 1:] for k in picked], axis=1)

    def _states(self, view: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        states: list[NDArray[np.float32]] = self._session.run(None, {"pixel_values": planes([view])})
        return states
