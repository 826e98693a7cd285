"""The `conda-store` command. Modules of commands import httpx and rich only when a command runs."""
