import pytest
import torch
from torch.nn import functional as F

from lukasa.agents.few_shot import ConvEncoder, make_encoder
from lukasa.agents.few_shot.encoders import embed


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("side", "size"), [(16, 8), (20, 8), (28, 8), (32, 32), (84, 200)])
def test_conv4_halves_the_sides_four_times(side, size):
    encoder = make_encoder("conv4", (side, side), 8)
    assert encoder.size == size
    assert encoder(torch.rand(2, side, side)).shape == (2, size)


def test_conv4_has_64_channels_by_default_and_takes_coloured_pictures():
    encoder = make_encoder("conv4", (3, 20, 33))
    assert encoder.size == 64 * 1 * 2
    assert encoder(torch.rand(2, 3, 20, 33)).shape == (2, 128)


def test_conv4_is_four_times_convolution_batch_norm_relu_and_pooling():
    torch.manual_seed(0)
    encoder = ConvEncoder((20, 20), 3).double()
    values = dict(encoder.named_parameters())
    x = examples = pictures(6, 20, 20)
    x = x[:, None]
    for block in range(4):
        weight, bias, scale, shift = (
            values[f"blocks.{block}.{part}"] for part in ("0.weight", "0.bias", "1.weight", "1.bias")
        )
        patches = F.unfold(x, 3, padding=1)  # [n, C 9, H W]
        x = (weight.flatten(1) @ patches + bias[:, None]).unflatten(-1, x.shape[2:])
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        x = (x - mean) / (variance + 1e-5).sqrt() * scale[:, None, None] + shift[:, None, None]
        x = x.clamp(min=0)
        half = x.shape[-1] // 2
        x = x[..., : 2 * half, : 2 * half].unflatten(-1, (half, 2)).amax(-1).unflatten(-2, (half, 2)).amax(-2)
    torch.testing.assert_close(encoder(examples), x.flatten(1))


def test_batch_norm_uses_the_batch_in_training_and_running_statistics_in_evaluation():
    encoder = make_encoder("conv4", (16, 16), 4).double()
    shown = pictures(8, 16, 16)
    assert not torch.allclose(encoder(shown)[:4], encoder(shown[:4]))
    encoder.eval()
    torch.testing.assert_close(encoder(shown)[:4], encoder(shown[:4]))


def test_without_running_statistics_the_batch_decides_in_evaluation_too():
    encoder = ConvEncoder((16, 16), 4, running_statistics=False).double()
    shown = pictures(8, 16, 16)
    trained = encoder(shown)
    assert torch.equal(encoder.eval()(shown), trained)
    assert not torch.allclose(trained[:4], encoder(shown[:4]))
    assert not [name for name in encoder.state_dict() if "running" in name]


def test_identity_is_the_example_and_linear_takes_any_shape():
    shown = pictures(2, 3, 5)
    assert torch.equal(make_encoder("identity", (3, 5))(shown), shown.flatten(1))
    linear = make_encoder("linear", (3, 5), 7).double()
    assert linear(shown).shape == (2, 7)
    assert (make_encoder("identity", (3, 5)).size, linear.size) == (15, 7)


def test_embedding_keeps_every_example_in_its_place():
    encoder = make_encoder("identity", (2,))
    support, queries = pictures(2, 3, 4, 2), pictures(2, 5, 2, seed=1)
    known, asked = embed(encoder, support, queries)
    assert torch.equal(known, support)
    assert torch.equal(asked, queries)


def test_support_and_queries_of_all_episodes_share_batch_norm():
    encoder = make_encoder("conv4", (16, 16), 4).double()
    support, queries = pictures(2, 3, 2, 16, 16), pictures(2, 5, 16, 16, seed=1)
    known, _ = embed(encoder, support, queries)
    everything = encoder(torch.cat([support.flatten(0, 2), queries.flatten(0, 1)]))
    torch.testing.assert_close(known.flatten(0, 2), everything[:12])


@pytest.mark.parametrize("shape", [(15, 20), (20, 15), (20,), (1, 1, 20, 20)])
def test_conv4_refuses_what_is_no_picture_or_too_small(shape):
    with pytest.raises(ValueError, match=r"expected pictures of at least 16×16 pixels: enlarge them, or take"):
        make_encoder("conv4", shape)


def test_unknown_encoder_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="unknown encoder 'conv5': choose one of 'conv4', 'linear', 'identity'"):
        make_encoder("conv5", (20, 20))  # pyright: ignore[reportArgumentType]
