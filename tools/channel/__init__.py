"""A conda channel of real packages, made of PyPI wheels, Debian packages and CPython: for tests, demos and benchmarks.

python -m tools.channel OUTDIR [--packages FILE.toml]      make a channel
python -m tools.channel.serve OUTDIR                       serve it on the loopback interface
tools.channel.tiny                                         hand-made packages in milliseconds
"""

from .make import default_cache, make_channel
from .process import ChannelError

__all__ = ["ChannelError", "default_cache", "make_channel"]
