import torch

from moss_speech.training.attention_decoder import AttentionDecoder

N_CHARACTERS = 9


def decoder(width: int = 32) -> AttentionDecoder:
    torch.manual_seed(0)
    return AttentionDecoder(12, width, 2, N_CHARACTERS).eval()


def batch() -> tuple[torch.Tensor, ...]:
    """Vectors, which of them are inside, characters, and their numbers."""
    torch.manual_seed(1)
    inside_BN = torch.arange(10) < torch.tensor([[10], [4]])
    characters_BL = torch.tensor([[3, 4, 5, 6, 1], [7, 8, 0, 0, 0]])
    return torch.randn(2, 10, 12), inside_BN, characters_BL, torch.tensor([5, 2])


def test_character_is_scored_without_itself_and_what_follows():
    x_BND, inside_BN, characters_BL, _ = batch()
    before = decoder().scores(x_BND, inside_BN, characters_BL)
    characters_BL[:, 3] = 2
    after = decoder().scores(x_BND, inside_BN, characters_BL)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_loss_does_not_depend_on_padding():
    x_BND, inside_BN, characters_BL, n_characters_B = batch()
    together = decoder()(x_BND, inside_BN, characters_BL, n_characters_B)
    first = decoder()(x_BND[:1], inside_BN[:1], characters_BL[:1], n_characters_B[:1])
    second = decoder()(x_BND[1:, :4], inside_BN[1:, :4], characters_BL[1:, :2], n_characters_B[1:])
    assert torch.allclose(together, (first * 6 + second * 3) / 9, atol=1e-5)


def test_decoder_learns_to_read_what_the_vectors_say():
    """Random texts; chance is log(9) = 2.2, and without the vectors nothing better is possible."""
    torch.manual_seed(2)
    model, meaning = decoder().train(), torch.randn(N_CHARACTERS, 12)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    inside_BN, n_characters_B = torch.ones(32, 6, dtype=torch.bool), torch.full((32,), 6)
    for _ in range(250):
        characters_BL = torch.randint(1, N_CHARACTERS, (32, 6))
        loss = model(meaning[characters_BL], inside_BN, characters_BL, n_characters_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    characters_BL = torch.randint(1, N_CHARACTERS, (32, 6))
    unseen = model(meaning[characters_BL], inside_BN, characters_BL, n_characters_B)
    print(f"loss on unseen texts {float(unseen):.3f}")
    assert unseen < 0.3
