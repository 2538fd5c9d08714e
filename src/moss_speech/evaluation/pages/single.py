"""The page of one run: a single file with everything in it, rendered from saved records."""

from collections.abc import Mapping
from typing import Any

from moss_speech.evaluation.codec_rows import codec_rows
from moss_speech.evaluation.pages import about
from moss_speech.evaluation.pages.examples import Examples
from moss_speech.evaluation.pages.render import render
from moss_speech.evaluation.pages.rows import MAIN_CELLS, TITLES, row, share_rows
from moss_speech.evaluation.pages.sounds import Sounds
from moss_speech.evaluation.pages.subject import Subject
from moss_speech.evaluation.suites import REPEAT_TITLES
from moss_speech.params.evaluate import PageParams

MAX_ROWS = 200
"""Rows of a table that a page holds."""
_MAX_WORDS = 300
"""Characters of a cell of the reject table."""
_HEARING = {
    "voice": "unseen voices",
    "wording": "unseen wordings",
    "both": "both unseen",
    "synthesizer": "a synthesizer never heard",
    "salad": "strings of random words",
    "human": "people",
}
_SECTIONS = {
    "scores": "Scores",
    "limits": "Limits",
    "failures": "Failures",
    "successes": "Right answers",
    "spectra": "Spectrograms",
    "tokenizer": "Tokenizer",
    "codec": "Codec",
    "corpus": "Corpus",
    "packs": "Mixture",
    "curves": "Training",
    "latency": "Speed",
    "cost": "Cost",
    "decisions": "Decisions",
    "lineage": "Lineage",
    "params": "Params",
    "method": "Method",
}


def render_single(subject: Subject, p: PageParams) -> str:
    """The page of one evaluation and of what led to it."""
    sounds = Sounds(p.max_bytes)
    context = _figures(subject) | _examples(subject, p, sounds)
    context |= _material(subject.evaluation.report) | _about(subject)
    context["n_unread"] = len(sounds.unread)
    context["sections"] = [(id, title) for id, title in _SECTIONS.items() if context[id]]
    return render("single.html", context)


def _figures(subject: Subject) -> dict[str, Any]:
    evaluation = subject.evaluation
    report, rows = evaluation.report, share_rows(evaluation)
    words, gap = report.get("word_error", {}), report.get("speech_gap")
    main = MAIN_CELLS if evaluation.is_own else tuple(rows)
    return {
        "name": subject.name,
        "suite": "" if evaluation.is_own else evaluation.name,
        "headline": rows.get("s2s"),
        "in_text": rows.get("s2t"),
        "scores": [rows[name] for name in main if name in rows],
        "limits": [r for name, r in rows.items() if name not in main],
        "repeat_rows": [row(n, t, words[n]) for n, t in REPEAT_TITLES.items() if n in words],
        "gap": row("speech_gap", "", gap) if gap else None,
        "text": report.get("text"),
        "confidence": evaluation.sampling.confidence,
        "method": _method_rows(report["method"]) if evaluation.is_own else _suite_method(report),
    }


def _method_rows(method: Mapping[str, Any]) -> list[tuple[str, str]]:
    judges = method["judges"]
    heard = {
        "whisper": "the words that tell the answer from others",
        "sphinx": "the whole answer, chosen from all answers",
    }
    found = [(f"judge {k}", f"{v}: {heard[k]}" if k in heard else v) for k, v in judges.items()]
    return [
        ("answers", f"{method['decoding']}; the test split, drawn with seed {method['seed']}"),
        *found,
        ("figure", "mean of both verdicts; neither recogniser took part in training or cleaning"),
        ("text answers", "right if they are the whole answer: lower case, digits spelt out"),
        ("codes", "right if the answer rendition nearest by edit distance says the right words"),
        ("intervals", f"{method['resamples']} resamples of whole facts and whole voices at once"),
        ("bundle", method["bundle"]),
    ]


def _suite_method(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How an outside suite was asked, with the keys of its report."""
    about = report["suite"]
    found = {
        "kind": about["kind"],
        "items": f"{report['n_items']}, {len(report['left_out'])} answers left out",
        "seed": report["seed"],
        "intervals": f"{about['resamples']} resamples of whole items and whole voices at once",
        **{f"prompt {route}": prompt for route, prompt in report["prompts"].items()},
        "normalisation": report["normalisation"],
        **{f"recogniser {k}": v for k, v in (report["recogniser"] or {}).items()},
        "model": f"{report['model']['address']}, {report['model']['digest']}",
        "suite": report["suite_digest"],
    }
    return [(name, str(value)[:1000]) for name, value in list(found.items())[:MAX_ROWS]]


def _examples(subject: Subject, p: PageParams, sounds: Sounds) -> dict[str, Any]:
    examples = Examples(subject.evaluation, TITLES, p, sounds)
    hero, failures, successes = examples.hero(), examples.failures(), examples.successes()
    return {
        "n_answered": examples.n_answered,
        "n_failures": examples.n_failures,
        "hero": hero,
        "failure_cards": failures,
        "failures": examples.n_answered > 0,
        "successes": successes,
        "spectra": examples.spectra(),
    }


def _material(report: Mapping[str, Any]) -> dict[str, Any]:
    codec = report.get("codec")
    return {
        "codec": codec_rows(codec) if codec else [],
        "codec_rates": codec["rates"] if codec else {},
        "tokenizer": _tokenizer(report["tokenizer"]) if "tokenizer" in report else None,
        "corpus": _corpus(report["corpus"]) if "corpus" in report else None,
    }


def _tokenizer(hearing: Mapping[str, Any]) -> dict[str, Any]:
    heard = hearing["word_error"]
    return {
        "rows": [row(n, title, heard[n]) for n, title in _HEARING.items() if n in heard],
        "used": round(hearing["codes_used"] * hearing["n_codes"]),
        "size": hearing["n_codes"],
        "perplexity": hearing["perplexity"],
    }


def _corpus(corpus: Mapping[str, Any]) -> dict[str, Any]:
    rejects = corpus["rejects"]
    flaws = [_reject(r) for r in rejects["rows"]]
    shown = {r["flaw"] or r["reason"]: r for r in reversed(flaws)}
    more = [r for r in flaws if r not in shown.values()]
    return {
        "composition": corpus["composition"],
        "n_rejects": len(flaws),
        "rejects_shown": sorted(shown.values(), key=lambda r: (r["flaw"] is None, r["id"])),
        "rejects_more": more[:MAX_ROWS],
        "n_left_out": max(0, len(more) - MAX_ROWS),
        "reasons": list(rejects["reasons"].items()),
        "n_deliberate": rejects["deliberate"],
        "n_deliberate_caught": rejects["deliberate_caught"],
    }


def _reject(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: row[key][:_MAX_WORDS] for key in ("id", "reason", "value", "allowed")}
    return found | {"flaw": row.get("flaw")}


def _about(subject: Subject) -> dict[str, Any]:
    of = subject.lineage
    return {
        "verdict": about.verdict(of),
        "latency": about.latency_tiles(subject.latency),
        "curves": about.drawn_curves([subject.curves]),
        "packs": about.packed_kinds(subject.packs),
        "cost": about.cost(subject.stages),
        "decisions": of.decisions if of else (),
        "lineage": about.lineage_rows(subject),
        "sources": of.sources if of else (),
        "data": list(of.data.items()) if of else [],
        "params": sorted(subject.params.items())[:1000],
    }
