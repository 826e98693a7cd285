"""A reporter that keeps what it is told."""

from __future__ import annotations

from conda_store.domain.build import Progress


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[Progress] = []

    def log(self, text: str) -> None:
        self.lines.extend(text.splitlines())

    def progress(self, progress: Progress) -> None:
        self.steps.append(progress)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
