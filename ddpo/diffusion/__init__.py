"""The denoising chain as a policy."""
