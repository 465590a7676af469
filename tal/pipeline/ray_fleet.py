"""The driver of the Ray engine: workers on all nodes, videos handed out, what happened written down.

The driver holds every video's lock and writes the ledger, so that other processes, on Ray or not, may fill the same
folder. Each worker is asked one question at a time (`Worker.exchange`) and has a bounded number of videos, which is all
the back-pressure that is needed: frames never leave a worker. A worker that dies is replaced, a node that goes is done
without, a node that comes is used.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extract.video import video_name
from tal.errors import BackendError
from tal.pipeline.claims import half_written
from tal.pipeline.filling import Filling
from tal.pipeline.ray_cluster import RayOptions, Share, shares_of
from tal.pipeline.ray_desk import SHORTAGE, Desk
from tal.pipeline.ray_hands import Bars, Hand, found, how_ended
from tal.pipeline.ray_orders import Orders, Parcel, parcel_of
from tal.pipeline.ray_post import Event
from tal.pipeline.ray_worker import Worker

LOOK_S = 2.0
"""Between two looks at which nodes there are."""
PATIENCE_S = 60.0
"""How long a batch waits for a node that can work."""
LAST_WORD_S = 30.0
"""How long workers may take to end well."""
MAX_DEATHS = 3
"""Workers on one node that may die in a row without having ended a video."""


class Fleet:
    """Workers on a cluster that make the videos of one folder.

    Args:
        ray: The module, connected.
        options: Sizes of workers.
        orders: For a worker of some cores.
        weights: Stream to a reference to the content of its weights.
        filling: Keeps the locks and the ledger.
        desk: Which videos.
        bars: What the user sees.
    """

    def __init__(
        self,
        ray: Any,
        *,
        options: RayOptions,
        orders: Orders,
        weights: Mapping[str, Any],
        filling: Filling,
        desk: Desk,
        bars: Bars,
    ) -> None:
        self._ray, self._options, self._orders, self._weights = ray, options, orders, weights
        self._filling, self._desk, self._bars = filling, desk, bars
        self._hands: dict[str, Hand] = {}
        self._calls: dict[Any, Hand] = {}
        self._deaths: Counter[str] = Counter()
        self._said: set[str] = set()
        self._looked_s, self._idle_since_s, self._n_started = float("-inf"), time.monotonic(), 0
        self._last = "no node offers any"

    def work(self) -> None:
        """Hand out videos until none is left.

        Raises:
            BackendError: If no node can work, or all workers died.
        """
        while self._desk.n_left:
            self._staff()
            self._give()
            ready, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=1.0) if self._calls else ([], [])
            for call in ready:
                self._hear(call)
            if not self._calls:
                time.sleep(0.2)

    def finish(self) -> None:
        """Let workers end well; what they say last counts."""
        calls = {hand.actor.finish.remote(): hand for hand in self._hands.values() if hand.ready}
        done, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=LAST_WORD_S) if calls else ([], [])
        for call in done:
            try:
                self._note(calls[call], self._ray.get(call))
            except self._ray.exceptions.RayActorError:
                continue  # all that it made is written down

    def close(self) -> None:
        """End all workers at once, and add up how long stages worked."""
        for hand in list(self._hands.values()):
            self._dismiss(hand)

    def _staff(self) -> None:
        """Start a worker for each share of a node that has none."""
        if time.monotonic() - self._looked_s < LOOK_S:
            return
        self._looked_s = time.monotonic()
        shares = shares_of(self._ray.nodes(), self._options, self._orders.settings["runtime"]["device"])
        wanted = Counter(share for share in shares if self._deaths[share.node] < MAX_DEATHS)
        for share in (wanted - Counter(hand.share for hand in self._hands.values())).elements():
            if len(self._hands) < self._desk.n_left:
                self._start(share)
        if any(hand.ready for hand in self._hands.values()):
            self._idle_since_s = time.monotonic()
        elif self._hands:
            self._complain()
        elif time.monotonic() - self._idle_since_s > (0 if self._deaths else PATIENCE_S):
            raise BackendError(f"no Ray worker can go on: {self._last}")

    def _complain(self) -> None:
        """Say that no worker starts."""
        if time.monotonic() - self._idle_since_s > PATIENCE_S:
            self._say_once(
                "no Ray worker has started yet: 'ray status' shows what the cluster is busy with; going on when there "
                "is room, which smaller workers (--worker-cpus) find sooner"
            )

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._filling.target.ctx.progress.say(text)

    def _start(self, share: Share) -> None:
        there = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(share.node, soft=False)
        made = self._ray.remote(Worker).options(
            num_cpus=share.n_cpus, num_gpus=share.n_gpus, scheduling_strategy=there, max_restarts=0
        )
        orders = self._orders.sized(share.n_cpus, share.n_gpus)
        self._n_started += 1
        hand = Hand(f"{self._n_started}", share, made.remote(orders, dict(self._weights)))
        self._hands[hand.id] = hand
        self._calls[hand.actor.start.remote()] = hand
        size = f"{share.n_cpus} cores" + (f", {share.n_gpus:g} GPU" if share.n_gpus else "")
        self._filling.target.ctx.progress.detail(f"a worker with {size} on {share.host}")

    def _give(self) -> None:
        """Ask every worker that is not being asked: it gets videos and tells what happened."""
        asked = set(self._calls.values())
        n = sum(hand.ready for hand in self._hands.values())
        for hand in [one for one in self._hands.values() if one.ready and one not in asked]:
            parcels = [self._parcel(path) for path in self._desk.hand(hand.id, n, self._claim)]
            if parcels or self._desk.held(hand.id):
                self._calls[hand.actor.exchange.remote(parcels)] = hand

    def _claim(self, path: Path) -> bool:
        return self._filling._claim(path, self._bars.videos)

    def _parcel(self, path: Path) -> Parcel:
        return parcel_of(path, self._filling._keys[path], self._filling.target.ctx.cache)

    def _hear(self, call: Any) -> None:
        """Take one worker's answer."""
        hand = self._calls.pop(call)
        try:
            events = self._ray.get(call)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            self._lose(hand, *how_ended(self._ray, hand, error))
        else:
            hand.ready = True
            self._note(hand, events)

    def _note(self, hand: Hand, events: list[Event]) -> None:
        """Write down what a worker told."""
        progress, tally = self._filling.target.ctx.progress, self._filling.tally
        for kind, value in events:
            if kind == "record":
                tally.count(value)
                self._filling.target.ledger.finish(value)
            elif kind == "there":
                self._filling.target.ledger.mend(value)
            elif kind == "key":
                self._learn(*value)
            elif kind == "ended":
                self._end(hand, Path(value))
            elif kind == "snippets":
                self._bars.snippets.advance(value)
            elif kind == "seconds":
                hand.seconds = value
            elif kind == "trouble":
                self._give_up(hand, value)
            elif kind == "short":
                self._lose(hand, value, SHORTAGE)
            elif kind == "say":  # what every worker says is said once
                self._say_once(value)
            elif value not in self._said:
                self._said.add(value)
                progress.detail(value)

    def _learn(self, path: str, key: str, sha256: str) -> None:
        """Remember what only a worker could tell, who has fetched the video."""
        self._filling._keys[Path(path)] = key
        self._filling.target.sources.learn(Path(path), sha256)

    def _end(self, hand: Hand, path: Path) -> None:
        self._desk.ended(hand.id, path)
        self._deaths.pop(hand.share.node, None)
        self._filling._release(path)
        self._bars.videos.advance(1, video_name(path))

    def _give_up(self, hand: Hand, why: str) -> None:
        """Do without a node on which nothing can be made."""
        self._last = why
        self._deaths[hand.share.node] = MAX_DEATHS
        self._filling.target.ctx.progress.say(f"a Ray worker is left out: {why}")
        for path in self._desk.returned(hand.id):
            self._filling._release(path)
        self._dismiss(hand)

    def _lose(self, hand: Hand, how: str, blame: float) -> None:
        """Have others make what a worker had that is gone."""
        if blame == SHORTAGE:
            self._say_once("where memory runs out, a larger --worker-cpus puts fewer workers on a node")
        for path in self._desk.held(hand.id):
            if record := found(self._filling, path):
                self._note(hand, [("record", record), ("ended", str(path))])
        self._deaths[hand.share.node] += 1
        self._last = f"on {hand.share.host}: {how}"
        self._filling._halves.update(half_written(self._filling.target.folder))
        again, poison = self._desk.lost(hand.id, blame)
        for path in (*again, *poison):
            self._filling._release(path)
        for path in poison:
            self._filling.poison(path, self._filling._keys[path], how)
            self._bars.videos.advance(1, video_name(path))
        n = f"{len(again)} video{'s' * (len(again) != 1)}"
        self._filling.target.ctx.progress.say(f"a Ray worker on {hand.share.host} is gone ({how}); {n} go elsewhere")
        self._dismiss(hand)

    def _dismiss(self, hand: Hand) -> None:
        if self._hands.pop(hand.id, None) is not None:
            self._filling.tally.work(hand.seconds)
            self._calls = {call: one for call, one in self._calls.items() if one is not hand}
            self._ray.kill(hand.actor)
