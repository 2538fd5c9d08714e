"""Stage encode_corpus: cuts and codec to data/codes."""

from moss_speech.codec.load import load_codec
from moss_speech.codec.quantizer import code_use
from moss_speech.corpus.encode import encode_corpus
from moss_speech.corpus.encoding import CodeStore
from moss_speech.corpus.items import open_utterances
from moss_speech.params.encode_corpus import EncodeCorpus
from moss_speech.settings import settings
from moss_speech.stages.runner import StageIO
from moss_speech.storage import fresh_dir, write_json

Section = EncodeCorpus


def run(p: EncodeCorpus, io: StageIO) -> None:
    """Encode every kept utterance and write one store."""
    folder, device = io.inputs["codec"], settings().device
    processes = p.threads if device == "cpu" else 1
    codec = load_codec(folder)
    utterances = list(open_utterances(io.inputs["clean"]).values())
    codes = encode_corpus(utterances, folder, p.shard_items, io.run_folder, processes, device)
    use = code_use(codes.values(), codec.config.n_codes)
    with fresh_dir(io.output) as out:
        CodeStore.write(out, codes, codec.config.n_codes, codec.digest)
        write_json(out / "summary.json", use | {"utterances": len(codes)})
    io.tracker.metrics({f"codes/{name}": value for name, value in use.items()})
