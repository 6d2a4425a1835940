"""The Trainer: the only owner of what changes while a model is trained."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial

from numpy.typing import NDArray

from . import checkpoint, fitting
from .block import Arrays
from .callbacks import Callback
from .clip import Clip
from .copies import Copied
from .data import Chunk, Feed, Reader, Source
from .errors import NonFiniteError
from .history import History
from .kernels.vectors import norm as norm_of
from .layers.draws import keys
from .losses import Loss
from .model import Model
from .not_finite import first_not_finite
from .optimizers import Optimizer
from .outcome import Step
from .passes import Pass, check_fit, check_learnable
from .probe import loss_errors
from .regularizers import Regularizer
from .schedules import ScheduleMemo
from .settings import Settings
from .task import Batch, Reach
from .truncation import Plan, Truncation
from .watch import Watch, flow, watch

__all__ = ["Trainer"]


class Trainer(Settings, Copied):
    """Trains a model on streams, window by window; what changes, and only that, lives here.

    Saving the trainer saves everything: a run that is loaded goes on bit for bit as it would have.
    So does one that ``copy.deepcopy`` or pickle made, and either learns for itself. All arguments
    but the model are attributes that may be set between two updates: see `Settings`.

    One thread trains. Others may evaluate, save or copy meanwhile: they wait for the end of an
    update, and the next one for them.

    Parameters
    ----------
    model : trained in place.
    loss, optimizer, truncation, clip : policies; ``clip=None`` clips nothing.
    regularizers : penalties on parameters, and noise on those that updates are run with.
    workers : threads, each with a share of the lanes, or of the units where lanes are few and
        layers large; None for what is best for this machine and the size of the model. Results are
        the same, to the bit, for the same number of workers; for another they differ by rounding,
        but with a `BatchNorm` by more.
    seed : of what is random in training, such as dropout; the same draws for any number of workers.
    callbacks : what happens on the way, in this order: see `Callback`.

    Attributes
    ----------
    n : finished updates, also those without a valid target, which change nothing: the optimizer and
        its learning rate do not count them.
    epoch : finished passes.
    time : steps of all updates, by which draws differ from step to step.
    seconds : spent in updates and evaluations.
    history : of all calls of `fit`.
    descent : the optimizer at work, with its moments and what it counts.
    memo : what the truncation remembers; the learning rate and callbacks have their own.
    under_way : how far the newest pass has come; None before the first.
    team : the workers, with their tapes; None before the first pass.

    Raises
    ------
    TypeError : if an argument is of the wrong kind.
    ValueError : if ``workers`` is not a positive integer or None, or a regularizer names a
        parameter that the model lacks, or a number of the optimizer or the clip, or ``clip_delta``
        is 0 or infinite in the model's dtype, or ``truncation`` cuts sequences, but a layer reads
        whole ones, or its ``memory`` cannot be had with a layer, or two callbacks write one file.
    """

    def __init__(
        self,
        model: Model,
        *,
        loss: Loss,
        optimizer: Optimizer,
        truncation: Truncation,
        clip: Clip | None = None,
        regularizers: Sequence[Regularizer] = (),
        workers: int | None = None,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self._begin(model, optimizer)
        self.n = self.epoch = self.time = 0
        self.seconds = 0.0
        self.loss, self.clip, self.seed = loss, clip, seed
        self.regularizers, self.truncation, self.workers = regularizers, truncation, workers
        self.callbacks = callbacks

    @property
    def rate(self) -> float:
        """The learning rate of the next update, without the factor that a truncation may give."""
        return self.descent.rate()

    @property
    def moments(self) -> Arrays:
        """What the optimizer carries from update to update, by name; written into, and never
        replaced."""
        return Arrays(self.descent.moments)

    @property
    def schedule_memo(self) -> ScheduleMemo:
        """What the learning rate remembers."""
        return self.descent.memo

    def steps(self, stream: Source) -> Iterator[Step]:
        """Train for one pass over ``stream``, update by update.

        The state is zero at the beginning and carried from window to window. A pass that was left
        before its end, in this process or before `save`, goes on where it was, if the stream has
        the same number of pairs and lanes; `restart` forgets it. A feed is known again only by a
        trainer that was loaded: another one in this process is another pass.

        Raises
        ------
        DataError, ShapeError : if the data does not fit the model or the loss; before any change.
        ValueError : if a window would cut a sequence that a layer reads whole; before any change.
        NonFiniteError : if a loss or a gradient is not finite, or a step would make a parameter, a
            moment or a buffer so; all of these stay as they were, and the pass is over.
        RuntimeError : if another thread trains with this trainer at the same time.
        """
        for step in self.updates(stream):
            self.callbacks.after_update(self, step)
            self.callbacks.save(self)
            yield step

    def updates(self, stream: Source) -> Iterator[Step]:
        """`steps`, whose caller tells the callbacks of each."""
        check_learnable(stream, self._model, self._loss, self._truncation)
        callbacks = self.callbacks
        callbacks.begin(self)
        source = stream.arranged(self.epoch)
        with self._turn.lock:
            if not self.goes_on(stream):
                self.team = self.team_for(stream.batch, stream.longest)
                self.under_way = Pass(stream.signature())
            here = self.under_way
            self._feed = stream if isinstance(stream, Feed) else None
        while here is self.under_way and not here.finished:
            if callbacks is not self.callbacks:
                callbacks = self.callbacks
                callbacks.begin(self)
            start = here.position
            reader = source.reader(start)
            if reader.begins:
                with self._turn.lock:
                    self._check_alone(here, start)
                    self.team.begin()
            memo = self.truncation.adapt(self.memo, self.n, partial(self._probe, source))
            plan = self.truncation.plan(self.n, source.left(start), memo)
            chunk = reader.take(plan.k1)
            if len(chunk.x) < plan.k1:
                plan = self.truncation.plan(self.n, len(chunk.x), memo)
            with self._turn.lock:
                self._check_alone(here, start)
                self.memo = memo
                keep = self._keep(source, reader)
                step = self._update(chunk, plan, keep)
                here.position, here.keep = reader.position, keep
                here.finished = reader.position == source.steps
                here.loss += step.loss * step.targets if step.targets else 0.0
                here.targets += step.targets
                self.epoch += here.finished
                self.descent.epochs += here.finished
            yield step

    def _check_alone(self, here: Pass, position: int) -> None:
        """Refuse to go on from a position that another thread has left meanwhile."""
        if here is not self.under_way or here.position != position:
            raise RuntimeError(
                "another thread trains with this trainer; each needs its own: "
                "copy.deepcopy(trainer) makes one"
            )

    def goes_on(self, stream: Source) -> bool:
        """Whether a pass over ``stream`` is under way."""
        here = self.under_way
        if here is None or here.finished or here.signature != stream.signature():
            return False
        return self._feed is None or self._feed is stream

    def watch(self) -> Watch:
        """A close look at the newest update: errors, saturation, and norms of every parameter.

        It reads what the update left, so look before the next one. Updates that nobody looks at
        cost nothing.

        Raises
        ------
        ValueError : if there was no update since the trainer was made, copied, loaded or told
            something new, or it failed.
        """
        with self._turn.lock:
            if self._newest is None:
                raise ValueError(
                    "there was no update since the trainer was made, copied, loaded or told "
                    "something new, or it failed"
                )
            k2, rate, shaped, clipping = self._newest
            update = self.descent.change(shaped.flat, rate, clipping)
            return watch(self.n, self._model, self.team, k2, self.truncation.bound, update)

    def restart(self) -> None:
        """Forget a pass that is under way: the next one begins at the beginning."""
        self.under_way = None

    def _keep(self, source: Source, reader: Reader) -> int:
        """How many of the steps before ``reader`` later updates may reach back into."""
        left = source.left(reader.position)
        if not left or reader.begins:
            return 0
        return self.truncation.older(self.n + 1, left, self.memo)

    def _probe(self, source: Source, steps: int) -> NDArray | None:
        """What `Probe` gives, for the next ``steps`` steps of the pass."""
        reader = source.reader(self.under_way.position)
        if source.left(reader.position) < steps:
            return None
        batch = Batch.of_chunk(self._model, self.loss, reader.take(2 * steps))
        return loss_errors(self._model, self.loss, batch, self.team.state(), steps)

    def _update(self, chunk: Chunk, plan: Plan, keep: int) -> Step:
        began, team, truncation, loss = time.perf_counter(), self.team, self._truncation, self._loss
        batch = Batch.of_chunk(self._model, loss, chunk, plan.losses, self._keys(chunk))
        team.reserve(max(plan.k2, team.kept + plan.k1), truncation.slides)
        reach = Reach(plan.k2, keep, truncation.bound, plan.weights)
        scale = None if plan.per is None else 1 / (plan.per * batch.x.shape[1])
        self._regularization.disturb(self._seed, self.n)
        total = team.forward_and_back(batch, loss, reach, scale)
        grads = team.gradient
        self._regularization.go_back(grads, self._seed, self.n)
        norm = norm_of(grads.flat)
        if not math.isfinite(total) or not math.isfinite(norm):
            raise self._failure(*first_not_finite(team))
        shaped, clipping = self._regularization.for_optimizer(grads, self._clip, norm)
        rate = 0.0
        if batch.count:
            rate = plan.rate * self.descent.rate()
            size = norm if shaped is grads else norm_of(shaped.flat)
            overflow = self.descent.step(team, shaped.flat, size, rate, clipping)
            if overflow:
                raise self._failure(*overflow)
        self.n += 1
        self.time += len(batch.x)
        self._newest = plan.k2, rate, shaped, clipping
        self.seconds += time.perf_counter() - began
        mean = total / batch.count if batch.count else math.nan
        norms = flow(team, plan.k2, reach.clip_delta)
        return Step(self.n, mean, batch.count, norm, grads, len(batch.x), plan.k2, norms, rate)

    def _keys(self, chunk: Chunk) -> NDArray | None:
        """For layers that do something else in training; None if there is none."""
        if not self._model.trains:
            return None
        return keys(self.seed, self.time, *chunk.x.shape[:2])

    def fit(
        self,
        train: Source,
        epochs: int,
        validation: Source | None = None,
        *,
        progress: bool = True,
    ) -> History:
        """Train for ``epochs`` passes over ``train``, the first of which may be under way.

        Parameters
        ----------
        validation : evaluated after each pass, as `evaluate` does.
        progress : whether to draw a progress bar on the standard error output.

        Returns
        -------
        The trainer's history: losses, gradient norms and times of all updates, and losses of all
        epochs, earlier calls included; and why it ended early, if a callback ended it.

        Raises
        ------
        ValueError : if ``epochs`` is not a positive integer, the data does not fit, or a callback
            or the learning rate watches the validation loss and there is no validation data.
        NonFiniteError : as for `steps`.
        """
        return fitting.fit(self, train, epochs, validation, progress)

    def observe(self, train_loss: float, validation_loss: float = math.nan) -> None:
        """Tell a learning rate that follows losses of an epoch's; `fit` does so after each."""
        self.descent.observe(train_loss, validation_loss)

    def evaluate(self, stream: Source) -> float:
        """The mean loss per valid target over ``stream``, without label smoothing.

        The state begins at zero and is carried. Neither the parameters nor a pass under way change.
        Memory does not grow with the stream, unless a layer reads whole sequences.

        Raises
        ------
        DataError, ShapeError : if the data does not fit the model or the loss.
        """
        check_fit(stream, self._model, self.loss)
        with self._turn.lock:
            began = time.perf_counter()
            found = self._evaluator.mean_loss(stream, self.loss)
            self.seconds += time.perf_counter() - began
        return found

    def _failure(self, what: str, where: str) -> NonFiniteError:
        """That ``what``, in layer ``where``, is not finite; the pass is over."""
        self.under_way = self._newest = None
        return NonFiniteError(
            f"update {self.n + 1}: {what} is not finite; the parameters are still those after "
            f"update {self.n}. A smaller learning rate, or clipping, may help.",
            self.n + 1,
            where,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to ``path`` (safetensors), wholly or not at all.

        Raises
        ------
        OSError : if the file cannot be written.
        TypeError : if a layer or a policy is not of this library: no file can bring it back; or if
            a callback remembers what no file can hold.
        """
        with self._turn.lock:
            checkpoint.save(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], callbacks: Sequence[Callback] | None = None
    ) -> Trainer:
        """The trainer that `save` wrote to ``path``, to go on as it would have.

        Parameters
        ----------
        callbacks : in place of those in the file, which only names those of this library. Each goes
            on from what one of its class remembered, if there was one.

        Raises
        ------
        FileNotFoundError : if there is no such file.
        FileFormatError : if it is not a whole and sound trainer file.
        TypeError : if it had callbacks that are not of this library, and ``callbacks`` is None.
        """
        return checkpoint.load(path, cls, callbacks)
