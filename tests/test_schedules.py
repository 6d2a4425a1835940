"""Learning rates over updates and epochs."""

import math

import pytest

from bptt import Cosine, Exponential, StepDecay, WarmUp


def test_it_holds_and_then_falls_by_a_factor_an_epoch():
    schedule = Exponential(2e-3, 0.97, after=10)
    assert [schedule.rate(0, epoch) for epoch in (0, 5, 10)] == [2e-3] * 3
    assert schedule.rate(123, 11) == 2e-3 * 0.97
    assert math.isclose(schedule.rate(0, 15), 2e-3 * 0.97**5)


def test_it_falls_from_the_beginning_unless_told_to_wait():
    assert Exponential(1.0, 0.5).rate(7, 3) == 0.125


def test_steps_every_so_many_epochs():
    schedule = StepDecay(8.0, 0.5, every=3)
    assert [schedule.rate(100, epoch) for epoch in range(8)] == [8, 8, 8, 4, 4, 4, 2, 2]


def test_half_a_cosine():
    schedule = Cosine(5.0, 1.0, updates=4)
    root = math.sqrt(2)
    wanted = [5, 3 + root, 3, 3 - root, 1, 1, 1]
    assert [schedule.rate(n, 9) for n in range(7)] == pytest.approx(wanted, rel=1e-14)
    assert Cosine(1.0, 0, 10).rate(10, 0) == 0


def test_a_rise_before_a_number():
    assert [WarmUp(4, 2.0).rate(n, 0) for n in range(6)] == [0.5, 1, 1.5, 2, 2, 2]


def test_a_rise_before_a_schedule():
    schedule, then = WarmUp(4, Cosine(8.0, 1.0, 10)), Cosine(8.0, 1.0, 10)
    assert [schedule.rate(n, 0) for n in range(5)] == [2, 4, 6, 8, 8]
    assert [schedule.rate(n, 0) for n in range(4, 20)] == [then.rate(n, 0) for n in range(16)]
    assert WarmUp(4, StepDecay(8.0, 0.5, 1)).rate(0, 1) == 1


def test_as_pytorch_live():
    torch = pytest.importorskip("torch")
    theirs = torch.optim.lr_scheduler

    def rates(make, count):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
        schedule, found = make(optimizer), []
        for _ in range(count):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found

    cosine = rates(lambda o: theirs.CosineAnnealingLR(o, 20, eta_min=0.01), 21)
    assert cosine == pytest.approx([Cosine(0.5, 0.01, 20).rate(n, 0) for n in range(21)])
    steps = rates(lambda o: theirs.StepLR(o, 3, gamma=0.2), 12)
    assert steps == pytest.approx([StepDecay(0.5, 0.2, 3).rate(0, epoch) for epoch in range(12)])
    rise = rates(lambda o: theirs.LinearLR(o, start_factor=0.2, total_iters=4), 8)
    assert rise == pytest.approx([WarmUp(5, 0.5).rate(n, 0) for n in range(8)])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StepDecay(1e-3, 0.1, 0), "every must be a positive integer, got 0"),
        (lambda: StepDecay(1e-3, 0, 3), "factor must be a positive number, got 0"),
        (lambda: Cosine(1e-3, -1, 10), "final must be a number from 0 on, got -1"),
        (lambda: Cosine(0, 1e-3, 10), "initial must be a positive number, got 0"),
        (lambda: Cosine(1e-3, 0, 1.5), "updates must be a positive integer, got 1.5"),
        (lambda: WarmUp(0, 1.0), "updates must be a positive integer, got 0"),
        (lambda: WarmUp(5, math.inf), "then must be finite, got inf"),
        (lambda: WarmUp(5, "fast"), "then must be a positive number, got 'fast'"),
    ],
)
def test_options_that_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 0.9), "initial must be a positive number, got 0"),
        ((1e-3, -0.9), "factor must be a positive number, got -0.9"),
        ((1e-3, 0.9, -1), "after must be at least 0, got -1"),
    ],
)
def test_numbers_that_cannot_be(arguments, said):
    with pytest.raises(ValueError, match=said):
        Exponential(*arguments)
