"""The model card of a language model: code that runs in plain transformers, and completions."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, TaskType, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from ddpo.config.schema import Config
from ddpo.config.text_policy import TextPolicyConfig
from ddpo.errors import UserError
from ddpo.export.card import write_card
from ddpo.export.card_texts import before_and_after
from ddpo.export.text_model import TextModel, hub_id, read_text_model
from ddpo.gallery.run_folder import Sample
from ddpo.gallery.texts import Completion
from tests.export.test_card import HOSTILE, METRICS, code_in, outside_code
from tests.gallery import made_up
from tests.support.policies import configured

# peft asks transformers by a name that is to go; pydantic complains of the stand-in for the schema.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

WORDS = ["[PAD]", "[EOS]", "a", "cat", "sat", "dog", "ran", "on", "mat"]


def text_config(model: str, lora: bool, **policy: Any) -> Config:
    """A configuration of the token chain."""
    config = configured(Path(model), lora=lora)
    asked = TextPolicyConfig(kind="text", model=model, **{"max_length": 5, **policy})
    return replace(config, policy=asked)


def tiny_model(folder: Path, kind: str) -> torch.nn.Module:
    """A language model of a few words, saved as transformers does, with its tokenizer."""
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[PAD]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", eos_token="[EOS]"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1, "vocab_size": len(WORDS)}
    if kind == "causal":
        shape |= {"n_positions": 32, "n_embd": 8, "n_layer": 1, "n_head": 2, "bos_token_id": 1}
        network = GPT2LMHeadModel(GPT2Config(**shape))
    else:
        shape |= {
            "decoder_start_token_id": 0,
            "d_model": 8,
            "d_kv": 4,
            "d_ff": 8,
            "num_layers": 1,
            "num_heads": 2,
        }
        network = T5ForConditionalGeneration(T5Config(**shape))
    network.save_pretrained(folder)
    return network


def finished(folder: Path, kind: str, lora: bool, **policy: Any) -> tuple[Path, Config]:
    """A run's folder whose `final/` is what transformers, or peft, saves."""
    base, final = folder / "base", folder / "run" / "final"
    network = tiny_model(base, kind)
    if lora:
        task = TaskType.CAUSAL_LM if kind == "causal" else TaskType.SEQ_2_SEQ_LM
        targets = ["c_attn"] if kind == "causal" else ["q", "v"]
        transposed = kind == "causal"  # as GPT-2 keeps its weights
        adapter = LoraConfig(task_type=task, target_modules=targets, r=2, fan_in_fan_out=transposed)
        network = get_peft_model(network, adapter)  # pyright: ignore[reportArgumentType]
        for name, weights in network.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights)
        network.save_pretrained(str(final))
        config = json.loads((final / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = str(base)
        (final / "adapter_config.json").write_text(json.dumps(config))
    else:
        tiny_model(final, kind)
    run = folder / "run"
    made_up.write_metrics(run, METRICS)
    for iteration, text in ((0, "a dog ran"), (3, HOSTILE)):
        prompts = ["a cat sat on", HOSTILE, HOSTILE]
        entries = [made_up.text_sample(text, prompt) for prompt in prompts]
        made_up.write_samples(run, iteration, entries)
    return run, text_config(str(base), lora, **policy)


@pytest.mark.parametrize("lora", [True, False])
@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_the_code_completes_with_the_trained_model(
    kind: str,
    lora: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, config = finished(tmp_path, kind, lora)
    card = write_card(run / "final", run, config).read_text()
    monkeypatch.chdir(run / "final")
    left: dict[str, Any] = {}
    exec(compile(code_in(card), "README.md", "exec"), left)
    network, inputs = left["network"], left["inputs"]
    assert ("Peft" in type(network).__name__) == lora
    torch.manual_seed(0)
    tokens = network.generate(
        **inputs, max_new_tokens=5, do_sample=True, temperature=1.0, top_k=0, top_p=1.0
    )[0]
    completion = tokens[4:] if kind == "causal" else tokens
    assert inputs["input_ids"].tolist() == [[2, 3, 4, 7]]
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed == left["tokenizer"].decode(completion, skip_special_tokens=True)


def test_the_card_speaks_of_completions_and_nothing_in_them_becomes_structure(
    tmp_path: Path,
) -> None:
    run, config = finished(tmp_path, "causal", lora=True)
    text = write_card(run / "final", run, config).read_text()
    _, front, _ = text.split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["library_name"], said["pipeline_tag"]) == ("peft", "text-generation")
    assert "base_model" not in said
    shown = outside_code(text)
    assert "diffus" not in shown.lower()
    assert "picture" not in shown
    assert not list((run / "final" / "card").glob("*.png"))
    for sign in ("<script", "![x]", "[y]", "https://example.org", "```"):
        assert sign not in shown
    rows = [line for line in shown.splitlines() if "alert" in line]
    assert len(rows) == 2  # one a prompt
    assert rows[0].startswith("| a cat sat on | a dog ran | a &#34;cat&#34; &#124;")
    for row in rows:
        assert len(re.findall(r"\|", row)) == 4


def test_a_cell_keeps_lines_and_says_what_it_leaves_out() -> None:
    def sample(text: str) -> Sample:
        return Sample("p\n  q", Completion(text), None, None, {}, {})

    def cells(before: str, after: str) -> list[str]:
        row = before_and_after([(sample(before), sample(after))]).splitlines()[-1]
        return row.strip("| ").split(" | ")

    assert cells("def f():\n\treturn\n", " \n") == [
        "p<br>&#160;&#160;q",
        "def f&#40;&#41;&#58;<br>&#160;&#160;&#160;&#160;return",
        "*(empty)*",
    ]
    assert cells("x\n" * 20, "y" * 500)[1:] == [
        "x<br>" * 16 + "&#8230;",
        "y" * 399 + "&#8230;",
    ]


def test_the_code_is_told_what_held_out_samples_are(tmp_path: Path) -> None:
    said = {"temperature": 0.7, "min_length": 2, "stop": ("cat", "a 'mat'")}
    run, config = finished(tmp_path, "causal", lora=False, **said)
    code = code_in(write_card(run / "final", run, config).read_text())
    told = ["max_new_tokens=5", "do_sample=True", "temperature=0.7", "top_k=0", "top_p=1.0"]
    told += ["min_new_tokens=2", """stop_strings=['cat', "a 'mat'"]""", "tokenizer=tokenizer"]
    assert "".join(f"    {setting},\n" for setting in told) in code
    heldout = replace(config.evaluation, temperature=0.5, top_k=3)
    code = code_in(write_card(run / "final", run, replace(config, evaluation=heldout)).read_text())
    assert "temperature=0.5," in code
    assert "top_k=3," in code
    long = made_up.text_sample("t", "x" * 501)
    for iteration in (0, 3):
        made_up.write_samples(run, iteration, [long])
    code = code_in(write_card(run / "final", run, config).read_text())
    assert "tokenizer('Once upon a time'" in code


def test_what_the_folder_says(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json cannot be read, and the model card"):
        read_text_model(tmp_path, adapter=False)
    (tmp_path / "config.json").write_text('{"is_encoder_decoder": true, "architectures": ["T5"]}')
    assert read_text_model(tmp_path, adapter=False) == TextModel("AutoModelForSeq2SeqLM", "T5")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "b"}')
    causal = "AutoModelForCausalLM"
    assert read_text_model(tmp_path, adapter=True) == TextModel(causal, causal, "b")
    assert hub_id("owner/model") == "owner/model"
    assert hub_id("stories") is None
    assert hub_id(str(tmp_path)) is None
