"""Text to ids and back: byte-level BPE, trained here for tiny models or read as published.

A published tokenizer keeps the files beside it, so that they reach whoever gets the model.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from moss_speech.licence import licence_files
from moss_speech.vocab import TEXT_SPECIALS, SpecialIds

_FILE = "tokenizer.json"
COMPANIONS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
)
"""Files that other engines want beside a tokenizer.json; licence files travel with them."""
_SPOKEN = {"<|empty|>": ".", "<|end_empty|>": ":"}
"""Tokens that the released model writes for marks (docs/reference/format.md section 4)."""


_KNOWN_TEXTS = 16_384
"""Texts whose ids are kept: corpora repeat theirs; what people say to a service has no end."""


class TextTokenizer:
    """A tokenizer.json; text that looks like a special token is encoded as plain text."""

    def __init__(self, tokenizer: Tokenizer, files: Mapping[str, bytes] | None = None) -> None:
        self._tokenizer = tokenizer
        self._files = files or {_FILE: tokenizer.to_str(pretty=True).encode()}
        self._tokenizer.encode_special_tokens = True
        self._ids_of = lru_cache(_KNOWN_TEXTS)(self._encoded)

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str) -> list[int]:
        """Ids of a piece of text, without any added special token."""
        return self._ids_of(text)

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        for token, mark in _SPOKEN.items():
            text = text.replace(token, mark)
        return text

    def special_ids(self, n_codes: int) -> SpecialIds:
        """Ids for a model of our own: specials by name, speech ids right above the codes."""
        pad, im_start, im_end, sosp, modality_pad = map(self._id, TEXT_SPECIALS)
        return SpecialIds(pad, im_start, im_end, sosp, modality_pad, n_codes, n_codes + 1)

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no token {token!r}")
        return int(found)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and what lay beside it, byte for byte as it was read."""
        for name, content in self._files.items():
            (folder / name).write_bytes(content)


def load_tokenizer(folder: Path) -> TextTokenizer:
    """Open the tokenizer of a model folder; `ValueError` if it is missing or damaged."""
    path = folder / _FILE
    if not path.is_file():
        raise ValueError(f"{folder} holds no {_FILE}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path} is no tokenizer: {error}") from error
    beside = [p for name in COMPANIONS if (p := folder / name).is_file()]
    kept = (path, *beside, *licence_files(folder))
    return TextTokenizer(tokenizer, {p.name: p.read_bytes() for p in kept})


def train_tokenizer(texts: Iterable[str], n_vocab: int) -> TextTokenizer:
    """Byte-level BPE of at most `n_vocab` ids that knows `texts`; the same texts, the same ids.

    A word has the same ids at the start of a text and inside it.
    """
    smallest = 256 + len(TEXT_SPECIALS)
    if n_vocab < smallest:
        raise ValueError(f"n_vocab is {n_vocab}, must be at least {smallest} (bytes and specials)")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=list(TEXT_SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(texts), trainer)
    return TextTokenizer(tokenizer)
