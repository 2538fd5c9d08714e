"""Params of the language model's stages: init_backbone, pack, the three training stages."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from moss_speech.params.base import Params, Range, StageParams
from moss_speech.params.fit import FitParams

_SHORTEST_S = 0.08
"""What one code stands for."""


class Mixture(Params):
    """Shares of the kinds of training sequences; only their ratio counts."""

    t2t: float = Field(ge=0)
    s2t: float = Field(ge=0)
    t2s: float = Field(ge=0)
    s2s: float = Field(ge=0)
    asr: float = Field(ge=0)
    tts: float = Field(ge=0)
    interleave: float = Field(ge=0)
    copy_text: float = Field(ge=0)
    """Text that is to be repeated: text replay."""
    speech: float = Field(ge=0)
    """Whole clips as speech alone."""
    passage: float = Field(ge=0)
    """Texts of which some sentences are synthesised speech."""
    text: float = Field(ge=0)
    """The same texts, all typed."""

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if sum(self.model_dump().values()) <= 0:
            raise ValueError("every share is 0, at least one must be above 0")
        return self


class Pieces(Params):
    """How long the pieces of interleaved speech are; they end at word borders."""

    unit: Literal["words", "s"]
    range: Range
    """Shortest and longest piece; what is left at the end may be shorter."""

    @model_validator(mode="after")
    def _can_be_cut(self) -> Self:
        low, high = self.range
        if self.unit == "words" and (low < 1 or low % 1 or high % 1):
            raise ValueError(f"range is {self.range} words, must be whole numbers from 1 on")
        if low < _SHORTEST_S:
            raise ValueError(f"range is {self.range} s, must be at least {_SHORTEST_S} (a code)")
        return self


Shares = Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(max_length=1000)]
"""Shares by name; only their ratio counts. Empty: every item is equally likely."""


class Composition(Params):
    """How one stage's training sequences are drawn."""

    packed_rows: int = Field(ge=1)
    """Packed rows to make; training goes through them again if it needs more."""
    mixture: Mixture
    """Of the sequences, not of their rows: `data/packs/composition.md` has both."""
    languages: Shares
    """Of the languages (ISO 639-1) within a kind; names every language of the corpus."""
    sources: Shares
    """Of the corpus's sources within a language; names every source."""
    pieces: Pieces
    """Of `interleave`: typed and spoken in turn."""
    speech_from: Literal["untranscribed", "all"]
    """Clips of `speech`: those without words, or every training clip."""
    max_exchanges: int = Field(ge=1, le=16)
    """Most dialogues of one exchange that are joined to a conversation; each number up to it is
    equally likely. Longer dialogues stay as they are."""
    repeat_share: float | None = Field(ge=0, le=1)
    """Share of the dialogues that ask to repeat words, where the corpus has such; null: as many
    as there are."""
    splice_share: float = Field(ge=0, le=1)
    """Share of spoken answers that get one of the typical openings of their first words."""
    renditions: int = Field(ge=1)
    """Most typical renditions of an answer, and of an opening, that are learnt from."""
    tempo_jitter: float = Field(ge=0, le=0.5)
    """Share of the codes of what is heard that are dropped or doubled."""
    filler_share: float = Field(ge=0, le=1)
    """Share of the spoken questions that have stray words of other utterances between their own."""
    end_share: float = Field(ge=0, le=1)
    """Share of spoken replies whose closing text row is a target."""
    assistant_reads: bool
    """True: only the assistant's voice reads aloud; False: every training voice does."""


class LMFit(FitParams):
    """One training run of the language model."""

    packed_rows_per_step: int = Field(ge=1)
    packed_rows_per_pass: int = Field(ge=1)
    """Most packed rows that one rank computes at once; a step's rest follows in further passes."""
    activation_checkpointing: bool
    """True keeps one activation a layer and computes the rest again in the backward pass."""
    compile: Literal["inductor", "aot_eager"] | None
    """What torch.compile makes of a layer; null runs it as written."""
    dropout: float = Field(ge=0, lt=1)
    code_noise: float = Field(ge=0, lt=1)
    """Share of the codes heard that are replaced by random ones, anew each step."""
    reply_noise: float = Field(ge=0, lt=1)
    """The same for codes that are being learnt, where the model reads them back."""
    text_weight: float = Field(ge=0)
    speech_weight: float = Field(ge=0)


class Shape(Params):
    """Sizes of a backbone that is made here."""

    n_text_vocab: int = Field(ge=261)
    hidden_size: int = Field(ge=8)
    intermediate_size: int = Field(ge=8)
    n_trunk_layers: int = Field(ge=0)
    n_heads: int = Field(ge=1)
    n_kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=2)
    max_rows: int = Field(ge=64)
    rope_theta: float = Field(gt=1)


class Scratch(Params):
    """A tiny text model that is trained here."""

    kind: Literal["scratch"]
    shape: Shape
    context: int = Field(ge=64)
    text: Composition
    fit: LMFit


class Qwen3(Params):
    """A Qwen3 text checkpoint in Hugging Face layout."""

    kind: Literal["qwen3"]
    folder: str
    """A path from the project root, or `hub:OWNER/NAME@REVISION`."""
    accept_unlicensed: bool
    """True: the folder has no licence file, and whoever set this answers for using its weights."""
    ids: dict[Literal["pad", "im_start", "im_end", "sosp", "modality_pad", "audio_pad"], int]


class Released(Params):
    """A folder in the released MOSS-Speech layout, taken as it is."""

    kind: Literal["released"]
    folder: str
    """A path from the project root, or `hub:OWNER/NAME@REVISION`."""
    accept_unlicensed: bool
    """True: the folder has no licence file, and whoever set this answers for using its weights."""


class Started(Params):
    """The language model of the model in models/start, taken as it is."""

    kind: Literal["start"]
    accept_unlicensed: bool
    """True: that model was made from weights without a licence, and whoever set this answers for
    using them."""


class InitBackbone(StageParams):
    """Where the layer-split model comes from."""

    n_codes: int = Field(ge=2)
    n_tail_layers: int = Field(ge=0)
    source: Scratch | Qwen3 | Released | Started = Field(discriminator="kind")


class Pack(StageParams):
    """Packed sequences of the three training stages; null packs nothing for a stage."""

    context: int = Field(ge=64)
    frozen: Composition | None
    joint: Composition | None
    finetune: Composition | None


class PretrainFrozen(StageParams):
    """Speech embedding, tail and head learn; null hands the model on unchanged."""

    fit: LMFit | None


class Full(Params):
    """All weights learn from the first step on."""

    kind: Literal["full"]


class Shared(Params):
    """Trunk and speech side learn; the text side stays as it is."""

    kind: Literal["shared"]


class Layerwise(Params):
    """The speech side learns at once; text side and trunk join it from the last layer to the first.

    Each group has a warm-up and a cosine of its own in the steps that are left to it.
    """

    kind: Literal["layerwise"]
    layers_per_group: int = Field(ge=1)
    steps_per_group: int = Field(ge=1)
    """Steps from one group's start to the next one's; the first starts with the run."""
    lr_ratio: float = Field(gt=0, le=1)
    """Peak rate of a group as a part of that of the group before; 1 at the speech side."""


Unfreeze = Annotated[Full | Shared | Layerwise, Field(discriminator="kind")]


class PretrainJoint(StageParams):
    """Trunk and text side join the speech side; null hands the model on unchanged."""

    fit: LMFit | None
    unfreeze: Unfreeze


class Lora(Params):
    """Low-rank adapters beside the layers' projections, merged into them after training."""

    rank: int = Field(ge=1, le=1024)
    alpha: int = Field(ge=1)
    """An adapter's output is scaled by alpha / rank."""
    dropout: float = Field(ge=0, lt=1)
    """Of what goes into an adapter."""
    parts: list[Literal["trunk", "text", "audio"]] = Field(min_length=1)
    """Where adapters go: the shared layers, the tail of either channel."""
    modules: list[
        Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    ] = Field(min_length=1)
    """Which projections of a layer."""


class Finetune(StageParams):
    """The model learns to answer in the four pairings."""

    fit: LMFit
    lora: Lora | None
    """Train adapters alone; null trains every weight."""
    dev_items: int = Field(ge=0)
    """Development questions a cell that the report answers; 0 reports none."""
