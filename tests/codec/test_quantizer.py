import numpy as np
import torch
from torch import nn

from moss_speech.codec.quantizer import EmaCodebook, code_use, kmeans, nearest


def test_nearest_takes_the_lowest_of_equal_entries():
    book_KD = torch.tensor([[5.0, 5.0], [1.0, 0.0], [1.0, 0.0]])
    assert nearest(torch.tensor([[0.9, 0.1]]), book_KD).tolist() == [1]


def test_nearest_agrees_with_exact_distances_under_autocast():
    torch.manual_seed(0)
    x_VD, book_KD = torch.randn(200, 24), torch.randn(50, 24)
    exact = torch.cdist(x_VD.double(), book_KD.double()).argmin(-1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest(x_VD, book_KD), exact)


def test_kmeans_finds_separated_clusters():
    torch.manual_seed(0)
    centres_KD = 10 * torch.eye(8)
    x_VD = centres_KD.repeat(40, 1) + 0.01 * torch.randn(320, 8)
    book_KD = kmeans(x_VD, 8, rounds=20, generator=torch.Generator().manual_seed(1))
    assert torch.cdist(centres_KD, book_KD).min(1).values.max() < 5.1
    used = nearest(x_VD, book_KD).unique()
    assert len(used) == 8


def test_codebook_follows_its_vectors():
    table = nn.Embedding(2, 1)
    table.weight.data = torch.tensor([[-1.0], [1.0]])
    book = EmaCodebook(table, decay=0.5, dead_below=0.0)
    x_VD = torch.tensor([[-3.0], [3.0]])
    for _ in range(20):
        book.update(x_VD, nearest(x_VD, table.weight))
    assert torch.allclose(table.weight, x_VD, atol=1e-3)


def test_dead_code_restarts_at_a_vector_of_the_batch():
    table = nn.Embedding(3, 1)
    table.weight.data = torch.tensor([[0.0], [1.0], [1000.0]])
    book = EmaCodebook(table, decay=0.5, dead_below=0.2)
    x_VD = torch.tensor([[0.0], [0.1], [1.0], [1.1]])
    for _ in range(8):
        book.update(x_VD, nearest(x_VD, table.weight))
    assert table.weight.max() < 2


def test_code_use_counts_share_and_perplexity():
    use = code_use([np.array([0, 1]), np.array([0, 1])], n_codes=4)
    assert use == {"codes_used": 0.5, "perplexity": 2.0}


def test_use_counts_what_was_taken_and_not_what_restarted():
    table = nn.Embedding(4, 1)
    table.weight.data = torch.tensor([[0.0], [1.0], [1000.0], [2000.0]])
    book = EmaCodebook(table, decay=0.5, dead_below=0.1)
    x_VD = torch.tensor([[0.0], [1.0]])
    for _ in range(6):
        book.update(x_VD, torch.tensor([0, 1]))  # others restart, and never win
    assert book.use()["codes_used"] == 0.5
    assert round(book.use()["perplexity"], 3) == 2.0
