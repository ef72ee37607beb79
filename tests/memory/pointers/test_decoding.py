"""Greedy and beam search: what the rules allow, and nothing better beyond the beam."""

from itertools import permutations, product

import pytest
import torch

from lukasa.memory.pointers import POINTERS, Rules, answer_losses, decode, make_pointer

HULL = Rules(distinct=True, least=3)
TOUR = Rules(distinct=True, everything=True, first=True, least=3)
TRIANGLES = Rules(least=3, multiple=3)


def sets(sizes=(4, 5, 3), seed=0):
    torch.manual_seed(seed)
    return torch.rand(len(sizes), max(sizes), 2).double(), torch.tensor(sizes)


def model(name="pointer_network", seed=3):
    torch.manual_seed(seed)
    return make_pointer(name, 5, size=4, init=1.5).double().eval()


def answers_of(decoded):
    return [one[:length].tolist() for one, length in zip(decoded.answers, decoded.lengths, strict=True)]


def greedy_loop(model, points, size, rules, limit):
    """One set, step by step, the best choice that the rules allow."""
    encoded = model.encode(points[None, :size], torch.tensor([size]))
    state, chosen, answer = model.begin(encoded), None, []
    while True:
        scores, _, state = model.step(encoded, state, chosen)
        left = [j for j in range(size) if not (rules.distinct and j in answer) and len(answer) < limit]
        if rules.first and not answer:
            left = [0]
        ends = len(answer) == size if rules.everything else len(answer) >= rules.least
        ends = (ends and len(answer) % rules.multiple == 0) or not left
        choices = [-1] * ends + left
        best = max(choices, key=lambda j: float(scores[0, j + 1].detach()))
        if best < 0:
            return answer
        answer.append(best)
        chosen = torch.tensor([best + 1])


@pytest.mark.parametrize("name", POINTERS)
@pytest.mark.parametrize("rules", [HULL, TOUR, TRIANGLES])
def test_a_beam_of_one_is_greedy(name, rules):
    points, sizes = sets()
    limits = torch.where(torch.tensor(rules.distinct), sizes, 6)
    for seed in range(4):
        found = answers_of(decode(model(name, seed), points, sizes, rules, limits))
        for row, size in enumerate(sizes.tolist()):
            assert found[row] == greedy_loop(model(name, seed), points[row], size, rules, int(limits[row]))


def surprise(model, points, answer, rules, limit):
    """Of a whole answer, under the masks."""
    encoded = model.encode(points[None], torch.tensor([len(points)]))
    state, chosen, total = model.begin(encoded), None, 0.0
    for place, choice in enumerate([*answer, -1]):
        used = torch.zeros(1, len(points), dtype=torch.bool)
        used[0, list(answer[:place])] = True
        allowed = rules.allowed(torch.tensor([len(points)]), used, place, torch.tensor([limit]))
        scores, _, state = model.step(encoded, state, chosen)
        total -= float(torch.log_softmax(scores.masked_fill(~allowed, -torch.inf), -1)[0, choice + 1])
        chosen = torch.tensor([choice + 1])
    return total


@pytest.mark.parametrize("name", POINTERS)
@pytest.mark.parametrize("rules", [HULL, TOUR, TRIANGLES])
def test_a_beam_of_everything_is_exhaustive_search(name, rules):
    points, sizes = sets((4,))
    pointing = model(name)
    limit = 4 if rules.distinct else 3
    if rules.everything:
        answers = [(0, *rest) for rest in permutations(range(1, 4))]
    elif rules.distinct:
        answers = [one for length in (3, 4) for one in permutations(range(4), length)]
    else:
        answers = list(product(range(4), repeat=3))
    best = min(answers, key=lambda one: surprise(pointing, points[0], one, rules, limit))
    found = decode(pointing, points, sizes, rules, torch.tensor([limit]), beams=200)
    assert answers_of(found) == [list(best)]
    assert float(found.surprise[0]) == pytest.approx(surprise(pointing, points[0], best, rules, limit))


def test_a_wider_beam_never_has_a_more_surprising_answer_here():
    points, sizes = sets((5, 5, 4, 3), seed=5)
    found = [decode(model(), points, sizes, TOUR, sizes, beams=width).surprise for width in (1, 100)]
    assert (found[1] <= found[0] + 1e-12).all()


@pytest.mark.parametrize("beams", [1, 3])
def test_tours_are_permutations_from_the_first_point(beams):
    points, sizes = sets((5, 4, 3, 5))
    for seed in range(5):
        for answer, size in zip(
            answers_of(decode(model(seed=seed), points, sizes, TOUR, sizes, beams=beams)), sizes.tolist(), strict=True
        ):
            assert answer[0] == 0
            assert sorted(answer) == list(range(size))


def test_rules_of_hulls_and_triangles_hold():
    points, sizes = sets((5, 4, 3, 5))
    for seed in range(5):
        for answer in answers_of(decode(model(seed=seed), points, sizes, HULL, sizes, beams=2)):
            assert len(set(answer)) == len(answer) >= 3
        for answer in answers_of(decode(model(seed=seed), points, sizes, TRIANGLES, torch.full((4,), 9))):
            assert len(answer) in (3, 6, 9)


def test_surprise_without_masks_is_the_loss():
    points, sizes = sets()
    free = Rules()
    found = decode(model(), points, sizes, free, torch.full((3,), 50), beams=4)
    losses = answer_losses(model()(points, sizes, found.answers), found.answers, found.lengths)
    torch.testing.assert_close(found.surprise, losses)


def test_what_is_wiped_is_gone():
    points, sizes = sets((4, 4))
    limits = torch.tensor([4, 4])
    wiped = decode(model(), points, sizes, HULL, limits, wipe="keys")
    # Points that look alike have equal attention at the first step; none of it is known apart.
    assert wiped.attention[0, 0].std() == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="no part 'memory'"):
        decode(model(), points, sizes, HULL, limits, wipe="memory")
    with pytest.raises(ValueError, match="beams is 0"):
        decode(model(), points, sizes, HULL, limits, beams=0)


def test_no_sets_have_no_answers():
    nothing = torch.zeros(0, dtype=torch.int64)
    points, _ = sets()
    found = decode(model(), points[:0], nothing, HULL, nothing, beams=2)
    assert (found.answers.shape, found.lengths.shape) == ((0, 0), (0,))
