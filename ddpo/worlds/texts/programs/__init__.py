"""Small programs: one-line tasks with unit tests, in families of which some are held out."""

from ddpo.worlds.texts.programs.tasks import Task, families, tasks

__all__ = ["Task", "families", "tasks"]
