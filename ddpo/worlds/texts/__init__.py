"""The text world: descriptions of scenes to summarise, small programs to write, two tiny models.

    from ddpo.worlds import texts

    AutoModelForSeq2SeqLM.from_pretrained(texts.model_path("texts-seq2seq"))
    AutoModelForCausalLM.from_pretrained(texts.model_path("texts-causal"))

Importing it loads nothing. `MODEL_CARD.md` beside this file says how the weights were made and how
good they are; `python -m ddpo.worlds.texts.build` makes them again.
"""

from pathlib import Path

MODELS = ("texts-seq2seq", "texts-causal")
_WEIGHTS = Path(__file__).parent / "weights"


def model_path(name: str) -> Path:
    """The folder of an embedded model, in transformers' format.

    Raises:
        ValueError: there is no model of that name.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    return _WEIGHTS / name.removeprefix("texts-")
