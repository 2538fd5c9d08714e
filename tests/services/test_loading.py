"""What a service opens: the model with the voices that people added to the project."""

import gc
from pathlib import Path

from moss_speech.audio import write_audio
from moss_speech.bundle import SpeechParts
from moss_speech.decoder.voice import Rights
from moss_speech.inference.add_voice import Wanted, add_voice
from moss_speech.inference.turns import Turn
from moss_speech.inference.voices import store
from moss_speech.lm.slots import SlotDecoder
from moss_speech.settings import Settings
from services.loading import load_serving
from services.models import model_card
from services.runtime import load_runtime
from tests.tiny_bundle import spoken, tiny_bundle


def test_added_voices_are_served_by_name(project_root: Path) -> None:
    folder = tiny_bundle(project_root / "models")
    write_audio(project_root / "prompt.wav", spoken(rate_hz=24000), 24000)
    rights = Rights(licence="CC0-1.0", consent="synthetic, nobody's voice")
    wanted = Wanted("ann", project_root / "prompt.wav", rights, "", None)
    add_voice(wanted, SpeechParts.open(folder), store())
    runtime = load_runtime(Settings(root=project_root, model=str(folder)))
    try:
        assert model_card(runtime)["voices"] == ["assistant", "ann"]
        asked = [Turn("user", text="what color is the grass")]
        said = [runtime.engine.reply(asked, seed=0, voice=name) for name in ("assistant", "ann")]
        assert said[0].codes == said[1].codes
        assert said[0].audio.tolist() != said[1].audio.tolist()
    finally:
        runtime.close()


def test_warming_up_leaves_no_conversation_in_memory(project_root: Path) -> None:
    def places() -> int:
        gc.collect()
        return sum(isinstance(thing, SlotDecoder) for thing in gc.get_objects())

    before = places()
    chosen = Settings(root=project_root, model=str(tiny_bundle(project_root / "models")))
    engine, _ = load_serving(chosen)
    assert places() == before
    assert engine.voices
