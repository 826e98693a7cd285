"""Programs this tool starts, what it says while it works, and how it fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path


class ChannelError(Exception):
    """The channel cannot be made. The message says what failed; `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def program(name: str, hint: str = "") -> str:
    """The path of a program, of this virtual environment before the rest of PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise ChannelError(f"the program {name} is missing", hint or f"pip install {name}")
    return found


def run(*command: str | Path, cwd: Path | None = None, data: bytes | None = None, hint: str = "") -> bytes:
    """Standard output of a program; ChannelError with the end of its output if it fails."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=cwd, input=data, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise ChannelError(f"the program {command[0]} is missing", hint) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).decode(errors="replace").strip()[-1500:]
        named = " ".join(str(part) for part in command)[:200]
        raise ChannelError(f"`{named}` failed with status {error.returncode}:\n{said}", hint) from error
    return done.stdout
