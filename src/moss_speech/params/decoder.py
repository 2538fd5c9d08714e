"""Numbers of the decoder stages: shapes of flow network and vocoder, their losses and batches."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from moss_speech.params.base import Params, StageParams
from moss_speech.params.fit import FitParams


def _odd(kernel: int) -> int:
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError("must be odd")
    return kernel


Odd = Annotated[int, AfterValidator(_odd)]


class FlowShape(Params):
    """Size and habits of a flow network; `presets/paper.yaml` holds the published ones."""

    embedding_rows: int = Field(ge=2)
    """Rows of the code embedding; at least the codec's number of codes."""
    width: int = Field(ge=8, multiple_of=2)
    n_heads: int = Field(ge=1)
    ffn_width: int = Field(ge=8)
    n_layers: int = Field(ge=1)
    """Conformer layers at the code rate."""
    n_up_layers: int = Field(ge=1)
    """Conformer layers at the frame rate."""
    lookahead_codes: int = Field(ge=1, le=25)
    speaker: Literal["mel-statistics", "given"]
    """Where a voice's speaker vector comes from: its own mel, or a speaker encoder (CAM++ as
    published, whose file lies beside the decoder; else the packaged one, of width 256)."""
    speaker_width: int = Field(ge=1)
    channels: int = Field(ge=8)
    """Width of the estimator."""
    attention_heads: int = Field(ge=1)
    head_width: int = Field(ge=4)
    n_mid_blocks: int = Field(ge=0)
    n_transformers: int = Field(ge=1)
    """Transformer blocks after each convolution block of the estimator."""
    chunk_codes: int = Field(ge=0, le=250)
    """Attention sees whole chunks of so many codes and everything before; 0 sees all."""
    context_codes: int = Field(ge=1)
    """Codes before its own chunk that attention sees beside the voice; whole chunks."""
    voice_codes: int = Field(ge=1, le=375)
    """Codes of a voice that are used at most, counted from its end: they stay in view, at a
    price. Of these the first ones that would make the reply's first chunk wait are left out."""
    cache: Literal["fp32", "bf16"]
    """Type in which a stream keeps keys and values."""
    steps: int = Field(ge=0, le=100)
    """Euler steps; 0 speaks the coarse mel that otherwise conditions the flow."""
    guidance: float = Field(ge=0, le=5)
    noise_scale: float = Field(ge=0, le=2)
    noise_frames: int = Field(ge=100)
    """Length of the published noise; a longer reply goes on with noise of the next seeds."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.n_heads:
            raise ValueError(f"width {self.width} is no multiple of n_heads {self.n_heads}")
        if self.chunk_codes and self.context_codes % self.chunk_codes:
            raise ValueError(
                f"context_codes is {self.context_codes}, must be a multiple of chunk_codes "
                f"({self.chunk_codes})"
            )
        return self

    def require_chunks(self) -> None:
        """`ValueError` for a network that sees everything at once and cannot speak before it."""
        if self.chunk_codes == 0:
            raise ValueError("chunk_codes is 0, must be at least 1 to speak before the end")

    def used_codes(self, n_voice: int) -> int:
        """How many of a voice's last codes are used: whole chunks, then as many as the look-ahead.

        So a reply's first chunk holds no more of the voice than it must. Short voices are whole.
        """
        n = min(n_voice, self.voice_codes)
        if self.chunk_codes and n >= self.chunk_codes + self.lookahead_codes:
            n -= (n - self.lookahead_codes) % self.chunk_codes
        return n


class VocosShape(Params):
    """Size of a mel-to-wave network whose windows are whole frames."""

    kind: Literal["vocos"]
    width: int = Field(ge=8, multiple_of=2)
    ffn_width: int = Field(ge=8)
    n_blocks: int = Field(ge=1)
    kernel: int = Field(ge=3, le=15)
    lookahead_frames: int = Field(ge=0)
    """Future mel frames that the first convolution sees; all others are causal."""
    n_fft: int = Field(ge=16)
    """Length of the inverse Fourier transform's window, in samples."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.lookahead_frames >= self.kernel:
            raise ValueError(
                f"lookahead_frames is {self.lookahead_frames}, must be 0..{self.kernel - 1} "
                f"(kernel is {self.kernel})"
            )
        return self


class HiftShape(Params):
    """Size of the released kind of vocoder; `presets/paper.yaml` holds the published numbers."""

    kind: Literal["hift"]
    channels: int = Field(ge=2)
    """Width at the mel's rate; each stage halves it."""
    upsample_rates: list[Annotated[int, Field(ge=2)]] = Field(min_length=1)
    upsample_kernels: list[int]
    n_fft: int = Field(ge=4, multiple_of=2)
    """Window of the Fourier transforms of source and output, in samples."""
    resblock_kernels: list[Odd] = Field(min_length=1)
    source_kernels: list[Odd]
    """Kernel of the source's residual block of each stage."""
    dilations: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    n_harmonics: int = Field(ge=0)
    """Overtones of the source."""
    f0_channels: int = Field(ge=2)
    lookahead_frames: int | None = Field(ge=0, le=6)
    """None: convolutions are centred, as published, and all they see of the future is waited for.
    A number: they are causal, but for the first ones, which see so many future frames."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rates, kernels = self.upsample_rates, self.upsample_kernels
        if len(kernels) != len(rates) or len(self.source_kernels) != len(rates):
            raise ValueError(
                f"upsample_kernels {kernels} and source_kernels {self.source_kernels} must have "
                f"one entry for each of upsample_rates {rates}"
            )
        for rate, kernel in zip(rates, kernels, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(f"upsample kernel {kernel}, must be {rate}, {rate + 2}, ...")
        if self.channels % 2 ** len(rates):
            raise ValueError(f"channels is {self.channels}, must be halved {len(rates)} times")
        return self


VocoderShape = Annotated[VocosShape | HiftShape, Field(discriminator="kind")]
"""Size of a mel-to-wave network."""


class Continued(StageParams):
    """A stage whose network may go on from an earlier one, or stay as that was."""

    start: str | None
    """Folder of a network to begin with, such as an imported one; null begins from nothing."""
    keep: bool
    """True takes that folder as it is, and nothing is trained."""

    @model_validator(mode="after")
    def _has_what_it_keeps(self) -> Self:
        if self.keep and self.start is None:
            raise ValueError("keep is true and start is null, which leaves nothing to keep")
        return self


class TrainDecoder(Continued):
    """Section train_decoder."""

    model: FlowShape
    fit: FitParams
    batch: int = Field(ge=1)
    crop_codes: int = Field(ge=4)
    """Codes of one training sequence."""
    answer_share: float = Field(ge=0, le=1)
    """Part of the sequences made of the assistant's answers."""
    other_voices_share: float = Field(ge=0, le=1)
    """Part of the sequences spoken by other voices; the rest is the assistant's other clips."""
    prompt_share: float = Field(ge=0, le=1)
    """Part of the sequences whose beginning is given as a voice prompt."""
    prompt_max_ratio: float = Field(ge=0, lt=1)
    """Longest prompt as a part of its sequence."""
    unconditional_share: float = Field(ge=0, lt=1)
    """Part of the sequences that the flow sees without conditions, for guidance."""
    coarse_weight: float = Field(ge=0)
    """Weight of the L1 of the coarse mel; above 0 the flow's loss does not shape that mel."""
    flow_weight: float = Field(ge=0)
    """Weight of the flow's loss; 0 trains the coarse mel alone."""
    flow_share: float = Field(gt=0, le=1)
    """Part of the sequences that the flow learns from; it costs as much as the coarse mel."""
    code_noise: float = Field(ge=0, lt=1)
    """Part of the codes replaced by random ones."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.answer_share + self.other_voices_share > 1:
            raise ValueError(
                f"answer_share {self.answer_share} and other_voices_share "
                f"{self.other_voices_share} add up to more than 1"
            )
        return self


class Adversarial(Params):
    """Discriminators that teach a vocoder beside its other losses."""

    from_step: int = Field(ge=0)
    """First step with them; until then the vocoder learns from the other losses alone."""
    weight: float = Field(gt=0)
    """Weight of passing for real speech."""
    feature_weight: float = Field(ge=0)
    """Weight of the likeness of the discriminators' inner maps."""
    lr_ratio: float = Field(gt=0, le=10)
    """The discriminators' learning rate as a part of the vocoder's."""
    periods: list[Annotated[int, Field(ge=2)]]
    """Discriminators of the wave, by the distance of the samples they compare."""
    fft_sizes: list[Annotated[int, Field(ge=32, multiple_of=4)]]
    """Discriminators of spectra, by their windows in samples."""
    channels: int = Field(ge=1)
    """Width of their first layers."""

    @model_validator(mode="after")
    def _has_some(self) -> Self:
        if not self.periods and not self.fft_sizes:
            raise ValueError("periods and fft_sizes are both empty, must name a discriminator")
        return self


class TrainVocoder(Continued):
    """Section train_vocoder."""

    model: VocoderShape
    fit: FitParams
    batch: int = Field(ge=1)
    crop_frames: int = Field(ge=8)
    other_voices_share: float = Field(ge=0, le=1)
    """Part of the crops spoken by other voices than the assistant's."""
    mel_weight: float = Field(ge=0)
    fft_sizes: list[Annotated[int, Field(ge=32, multiple_of=4)]]
    """Windows of the spectral loss, in samples; none leaves it out."""
    f0_weight: float = Field(ge=0)
    """Weight of the L1 of the pitch, in units of 100 Hz; for `hift` alone."""
    adversarial: Adversarial | None
    """Discriminators; null trains without."""
