from __future__ import annotations

import torch

from finetune.codec.model import mimi_config
from finetune.codec.quantizer import Codebook, Quantizer
from tests.unit.finetune.codec.small import SHAPE


def _clusters(count: int, each: int, *, dim: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = 5 * torch.randn(count, dim, generator=generator)
    return centres, centres.repeat(each, 1) + 0.01 * torch.randn(count * each, dim, generator=generator)


def _far(book: Codebook, centres: torch.Tensor) -> float:
    return float(torch.cdist(centres, book.table).amin(1).max())


def test_a_codebook_begins_among_the_latents() -> None:
    torch.manual_seed(0)
    centres, latents = _clusters(8, 40)
    book = Codebook(16, 4)
    book.begin(latents)
    assert _far(book, centres) < 0.2


def test_a_codebook_follows_latents_that_move() -> None:
    torch.manual_seed(0)
    centres, latents = _clusters(8, 40)
    book = Codebook(16, 4)
    book.begin(latents)
    for _ in range(400):
        book.follow(latents + 3.0, book.nearest(latents + 3.0))
    assert _far(book, centres + 3.0) < 0.2


def test_a_code_that_nothing_falls_to_is_put_where_something_is() -> None:
    torch.manual_seed(0)
    _, latents = _clusters(8, 40)
    book = Codebook(16, 4)
    book.embed_sum.fill_(1000.0)
    book.embed_sum[0] = latents.mean(0)
    for _ in range(600):
        book.follow(latents, book.nearest(latents))
    assert float(book.table.abs().max()) < 30.0
    assert float(book.perplexity()) > 4.0


def test_perplexity_counts_codes_as_if_evenly_used() -> None:
    book = Codebook(16, 2)
    for _ in range(500):
        book.follow(torch.zeros(4, 2), torch.tensor([0, 1, 2, 3]))
    assert abs(float(book.perplexity()) - 4.0) < 1e-3


def test_the_gradient_passes_straight_through_the_codes() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(mimi_config(SHAPE)).eval()
    latents = torch.randn(4, SHAPE.hidden, 50, requires_grad=True)
    quantizer.begin(latents.detach())
    through, around = quantizer(latents), quantizer(latents, continuous=True)
    assert not torch.allclose(through.latents, around.latents)
    weights = torch.randn_like(latents)
    (first,) = torch.autograd.grad((through.latents * weights).sum(), latents)
    (second,) = torch.autograd.grad((around.latents * weights).sum(), latents)
    torch.testing.assert_close(first, second)


def test_codebooks_stand_still_outside_training() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(mimi_config(SHAPE)).eval()
    before = [book.embed_sum.clone() for book in quantizer.codebooks()]
    quantizer(torch.randn(1, SHAPE.hidden, 5))
    assert all(torch.equal(a, book.embed_sum) for a, book in zip(before, quantizer.codebooks(), strict=True))


def test_each_codebook_says_what_those_before_left_over() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(mimi_config(SHAPE)).train()
    latents = torch.randn(8, SHAPE.hidden, 40)
    quantizer.begin(latents)
    acoustic = quantizer.acoustic_residual_vector_quantizer
    rest = acoustic.input_proj(latents).transpose(1, 2).flatten(0, 1).detach()
    sizes = [float(rest.norm())]
    for book in acoustic.codebooks():
        rest = rest - book.table[book.nearest(rest)]
        sizes.append(float(rest.norm()))
    assert sizes == sorted(sizes, reverse=True)
