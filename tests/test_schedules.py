"""Learning rates over updates and epochs."""

import math

import numpy as np
import pytest
from helpers import Frozen, a_trainer

from bptt import SGD, Adam, Cosine, Exponential, OnPlateau, StepDecay, Stream, Trainer, WarmUp
from bptt.schedules import NO_MEMO, SCHEDULES

IDS = np.random.default_rng(7).integers(0, 6, 60)
TRAIN, VALID = Stream(IDS, 3), Stream(IDS[:20], 2)
"""Five updates a pass."""


def rates_on(schedule, losses):
    """Its rates before each of ``losses``, and after the last."""
    memo, found = NO_MEMO, [schedule.rate(0, 0)]
    for loss in losses:
        memo = schedule.observe(memo, math.nan, loss)
        found.append(schedule.rate(0, 0, memo))
    return found


def held(epoch, after):
    """``Exponential(1, 0.5, after)`` in an epoch, from 1 on, epoch by epoch."""
    rate = 1.0
    for later in range(2, epoch + 1):
        rate *= 0.5 if later > after else 1.0
    return rate


SENTENCES = {  # schedule: its rate in update u of epoch e, both from 1 on, as its docstring says
    Exponential(1.0, 0.5): lambda u, e: held(e, 0),
    Exponential(1.0, 0.5, after=1): lambda u, e: held(e, 1),
    Exponential(1.0, 0.5, after=10): lambda u, e: held(e, 10),
    StepDecay(1e-3, 0.1, every=3): lambda u, e: 1e-3 * 0.1 ** ((e - 1) // 3),
    Cosine(2.0, 0.5, 40): lambda u, e: (
        0.5 + 1.5 * (1 + math.cos(math.pi * min(u - 1, 40) / 40)) / 2
    ),
    WarmUp(7, 2.0): lambda u, e: 2.0 * min(u, 7) / 7,
    WarmUp(7, Cosine(2.0, 0.5, 20)): lambda u, e: (
        2.0 * u / 7 if u <= 7 else 0.5 + 1.5 * (1 + math.cos(math.pi * min(u - 8, 20) / 20)) / 2
    ),
    WarmUp(7, StepDecay(8.0, 0.5, 1)): lambda u, e: 8.0 * 0.5 ** (e - 1) * min(u, 7) / 7,
    OnPlateau(0.3): lambda u, e: 0.3,
}


@pytest.mark.parametrize("schedule", SENTENCES, ids=str)
def test_every_schedule_does_what_its_sentence_says(schedule):
    """Fifteen epochs of five updates."""
    trainer = a_trainer(optimizer=Frozen(schedule))
    for epoch in range(1, 16):
        for step in trainer.steps(TRAIN):
            assert step.rate == pytest.approx(SENTENCES[schedule](step.n, epoch), rel=1e-12)


def test_every_schedule_has_a_sentence():
    assert {type(schedule) for schedule in SENTENCES} == set(SCHEDULES.values())


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


PLATEAUS = {  # schedule, losses, and the rates before each and after the last
    "patience": (OnPlateau(8, 0.5, 1), [5, 4, 4, 4, 4, 3], [8, 8, 8, 8, 4, 4, 4]),
    "none": (OnPlateau(8, 0.5, 0), [5, 5, 5, 4, 6], [8, 8, 4, 2, 2, 1]),
    "threshold": (OnPlateau(8, 0.5, 0, threshold=0.1), [5, 4.6, 4.4, 4], [8, 8, 4, 4, 2]),
    "cooldown": (OnPlateau(8, 0.5, 0, cooldown=2), [5, 5, 5, 5, 5, 5], [8, 8, 4, 4, 4, 2, 2]),
    "final": (OnPlateau(8, 0.5, 0, final=3), [5, 5, 5, 5], [8, 8, 4, 3, 3]),
    "nan": (OnPlateau(8, 0.5, 1), [math.nan, math.nan, 5, 5], [8, 8, 4, 4, 4]),
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_on_a_plateau_it_is_reduced(name):
    schedule, losses, wanted = PLATEAUS[name]
    assert rates_on(schedule, losses) == wanted


def test_others_remember_nothing():
    for schedule in (Exponential(1.0, 0.5), WarmUp(3, 2.0), WarmUp(3, Cosine(1.0, 0.1, 5))):
        assert schedule.observe(NO_MEMO, 1.0, 2.0) == {}
        assert schedule.watches is None


def test_a_rise_before_a_plateau():
    schedule = WarmUp(4, OnPlateau(8.0, 0.5, 0))
    memo = schedule.observe(schedule.observe(NO_MEMO, 9.0, 5.0), 1.0, 5.0)
    assert [schedule.rate(n, 2, memo) for n in range(6)] == [1, 2, 3, 4, 4, 4]
    assert schedule.watches == "validation"
    assert WarmUp(4, OnPlateau(8.0, watch="training")).watches == "training"


def losses_like_training(seed, count=60):
    rng = np.random.default_rng(seed)
    return np.maximum(np.exp(-np.arange(count) / 20), 0.2) * rng.choice([1, 1, 1.00005, 1.1], count)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [
        {"factor": 0.5, "patience": 0},
        {"factor": 0.3, "patience": 2, "cooldown": 3},
        {"factor": 0.7, "patience": 1, "threshold": 0.05, "cooldown": 1, "final": 0.1},
        {"factor": 0.9, "patience": 3, "threshold": 0, "final": 0.5},
    ],
)
def test_a_plateau_as_pytorch_live(seed, options):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    names = {"final": "min_lr"}
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, eps=0, **{names.get(n, n): v for n, v in options.items()}
    )
    losses, wanted = losses_like_training(seed), [0.8]
    for loss in losses:
        theirs.step(loss)
        wanted.append(optimizer.param_groups[0]["lr"])
    assert rates_on(OnPlateau(0.8, **options), losses) == wanted
    assert len(set(wanted)) > 2


@pytest.mark.parametrize("watch", ["validation", "training"])
def test_a_trainer_tells_it_of_every_epoch(watch):
    """On real losses of a training that is too quick."""
    schedule = OnPlateau(8.0, 0.5, 0, watch=watch)
    trainer, rates = a_trainer(optimizer=SGD(WarmUp(7, schedule))), []
    for _ in range(20):
        trainer.fit(TRAIN, 1, VALID, progress=False)
        rates.append(trainer.rate)
    history = trainer.history
    losses = history.validation_loss if watch == "validation" else history.train_loss
    wanted = rates_on(OnPlateau(8.0, 0.5, 0), losses)[1:]
    assert rates[1:] == wanted[1:]
    assert rates[0] == wanted[0] * 6 / 7
    assert len(set(wanted)) > 2
    step = next(trainer.steps(TRAIN))
    assert step.rate == wanted[-1]


@pytest.mark.parametrize("after", [2, 5, 9])
def test_a_run_goes_on_with_what_it_remembers(tmp_path, after):
    optimizer = Adam(WarmUp(7, OnPlateau(0.5, 0.5, 0, cooldown=1)))
    trainer, other = a_trainer(optimizer=optimizer), a_trainer(optimizer=optimizer)
    trainer.fit(TRAIN, 12, VALID, progress=False)
    other.fit(TRAIN, after, VALID, progress=False)
    next(other.steps(TRAIN))
    other.save(tmp_path / "trainer")
    other = Trainer.load(tmp_path / "trainer")
    assert other.optimizer == optimizer
    other.fit(TRAIN, 12 - after, VALID, progress=False)
    assert other.schedule_memo == trainer.schedule_memo
    assert trainer.schedule_memo["rate"] < 0.3
    assert other.model.params.flat.tobytes() == trainer.model.params.flat.tobytes()


def test_without_validation_a_plateau_cannot_be_seen():
    trainer = a_trainer(optimizer=SGD(WarmUp(3, OnPlateau(1.0))))
    with pytest.raises(
        ValueError, match=r"OnPlateau.* watches the validation loss, but fit got no"
    ):
        trainer.fit(TRAIN, 1, progress=False)
    assert trainer.n == 0
    a_trainer(optimizer=SGD(OnPlateau(1.0, watch="training"))).fit(TRAIN, 1, progress=False)


def test_in_steps_it_is_told_by_hand():
    trainer = a_trainer(optimizer=SGD(OnPlateau(1.0, 0.5, 0)))
    for _ in range(3):
        rates = {step.rate for step in trainer.steps(TRAIN)}
        trainer.observe(math.nan, 5.0)
    assert rates == {0.5}
    plain = a_trainer()
    plain.observe(1.0)
    assert plain.schedule_memo == {}


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
        (lambda: OnPlateau(0, 0.5), "initial must be a positive number, got 0"),
        (lambda: OnPlateau(1.0, 1), "factor must be in .0, 1., got 1"),
        (lambda: OnPlateau(1.0, 0.5, -1), "patience must be an integer from 0 on, got -1"),
        (lambda: OnPlateau(1.0, 0.5, 1, 1.0), "threshold must be in .0, 1., got 1.0"),
        (lambda: OnPlateau(1.0, cooldown=0.5), "cooldown must be an integer from 0 on, got 0.5"),
        (lambda: OnPlateau(1.0, final=2.0), "final must be a number from 0 to initial, 1.0, got 2"),
        (lambda: OnPlateau(1.0, watch="test"), "watch must be 'validation' or 'training', got 'te"),
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
        ((1e-3, 0.9, -1), "after must be an integer from 0 on, got -1"),
    ],
)
def test_numbers_that_cannot_be(arguments, said):
    with pytest.raises(ValueError, match=said):
        Exponential(*arguments)
