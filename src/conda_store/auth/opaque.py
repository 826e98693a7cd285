"""Tokens that say nothing: random, with a prefix and a checksum by which scanners find them in code and logs.

`cst_` (`csl_` in links that share an environment), 40 random characters of base 62 (238 bits), 6 characters of base 62
with the CRC-32 of what stands before them: `cs[tl]_[0-9A-Za-z]{46}`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "cst_"
LINK_PREFIX = "csl_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECKSUM = 40, 6
_FORM = re.compile(rf"cs[tl]_[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def new_token(prefix: str = PREFIX) -> str:
    text = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return text + _checksum(text)


def is_token(text: str, prefix: str = PREFIX) -> bool:
    """Whether it may be one of ours: nothing is looked up for what cannot be."""
    is_of_form = text.startswith(prefix) and _FORM.fullmatch(text) is not None
    return is_of_form and _checksum(text[:-_CHECKSUM]) == text[-_CHECKSUM:]


def digest(token: str) -> str:
    """What is kept of a token. It is random, so that a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(text: str) -> str:
    number, characters = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM):
        number, rest = divmod(number, len(_ALPHABET))
        characters = _ALPHABET[rest] + characters
    return characters
