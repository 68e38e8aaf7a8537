from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear
from torch import Tensor, nn

from finetune.training.low_rank import LowRankLinear, keep_pairs_together, low_rank

SHAPES = {"wider": (24, 8), "narrower": (8, 24), "square": (16, 16)}


def pair(shape: tuple[int, int], *, together: bool, **more: Any) -> PeftModel:
    torch.manual_seed(0)
    layers = nn.ModuleDict({"one": nn.Linear(shape[1], shape[0], bias=more.pop("bias", False))})
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["one"], init_lora_weights=False, **more)
    return get_peft_model(layers, keep_pairs_together(config) if together else config)  # type: ignore[arg-type,return-value] - a plain module


def run(model: PeftModel, x: Tensor, direction: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
    x = x.clone().requires_grad_()
    torch.manual_seed(1)  # for dropout
    y = model.get_base_model()["one"](x)  # type: ignore[index] - a ModuleDict
    (y * direction).sum().backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert x.grad is not None
    return y.detach(), {"x": x.grad, **found}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("more", [{}, {"lora_dropout": 0.5}, {"bias": True}, {"use_dora": True}])
def test_values_and_gradients_are_those_of_peft(shape: tuple[int, int], more: dict[str, Any]):
    x, direction = torch.randn(2, 5, shape[1]), torch.randn(2, 5, shape[0])
    (theirs, expected), (ours, found) = (run(pair(shape, together=t, **more), x, direction) for t in (False, True))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert found.keys() == expected.keys()
    assert len(found) == 3 + ("use_dora" in more)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradients_are_the_slopes_of_the_values(shape: tuple[int, int]):
    out, width = shape
    x, down, up = (torch.randn(n, dtype=torch.float64).requires_grad_() for n in ((3, width), (4, width), (out, 4)))
    weight = torch.randn(out, width, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *args: low_rank(args[0], weight, args[1], args[2], 1.5), (x, down, up))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_in_bfloat16_a_sum_is_rounded_no_worse_than_pefts(shape: tuple[int, int]):
    x, direction = torch.randn(200, shape[1]), torch.randn(200, shape[0])
    exact, _ = run(pair(shape, together=False), x, direction)
    errors: list[float] = []
    for together in (False, True):
        with torch.autocast("cpu", torch.bfloat16):
            rounded, gradients = run(pair(shape, together=together), x, direction)
        assert rounded.dtype == torch.bfloat16
        assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
        errors.append(float((rounded - exact).norm()))
    assert errors[1] < 1.1 * errors[0]


def test_switched_off_or_merged_it_does_as_peft_does():
    x = torch.randn(3, 8)
    model = pair((24, 8), together=True)
    layer = model.get_base_model()["one"]  # type: ignore[index,reportIndexIssue] - a ModuleDict
    assert isinstance(layer, LowRankLinear)
    with_pair = layer(x)
    with model.disable_adapter():
        torch.testing.assert_close(layer(x), layer.get_base_layer()(x))
    layer.merge()
    torch.testing.assert_close(layer(x), with_pair)


def test_what_is_kept_for_the_way_back_is_no_larger_than_the_input_and_the_pair():
    model = pair((64, 16), together=True)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = torch.randn(100, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.get_base_model()["one"](x)  # type: ignore[index] - a ModuleDict
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in kept}
    weights = sum(p.nbytes for p in model.parameters())
    assert sum(held.values()) <= x.nbytes + 4 * 100 * 4 + weights


def test_a_checkpoint_is_one_that_pefts_own_layer_reads():
    ours, theirs = pair((24, 8), together=True), pair((24, 8), together=False)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert "_custom_modules" not in ours.peft_config["default"].to_dict()
    assert type(theirs.get_base_model()["one"]) is Linear  # type: ignore[index] - a ModuleDict
