"""Who the settings say we are."""

import pytest

from moss_speech.settings import is_first_rank, settings

NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


@pytest.mark.parametrize("name", NAMES)
def test_process_that_a_launcher_numbers_above_0_is_not_the_first(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in NAMES:
        monkeypatch.delenv(other, raising=False)
    assert is_first_rank()
    monkeypatch.setenv(name, "0")
    assert is_first_rank()
    monkeypatch.setenv(name, "1")
    assert not is_first_rank()


def test_setting_that_cannot_be_used_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOSS_DTYPE", "fp17")
    settings.cache_clear()
    with pytest.raises(ValueError, match=r"MOSS_DTYPE cannot be used: .*'fp32' or 'bf16'") as found:
        settings()
    assert "fp17" not in str(found.value)
    monkeypatch.undo()
    settings.cache_clear()
