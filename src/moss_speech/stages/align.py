"""Stage align: cuts, codes and codec to data/borders."""

from collections import Counter

from moss_speech.codec.load import load_codec
from moss_speech.corpus.alignment import (
    AlignmentError,
    WordSpan,
    align_words,
    mean_word_codes,
    write_borders,
)
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import open_utterances
from moss_speech.params.align import Align
from moss_speech.records import report_progress
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json

Section = Align
_REPORT_EVERY = 500


def run(p: Align, io: StageIO) -> None:
    """Align every kept utterance; those that cannot be aligned are counted by reason."""
    codec = load_codec(io.inputs["codec"])
    store = CodeStore.open(io.inputs["codes"], codec.digest)
    utterances = open_utterances(io.inputs["clean"])
    borders: dict[str, list[WordSpan]] = {}
    left_out: Counter[str] = Counter()
    for done, (id_, utterance) in enumerate(utterances.items(), 1):
        try:
            borders[id_] = align_words(codec, store[id_], utterance.text, p.min_score)
        except AlignmentError as error:
            left_out[str(error)] += 1
        if done % _REPORT_EVERY == 0 or done == len(utterances):
            report_progress(done, len(utterances), "utterances aligned")
    summary = {
        "aligned": len(borders),
        "left_out": dict(left_out),
        "mean_word_codes": round(mean_word_codes(borders), 3),
    }
    with fresh_dir(io.output) as out:
        write_borders(out, borders)
        write_json(out / "summary.json", summary)
    io.tracker.metrics({"align/aligned": len(borders), "align/left_out": sum(left_out.values())})
