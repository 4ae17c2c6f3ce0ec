"""Pictures from diffusers alone, by someone who never heard of this project.

Called with a JSON file: a list of {"base", "lora", "steps", "guidance", "eta", "prompts", "seed",
"out"}.
"""

import json
import sys
from pathlib import Path


class Absent:
    """Makes packages impossible to import."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse them."""
        if name.partition(".")[0] in ("ddpo", "rewards", "tests"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
try:
    import ddpo  # noqa: F401
except ModuleNotFoundError:
    pass
else:
    sys.exit("ddpo can be imported")

import torch  # noqa: E402
from diffusers import DDIMScheduler, StableDiffusionPipeline  # noqa: E402


def main() -> None:
    """Make the pictures of every entry."""
    for entry in json.loads(Path(sys.argv[1]).read_text()):
        pipeline = StableDiffusionPipeline.from_pretrained(entry["base"], safety_checker=None)
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
        if entry["lora"]:
            pipeline.load_lora_weights(entry["lora"])
        out = Path(entry["out"])
        out.mkdir(parents=True)
        for number, prompt in enumerate(entry["prompts"]):
            image = pipeline(
                prompt,
                num_inference_steps=entry["steps"],
                guidance_scale=entry["guidance"],
                eta=entry["eta"],
                generator=torch.Generator().manual_seed(entry["seed"] + number),
            ).images[0]
            image.save(out / f"{number:04d}.png")


main()
