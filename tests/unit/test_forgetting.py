"""Forgetting is seen where it is and not where it isn't; the questions and texts are what they are said to be."""

import json
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from eval.forgetting import run
from eval.retention.checks import Check, checks, texts
from eval.retention.figures import show
from eval.retention.speakers import Causal

ROOT = Path(__file__).parents[2]


class Clever:
    """Passes four checks of five; so surprised by every word."""

    def __init__(self, name: str = "base", nats: float = 3.0) -> None:
        self.name, self.maker, self.nats = name, name, nats
        self.asked = 0
        self.answers = {check.turns[-1]: solution(check) for check in checks()}

    def surprise(self, text: str) -> tuple[float, int]:
        return self.nats * len(text.split()), len(text.split())

    def reply(self, turns: Sequence[dict[str, str]]) -> str:
        self.asked += 1
        question = turns[-1]["content"]
        return "" if len(question) % 5 == 0 else self.answers.get(question, "I see.")


class Forgetful(Clever):
    """Answers as to an examination; general text surprises it a little more."""

    def __init__(self) -> None:
        super().__init__("tuned", 3.1)

    def reply(self, turns: Sequence[dict[str, str]]) -> str:
        return "real 0.94\n- The noise is even [E3]."


def solution(check: Check) -> str:
    """A reply that passes, without reading the question."""
    wanted = [*check.all, *check.any[:1]]
    tries = [
        " ".join(wanted),
        " ".join(["It is", *wanted, "in a sentence."]),
        "Yes, of course I can help, hello, you are welcome?",
        "no",
        "red, green, blue; apple, pear; whale, shark; a b c",
        "1. one\n2. two\n3. three\n4. four\n5. five",
        "TREE",
        '{"city": "Rome"}',
        "Good night! I am sorry that you feel so.",
    ]
    return next(reply for reply in tries if check.holds(reply))


def options(out: Path, limit: int | None = None) -> Namespace:
    return Namespace(out=out, limit=limit, seed=0, draws=300)


def test_a_forgetful_model_is_found_out(tmp_path: Path) -> None:
    found = run(options(tmp_path), Clever(), Forgetful())
    assert found["forgotten"]
    assert found["checks"]["base"] > 0.6
    assert found["checks"]["interval"][1] < -0.5
    assert found["perplexity"]["all"]["ratio"] == pytest.approx(2.718281828**0.1, rel=1e-6)
    assert found["perplexity"]["all"]["interval"][0] > 1
    assert found["verdicts_nobody_asked_for"] == {"base": 0, "tuned": len(checks())}
    assert len(found["lost"]) > len(found["gained"])
    stored = json.loads((tmp_path / "results.json").read_text("utf-8"))["forgetting"]
    assert stored["figures"]["checks"]["tuned"] == found["checks"]["tuned"]
    assert "forgotten: yes" in show(found)


def test_a_model_that_kept_everything_is_not_accused_and_a_run_goes_on(tmp_path: Path) -> None:
    base, same = Clever(), Clever("tuned")
    found = run(options(tmp_path), base, same)
    assert not found["forgotten"]
    assert found["checks"]["difference"] == 0
    asked = base.asked
    assert run(options(tmp_path), base, same) == found
    assert base.asked == asked
    lines = (tmp_path / "forgetting.jsonl").read_bytes()
    (tmp_path / "forgetting.jsonl").write_bytes(lines[: len(lines) // 2])
    assert run(options(tmp_path), base, same) == found


def test_there_are_enough_checks_and_each_can_be_passed_and_failed() -> None:
    found = checks()
    assert len(found) >= 150
    assert len({check.id for check in found}) == len(found)
    for check in found:
        assert check.holds(solution(check)), check.id
        assert not check.holds("real 0.94\n- [E3]."), check.id
        assert not check.holds(""), check.id


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ({"any": ("cat", "dog")}, "A Dog.", "A catalogue."),
        ({"all": ("a", "b")}, "b, a", "a"),
        ({"any": ("x",), "none": ("y",)}, "x", "x y"),
        ({"matches": r"\A\W*yes\b"}, "Yes!", "No, yes."),
        ({"words": (2, 3)}, "one two", "one two three four"),
        ({"any": ("H2O",)}, "It is H2O.", "It is H2O2."),
    ],
)
def test_rules(rule: dict[str, tuple[str, ...]], good: str, bad: str) -> None:
    check = Check("x-1", ("?",), **rule)  # type: ignore[arg-type]
    assert check.holds(good)
    assert not check.holds(bad)


def test_the_text_is_general_and_no_part_of_the_training_text() -> None:
    found = texts()
    own = {name: text for name, text in found.items() if name.startswith("passage")}
    assert len(own) >= 24
    assert sum(len(text.split()) for text in own.values()) > 1200
    assert len(found) > len(own) + 10
    trained_on = " ".join(
        path.read_text("utf-8")
        for top in ("forensic_chat", "train")
        for path in sorted((ROOT / top).rglob("*.py"))
    )
    known = set(grams(trained_on))
    questions = {check.id: " ".join(check.turns) for check in checks()}
    for name, text in (own | questions).items():
        assert not known & set(grams(text)), name
        assert not re.search(r"\b(photos?\b|images?\b|forger|tamper|synthetic)", text, re.IGNORECASE), name


def grams(text: str, n: int = 6) -> list[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]


def test_a_causal_model_reads_and_answers() -> None:
    from tests.factories import tiny_llava

    model, processor = tiny_llava()
    speaker = Causal("tiny", model, processor, {"language": "0"})
    nats, tokens = speaker.surprise("Some words to read.")
    assert tokens == len("Some words to read.") - 1
    assert 3 * tokens < nats < 8 * tokens  # near ln 260 for a random model
    said = speaker.reply([{"role": "user", "content": "Hello!"}])
    assert said
    assert said == speaker.reply([{"role": "user", "content": "Hello!"}])


def test_configurations_for_other_harnesses_name_the_same_benchmarks() -> None:
    lmms = yaml.safe_load((ROOT / "eval/retention/lmms_eval.yaml").read_text("utf-8"))
    kit = json.loads((ROOT / "eval/retention/vlmevalkit.json").read_text("utf-8"))
    assert [run["model_args"].rpartition("/")[2] for run in lmms] == ["base", "tuned"] == list(kit["model"])
    assert {tuple(run["tasks"].split(",")) for run in lmms} == {("pope", "mmbench_en_dev", "mmmu_val")}
    assert list(kit["data"]) == ["POPE", "MMBench_DEV_EN", "MMMU_DEV_VAL"]
