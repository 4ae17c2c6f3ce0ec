"""What leaves a run: files for other tools, a model card, an upload to the hub."""
