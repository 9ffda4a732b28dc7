"""Deterministic evidence: what files and pixels show without a model and without the network.

`collect(image)` runs every test and reads the results with the calibration on real photos.
"""

from collections.abc import Callable, Iterable

from forensic_chat.evidence import copymove, ghosts, jpeg, metadata, noise, provenance, spectrum
from forensic_chat.evidence.calibration import calibrated
from forensic_chat.evidence.observation import Evidence, Observation, fact
from forensic_chat.imaging.intake import ExaminedImage

_NOT_RUN = "test.not_run"

__all__ = ["Evidence", "Observation", "calibrated", "collect", "observe", "warnings"]


_TESTS: dict[str, Callable[..., list[Observation]]] = {
    "provenance": provenance.observe,
    "metadata": metadata.observe,
    "jpeg": jpeg.observe,
    "jpeg ghost and grid": ghosts.observe,
    "noise": noise.observe,
    "copy-move": copymove.observe,
    "spectrum": spectrum.observe,
}


def observe(image: ExaminedImage, copy: copymove.Copy | None) -> list[Observation]:
    """Everything the tests see, container anomalies first; never empty.

    copy: what `copymove.find` found; the encoder has looked for it already. A test that fails gives a neutral
    observation of kind `test.not_run`. Only MemoryError leaves this function.
    """
    seen = [fact(anomaly.kind, anomaly.summary, anomaly.value) for anomaly in image.anomalies]
    for name, test in _TESTS.items():
        try:
            seen += test(image, copy) if test is copymove.observe else test(image)
        except MemoryError:
            raise
        except Exception:
            seen.append(
                fact(_NOT_RUN, f"The {name} test could not be run on this image.", name, strength=0.0)
            )
    return seen


def collect(image: ExaminedImage, copy: copymove.Copy | None) -> list[Evidence]:
    """Calibrated evidence of one image, in a fixed order; arguments as for `observe`."""
    return calibrated(observe(image, copy))


def warnings(evidence: Iterable[Evidence]) -> list[str]:
    """One sentence if tests could not be run, else nothing."""
    failed = [str(item.value) for item in evidence if item.kind == _NOT_RUN]
    if not failed:
        return []
    return [f"{len(failed)} of {len(_TESTS)} groups of evidence tests could not be run: {', '.join(failed)}"]
