"""The inside of the sandbox: what runs in the launcher and in the programs' processes.

The launcher imports this folder alone, as the package `jail`, so that no package of the trainer's
is in reach of a program: only the standard library is used here, and imports are relative.
"""
