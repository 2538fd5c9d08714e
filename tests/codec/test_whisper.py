import struct

import pytest
import torch

from moss_speech.codec.whisper import read_ctranslate2, read_whisper_encoder


def text(value: str) -> bytes:
    content = value.encode() + b"\0"
    return struct.pack("<H", len(content)) + content


def tensor(name: str, value: torch.Tensor) -> bytes:
    kind = {torch.float32: 0, torch.float16: 4, torch.int8: 1}[value.dtype]
    content = value.numpy().tobytes()
    shape = b"".join(struct.pack("<I", n) for n in value.shape)
    head = text(name) + struct.pack("<B", value.ndim) + shape
    return head + struct.pack("<BI", kind, len(content)) + content


def packed(tensors: dict[str, torch.Tensor], spec: str = "WhisperSpec") -> bytes:
    head = struct.pack("<I", 6) + text(spec) + struct.pack("<II", 3, len(tensors))
    return head + b"".join(tensor(name, value) for name, value in tensors.items())


def test_ctranslate2_tensors_are_read_whatever_their_precision(tmp_path):
    written = {
        "a": torch.randn(2, 3),
        "b": torch.randn(4).half(),
        "c": torch.ones(2).to(torch.int8),
    }
    path = tmp_path / "model.bin"
    path.write_bytes(packed(written))
    read = read_ctranslate2(path)
    assert read.keys() == {"a", "b"}
    assert torch.equal(read["a"], written["a"])
    assert torch.equal(read["b"], written["b"].float())


def test_fused_projections_are_parted_and_the_key_bias_dropped(tmp_path):
    fused, bias = torch.arange(12.0).reshape(6, 2), torch.arange(6.0)
    name = "encoder/layer_3/self_attention/linear_0/"
    path = tmp_path / "model.bin"
    path.write_bytes(packed({name + "weight": fused, name + "bias": bias}))
    read = read_whisper_encoder(tmp_path)
    start = "layers.3.self_attn."
    assert torch.equal(read[start + "q_proj.weight"], fused[:2])
    assert torch.equal(read[start + "k_proj.weight"], fused[2:4])
    assert torch.equal(read[start + "v_proj.bias"], bias[4:])
    assert start + "k_proj.bias" not in read


@pytest.mark.parametrize(
    "content", [packed({}, "TransformerSpec"), packed({"a": torch.ones(9)})[:-4]]
)
def test_other_model_or_truncated_file_is_refused(tmp_path, content):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.bin is not a CTranslate2 Whisper model"):
        read_ctranslate2(path)


def test_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"neither model\.bin nor"):
        read_whisper_encoder(tmp_path)
