"""How fast the codec listens and speaks, and whether a long stream costs more than a short one.

`make bench-codec` prints a table and writes benchmarks/codec.json. Weights are random: speed does
not depend on them. Every ratio comes from one run.
"""

import argparse
import os

import torch
from _codec_listening import measure_listening
from _codec_speaking import PARTS as SPEAKING
from _figures import report

PARTS = {**SPEAKING, "listening": measure_listening}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; default: all")
    chosen = parser.parse_args().parts or list(PARTS)
    found = []
    for part in chosen:
        torch.set_num_threads(os.cpu_count() or 1)
        found += PARTS[part]()
    report("codec", found, keep=len(chosen) == len(PARTS))
