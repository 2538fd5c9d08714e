"""The published model counted without its weights."""

import pytest

from moss_speech.lm.plan import PUBLISHED_CONFIG, plan_lm


def test_published_config_has_446_tensors_and_its_parameters() -> None:
    plan = plan_lm(PUBLISHED_CONFIG, "bf16", n_gpus=64, gpu_bytes=80 * 2**30)
    assert (plan.tensors, plan.parameters) == (446, 9_095_694_336)
    assert plan.kv_bytes_per_row == 163_840
    frozen, joint, _ = plan.stages
    assert frozen.trainable == 4 * 192_946_432 + 2 * 16512 * 4096 + 4096
    assert joint.trainable == plan.parameters
    assert frozen.optimizer_bytes == frozen.trainable * 12 // 64
    assert joint.rows_that_fit is not None and joint.rows_that_fit > 0


def test_plan_for_no_gpu_is_refused() -> None:
    with pytest.raises(ValueError, match="n_gpus is 0"):
        plan_lm(PUBLISHED_CONFIG, "bf16", n_gpus=0)
