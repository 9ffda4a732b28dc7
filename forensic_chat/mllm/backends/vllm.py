"""The language model behind a vLLM server: many answers at a time, and what was read is remembered there.

Images go as bytes inside the request, never as addresses: vLLM would fetch those. What the server remembers is
shared by the turns of a conversation, whose prompts begin alike, and by nobody but its owner.
"""

import asyncio
import base64
import hmac
import io
import math
import queue
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from forensic_chat.errors import BackendUnavailable, UsageError
from forensic_chat.mllm.backends.base import Conversation, cancelled, too_late
from forensic_chat.mllm.backends.repeats import RepeatGuard
from forensic_chat.mllm.backends.vllm_server import MODEL, Server, server
from forensic_chat.mllm.prompts import messages
from forensic_chat.schema import CLASSES

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from forensic_chat.weights.progress import Progress

SILENCE = 300.0
"""Seconds without a word from the server after which it is given up."""
_POLL = 0.05
"""Seconds between two looks whether the caller still wants an answer."""
_MALFORMED = "the vLLM server answered in a form that is not understood; use vLLM 0.32 or a later release"


class VllmBackend:
    """See `backends.base.Backend`. Calls from several threads are answered side by side.

    A request that fails before its first word is sent again once, to a server that may have been restarted in
    between; an answer that breaks off is not: its pieces have been shown.
    """

    concurrent = True

    def __init__(self, asked: Server, *, silence: float = SILENCE) -> None:
        self._server, self._silence = asked, silence
        self._secret = secrets.token_bytes(32)
        self._labels: list[int] | None = None
        self._version: str | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="forensic-chat-vllm", daemon=True).start()

    @classmethod
    def load(cls, *, progress: "Progress | None" = None) -> "VllmBackend":
        """The server that the settings name, or one that is started now with the embedded model.

        Raises UsageError, BackendUnavailable.
        """
        try:
            import openai  # noqa: F401
        except ImportError:
            raise UsageError(
                "`vllm` needs the openai client: pip install 'forensic-chat[vllm-client]'"
            ) from None
        return cls(server(progress))

    @property
    def any_words(self) -> bool:
        """As `Backend.any_words`: only the embedded model goes by its name."""
        return self._server.model != MODEL

    @property
    def models(self) -> dict[str, str]:
        if self._version is None:
            self._version = str(self._asked_for("GET", "/version", lambda: None).get("version", "unknown"))
        return self._server.models | {"language server": f"vLLM {self._version}"}

    def verdict_probabilities(self, conversation: Conversation) -> dict[str, float]:
        """As `Backend.verdict_probabilities`."""
        labels = self._labels = self._labels or self._first_tokens()
        chances: list[dict[int, float]] = []

        async def ask(client: "AsyncOpenAI") -> AsyncIterator[str]:
            answer = await client.chat.completions.create(
                **self._request(conversation, "", 1),
                logprobs=True,
                extra_body=self._extra(conversation, "")
                | {"logprob_token_ids": labels, "return_tokens_as_token_ids": True},
            )
            chances.append(_logprobs(answer))
            yield ""

        for _ in self._pieces(ask, lambda: None):
            pass
        if not set(labels) <= chances[0].keys():
            raise BackendUnavailable(_MALFORMED)
        weights = [math.exp(chances[0][token]) for token in labels]
        if not sum(weights) > 0:
            raise BackendUnavailable(_MALFORMED)
        return {label: weight / sum(weights) for label, weight in zip(CLASSES, weights, strict=True)}

    def generate(
        self,
        conversation: Conversation,
        *,
        prefix: str = "",
        pattern: str | None = None,
        likely: Sequence[str] = (),
        max_new_tokens: int,
        cancel: threading.Event | None = None,
        deadline: float | None = None,
    ) -> Iterator[str]:
        """As `Backend.generate`; `likely` is of no use here. When the iterator has ended, the connection is closed,
        which stops the server's work."""
        form = {"structured_outputs": {"regex": pattern}} if pattern is not None else {}
        end = None if deadline is None else time.monotonic() + deadline

        def check() -> None:
            if cancel is not None and cancel.is_set():
                raise cancelled()
            if end is not None and deadline is not None and time.monotonic() >= end:
                raise too_late(deadline)

        async def ask(client: "AsyncOpenAI") -> AsyncIterator[str]:
            stream = await client.chat.completions.create(
                **self._request(conversation, prefix, max_new_tokens),
                stream=True,
                extra_body=self._extra(conversation, prefix) | form,
            )
            async with stream:
                finished = False
                async for chunk in stream:
                    text, ended = _delta(chunk)
                    finished = finished or ended
                    if text:
                        yield text
                if not finished:
                    raise _BrokenOff

        def pieces() -> Iterator[str]:
            guard = RepeatGuard()
            check()
            for piece in self._pieces(ask, check):
                check()
                if shown := guard.feed(piece):
                    yield shown
                if guard.repeated:
                    return
            check()
            if shown := guard.finish():
                yield shown

        return pieces()

    def _request(self, conversation: Conversation, prefix: str, tokens: int) -> dict[str, Any]:
        said = _with_images(conversation)
        if prefix:
            said.append({"role": "assistant", "content": prefix})
        return {
            "model": self._server.model,
            "messages": said,
            "max_completion_tokens": tokens,
            "temperature": 0.0,
        }

    def _extra(self, conversation: Conversation, prefix: str) -> dict[str, Any]:
        salt = hmac.digest(self._secret, conversation.owner.encode(), "sha256").hex()
        begun = {"add_generation_prompt": False, "continue_final_message": True} if prefix else {}
        return {"cache_salt": salt} | begun

    def _pieces(
        self, ask: "Callable[[AsyncOpenAI], AsyncIterator[str]]", check: Callable[[], None]
    ) -> Iterator[str]:
        """What `ask` yields. `check` is called while it is waited for, and may raise."""
        for again in (True, False):
            self._server.ready(check)
            begun = False
            try:
                for piece in self._run(ask, check):
                    begun = True
                    yield piece
                return
            except _Failed as failure:
                if begun:
                    raise BackendUnavailable(
                        "the vLLM server broke off in the middle of the answer; ask again, nothing that was said "
                        "before is lost"
                    ) from failure.__cause__
                if not (again and failure.transient):
                    raise BackendUnavailable(str(failure)) from failure.__cause__
            self._server.revive(check)

    def _run(
        self, ask: "Callable[[AsyncOpenAI], AsyncIterator[str]]", check: Callable[[], None]
    ) -> Iterator[str]:
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        async def read() -> None:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

            limits = Timeout(self._silence, connect=10)
            async with (
                DefaultAsyncHttpxClient(trust_env=False, timeout=limits) as connection,
                AsyncOpenAI(
                    base_url=f"{self._server.url}/v1",
                    api_key=self._server.key,
                    http_client=connection,
                    timeout=limits,
                    max_retries=0,
                ) as client,
            ):
                async for piece in ask(client):
                    pieces.put(piece)

        done = asyncio.run_coroutine_threadsafe(read(), self._loop)
        done.add_done_callback(lambda _: pieces.put(None))
        try:
            while True:
                try:
                    piece = pieces.get(timeout=_POLL)
                except queue.Empty:
                    check()
                    continue
                if piece is None:
                    break
                yield piece
            error = done.exception()
            if error is not None:
                raise _failed(error, self._server.model) from error
        finally:
            done.cancel()

    def _first_tokens(self) -> list[int]:
        """The first token of each label, in the order of CLASSES. Raises BackendUnavailable if they are not
        three."""
        first = []
        for label in CLASSES:
            body = {"model": self._server.model, "prompt": label, "add_special_tokens": False}
            tokens = self._asked_for("POST", "/tokenize", lambda: None, body).get("tokens")
            if not isinstance(tokens, list) or not tokens or not isinstance(tokens[0], int):
                raise BackendUnavailable(_MALFORMED)
            first.append(tokens[0])
        if len(set(first)) != len(CLASSES):
            raise BackendUnavailable(
                "the served model's tokenizer can't tell the verdict words apart by their first token; serve "
                "another one"
            )
        return first

    def _asked_for(
        self, method: str, path: str, check: Callable[[], None], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        import httpx2

        self._server.ready(check)
        key = {"Authorization": f"Bearer {self._server.key}"}
        try:
            with httpx2.Client(trust_env=False, timeout=self._silence) as client:
                answer = client.request(method, self._server.url + path, json=body, headers=key)
                read = answer.raise_for_status().json()
        except (httpx2.HTTPError, ValueError) as error:
            raise BackendUnavailable(_MALFORMED) from error
        return read if isinstance(read, dict) else {}


class _BrokenOff(Exception):
    """The stream ended before the answer did."""


class _Failed(Exception):
    """A request that failed; transient: another try may succeed."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


def _failed(error: BaseException, model: str) -> _Failed:
    """What an exception of the client means."""
    import openai

    if isinstance(error, openai.APITimeoutError) or type(error).__name__ == "ReadTimeout":
        return _Failed("the vLLM server said nothing for too long; give it less to do", transient=False)
    if isinstance(error, openai.NotFoundError):
        return _Failed(
            f"the vLLM server does not serve {model}; correct FORENSIC_CHAT_VLLM_MODEL", transient=False
        )
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return _Failed("the vLLM server refuses the key; correct FORENSIC_CHAT_VLLM_API_KEY", transient=False)
    if isinstance(error, openai.APIStatusError) and error.status_code < 500 and error.status_code != 429:
        return _Failed(
            f"the vLLM server refuses the request (status {error.status_code}); it may be made for another "
            "model, or the conversation may be too long for it",
            transient=False,
        )
    if isinstance(error, ValueError | openai.APIResponseValidationError):
        return _Failed(_MALFORMED, transient=False)
    # the connection's own errors come as they are, in the middle of a stream
    return _Failed("the vLLM server failed twice and gave no answer; look into its log", transient=True)


def _with_images(conversation: Conversation) -> list[dict[str, Any]]:
    """The messages in OpenAI's form, with the images in them."""
    images = iter(conversation.images)
    said: list[dict[str, Any]] = []
    for message in messages(conversation.turns):
        parts = [
            {"type": "image_url", "image_url": {"url": _data_url(next(images))}}
            if part["type"] == "image"
            else part
            for part in message["content"]
        ]
        said.append({"role": message["role"], "content": parts})
    return said


def _data_url(pixels: Any) -> str:
    """A PNG: nothing of the pixels is lost, and the same pixels are the same bytes."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _delta(chunk: Any) -> tuple[str, bool]:
    """The text of a chunk, and whether the answer ends with it. Raises ValueError for what is no chunk."""
    choices = getattr(chunk, "choices", None)
    if not isinstance(choices, list):
        raise ValueError("no choices")
    if not choices:
        return "", False
    delta = getattr(choices[0], "delta", None)
    text = getattr(delta, "content", None)
    if delta is None or not isinstance(text, str | None):
        raise ValueError("no text")
    return text or "", bool(getattr(choices[0], "finish_reason", None))


def _logprobs(answer: Any) -> dict[int, float]:
    """Log-probabilities of the first token by token id. Raises ValueError for an answer without."""
    try:
        first = answer.choices[0].logprobs.content[0]
        return {int(top.token.removeprefix("token_id:")): float(top.logprob) for top in first.top_logprobs}
    except (AttributeError, IndexError, TypeError) as error:
        raise ValueError("no log-probabilities") from error
