# syntax=docker/dockerfile:1
# Two images of one build: `cpu` (the API, examinations, the embedded language model) and `gpu` (the same, with vLLM).
# The base weights are not in them: they are fetched at the first start, into the volume.

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    FORENSIC_CHAT_CACHE_DIR=/var/lib/forensic-chat/cache \
    FORENSIC_CHAT_DATA_DIR=/var/lib/forensic-chat/data \
    FORENSIC_CHAT_SIGNING_KEY=/var/lib/forensic-chat/signing-key.pem
# Pango is for reports as PDF; the folder becomes a volume, which takes over its owner
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpangoft2-1.0-0 fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --uid 10001 forensic-chat \
    && install -d -o forensic-chat -m 0700 /var/lib/forensic-chat
WORKDIR /src
VOLUME /var/lib/forensic-chat
EXPOSE 8000

FROM base AS gpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md LICENSE ./
COPY forensic_chat forensic_chat
RUN pip install ".[serve,postgres,pdf,vllm]"
USER 10001
WORKDIR /var/lib/forensic-chat
HEALTHCHECK --interval=30s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["forensic-chat"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--backend", "vllm"]

# the last stage is what a plain `docker build` makes
FROM base AS cpu
# first, from PyTorch's own index: the ordinary build brings several gigabytes of CUDA
RUN pip install "torch>=2.10,<2.14" --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE ./
COPY forensic_chat forensic_chat
RUN pip install ".[serve,postgres,pdf,vllm-client]"
USER 10001
WORKDIR /var/lib/forensic-chat
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["forensic-chat"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
