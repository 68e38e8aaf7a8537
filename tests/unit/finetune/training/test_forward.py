from __future__ import annotations

import numpy as np
import pytest
import torch

from finetune.config import Lora, LossSettings
from finetune.training.adaptation import adapt
from finetune.training.batch import collate
from finetune.training.forward import audio_sums, compile_layers, shown
from finetune.training.loss import loss_parts, unwrap
from tests.unit.finetune.tiny import TEXTS, Base, turn

PLAIN = LossSettings(depth_share=1.0)


def test_a_frame_is_embedded_as_the_library_does_it(base: Base):
    embedding = base.model().backbone_model.embed_tokens
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 67, (5, 8)))
    with torch.no_grad():
        torch.testing.assert_close(audio_sums(embedding, codes), embedding(codes[None])[0])


def test_of_a_frame_shown_coarsely_the_first_codebooks_are_embedded(base: Base):
    embedding = base.model().backbone_model.embed_tokens
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 67, (5, 8)))
    kept = torch.arange(8) < torch.tensor([[8], [1], [3], [7], [8]])
    alone = [
        embedding.embed_audio_tokens(codes[n, :k] + 67 * torch.arange(k)).sum(0) for n, k in enumerate((8, 1, 3, 7, 8))
    ]
    with torch.no_grad():
        torch.testing.assert_close(audio_sums(embedding, codes, kept), torch.stack(alone))


def test_a_share_of_the_frames_is_shown_coarsely_and_always_with_its_first_codebook():
    torch.manual_seed(0)
    kept = shown(torch.zeros(4000, 8, dtype=torch.int64), 0.7)
    assert kept is not None
    assert kept[:, 0].all()
    assert ((kept.int().diff(dim=1)) <= 0).all()
    assert abs(float((~kept.all(1)).float().mean()) - 0.7) < 0.03
    assert shown(torch.zeros(4, 8, dtype=torch.int64), 0.0) is None


def test_what_is_shown_coarsely_changes_training_and_not_what_is_measured(base: Base):
    model = adapt(base.model(), Lora(type="lora", rank=4), {3}).model
    sample = base.sample(turn(9))
    batch = collate([sample], [sample.target])

    def loss(share: float) -> float:
        torch.manual_seed(1)
        return float(loss_parts(model, batch, LossSettings(depth_share=1.0, coarse_share=share)).first.detach())

    assert loss(1.0) != loss(0.0)
    model.eval()
    assert loss(1.0) == loss(0.0)


@pytest.mark.timeout(300)  # the compiler takes 15 s of an idle machine
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # the compiler looks at what comes in
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # the compiler does
def test_compiled_layers_give_the_same_loss_and_gradients_for_batches_of_any_size(base: Base):
    # the compiler's front end, which is what could part from the library; its code for a device is torch's own affair
    found: list[list[tuple[float, float]]] = []
    for compiled in (False, True):
        plain = base.model()  # before the seed: reading the checkpoint draws numbers too
        torch.manual_seed(0)
        model = adapt(plain, Lora(type="lora", rank=4), {3}).model
        if compiled:
            compile_layers(unwrap(model), backend="eager")
        own: list[tuple[float, float]] = []
        for sizes in ((4,), (6, 9), (3, 5, 8)):
            samples = [base.sample(turn(size, text=TEXTS[n], seed=n)) for n, size in enumerate(sizes)]
            model.zero_grad()
            parts = loss_parts(model, collate(samples, [sample.target for sample in samples]), PLAIN)
            (parts.first + parts.depth).backward()
            squares = sum(float((p.grad**2).sum()) for p in model.parameters() if p.grad is not None)
            own.append((float((parts.first + parts.depth).detach()), squares))
        found.append(own)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)
