"""One thread: networks this small are slowed down by more."""

import torch

torch.set_num_threads(1)
