"""Measures vLLM against the transformers backend, as ratios within one run.

    FORENSIC_CHAT_VLLM_PYTHON=VLLM/bin/python python -m tests.perf.serving [--conversations 8] [--tokens 64]

Eight conversations about eight images, a first turn each, then a follow-up. The transformers backend writes one answer
after another, as the product has it do; vLLM writes them side by side. Exits with 1 if a bar is missed.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from forensic_chat.mllm.backends.base import Backend, Conversation
from forensic_chat.mllm.backends.transformers import TransformersBackend
from forensic_chat.mllm.backends.vllm import VllmBackend
from forensic_chat.mllm.backends.vllm_server import server
from forensic_chat.mllm.prompts import Turn, follow_up
from tests.factories import case, conversation

FASTER, FOLLOW_UP = 3.0, 1 / 3
VIEWS = 3
"""Overview, one crop, trace map: what the product shows."""


@dataclass(frozen=True)
class Written:
    text: str
    first: float
    """Seconds to the first piece."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf.serving", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    given = parser.parse_args()
    print(f"load of this machine before the run: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    embedded, served = TransformersBackend.load(), VllmBackend(server())
    tokenizer = embedded._processor.tokenizer
    warm = [opening(100), opening(101)]
    for backend in (embedded, served):
        run(backend, warm, 8, at_once=2 if backend is served else 1)
    asked = [opening(seed) for seed in range(given.conversations)]
    rates, firsts = {}, {}
    for name, backend, at_once in (
        ("transformers", embedded, 1),
        ("vllm", served, given.conversations),
    ):
        start = time.perf_counter()
        opened = run(backend, asked, given.tokens, at_once)
        followed = run(
            backend, [turned(*pair) for pair in zip(asked, opened, strict=True)], given.tokens, at_once
        )
        seconds = time.perf_counter() - start
        tokens = sum(len(tokenizer.encode(w.text)) for w in [*opened, *followed])
        rates[name] = tokens / seconds
        print(f"{name}: {tokens} tokens in {seconds:.1f} s, {rates[name]:.1f} tokens/s")
    # one conversation at a time: no queue in the figures
    for seed in range(200, 200 + min(3, given.conversations)):
        alone = opening(seed)
        (opened,) = run(served, [alone], given.tokens, 1)
        (followed,) = run(served, [turned(alone, opened)], given.tokens, 1)
        firsts.setdefault("first turn", []).append(opened.first)
        firsts.setdefault("follow-up", []).append(followed.first)
    first, later = (statistics.median(firsts[turn]) for turn in ("first turn", "follow-up"))
    print(f"vllm, median time to the first token: first turn {first:.3f} s, follow-up {later:.3f} s")
    faster, share = rates["vllm"] / rates["transformers"], later / first
    print(f"tokens/s, vllm over transformers: {faster:.2f} (bar: at least {FASTER:g})")
    print(f"first token, follow-up over first turn: {share:.2f} (bar: at most {FOLLOW_UP:.2f})")
    return int(faster < FASTER or share > FOLLOW_UP)


def opening(seed: int) -> Conversation:
    return conversation(case(seed), VIEWS, seed)


def turned(asked: Conversation, written: Written) -> Conversation:
    said = [*asked.turns, Turn("assistant", written.text), follow_up("Which finding weighs most, and why?")]
    return replace(asked, turns=said)


def run(backend: Backend, asked: Sequence[Conversation], tokens: int, at_once: int) -> list[Written]:
    def write(one: Conversation) -> Written:
        start, first, text = time.perf_counter(), 0.0, ""
        for piece in backend.generate(one, max_new_tokens=tokens):
            first = first or time.perf_counter() - start
            text += piece
        return Written(text, first)

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(write, asked))


if __name__ == "__main__":
    sys.exit(main())
