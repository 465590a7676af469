"""The videos of a batch, wherever they lie: local ones as they are, remote ones staged just before they are decoded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from extract.prefetch import prefetch
from extract.video import named_once, videos_at
from tal.cache import Cache, Entry, Stage
from tal.errors import BatchError, ConfigError, RemoteError, TalError
from tal.parsing import VIDEO_SUFFIXES
from tal.pipeline.context import Context, patience_of
from tal.progress import Progress, Task
from tal.settings import RuntimeSettings
from tal.storage import STAGED, Store, path_of, shown, url_of
from tal.storage import Stage as StagedFiles

Ready = Generator[tuple[Path, TalError | None], None, None]


class Sources:
    """Where videos come from.

    Remote videos are known by the paths of their local copies, which need not be there yet.

    Args:
        stage: Of the local copies; None where all videos are local, which costs nothing then.
    """

    def __init__(self, stage: StagedFiles | None = None) -> None:
        self.stage = stage

    def find(self, given: Sequence[Path | str]) -> list[Path]:
        """Return the video files among these paths and URLs and in the folders among them, sorted by name.

        Raises:
            InputError: If a path is missing, a folder holds no video, or two videos have one name.
            RemoteError: The same of a URL, or if it cannot be used.
        """
        found: list[Path] = []
        for one in given:
            url = url_of(one)
            found += videos_at(path_of(one)) if url is None or self.stage is None else self._videos_at(url)
        with self.naming():
            return named_once(found)

    def is_remote(self, path: Path) -> bool:
        """Return whether a path is that of a remote video's copy."""
        return self.stage is not None and self.stage.remote(path) is not None

    def address(self, path: Path) -> str | None:
        """Return a remote video's address, for people; None for a local one."""
        remote = self.stage.remote(path) if self.stage else None
        return shown(remote.url) if remote else None

    def look(self, path: Path) -> str | None:
        """Return what changes with a remote video; None for a local one, empty where the store does not tell."""
        remote = self.stage.remote(path) if self.stage else None
        if remote is None:
            return None
        return remote.look if remote.version else ""

    def digest(self, path: Path) -> str:
        """Return a remote video's digest if it is known without fetching it, else nothing."""
        return self.stage.sha256(path) if self.stage else ""

    def learn(self, path: Path, sha256: str) -> None:
        """Remember a remote video's digest that is known from elsewhere."""
        if self.stage:
            self.stage.learn(path, sha256)

    def noted(self, path: Path, sha256: str) -> dict[str, str]:
        """Return what an outlet notes of a remote video: nothing where the store does not tell versions apart."""
        remote = self.stage.remote(path) if self.stage else None
        if remote is None or not remote.version or not sha256:
            return {}
        return {"url": shown(remote.url), "look": remote.look, "sha256": sha256}

    def ahead(self, paths: Iterable[Path]) -> Ready:
        """Yield videos that may be read, or why one may not; a remote one is fetched while the one before is read.

        A video may be read until `done`.
        """
        items = self._fetched(paths)
        return prefetch(items, 1) if self.stage else items

    def done(self, path: Path) -> None:
        """Let go of a video that `ahead` yielded without an error."""
        if self.stage and self.is_remote(path):
            self.stage.unpin(path)

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """End what is being fetched when an error or an interruption passes through."""
        try:
            yield
        except BaseException:
            if self.stage:
                self.stage.stop()
            raise

    def named(self, text: str) -> str:
        """Return a text in which remote videos are called by their addresses."""
        return self.stage.named(text) if self.stage else text

    def naming(self) -> AbstractContextManager[None]:
        """Have errors call remote videos by their addresses."""
        return naming(self.stage) if self.stage else nullcontext()

    def _fetched(self, paths: Iterable[Path]) -> Ready:
        for path in paths:
            try:
                if self.stage and self.is_remote(path):
                    self.stage.pin(path)
                yield path, None
            except (RemoteError, OSError) as error:
                yield path, error if isinstance(error, TalError) else RemoteError(f"{path}: cannot be kept: {error}")

    def _videos_at(self, url: str) -> list[Path]:
        """Return the places of one object's copy, or of those of the videos below a URL."""
        if self.stage is None:
            raise ValueError("no stage")
        store = Store(url, self.stage.patience)
        one = None if url.endswith("/") else store.look()
        found = [one] if one else [r for name, r in store.list().items() if _is_video(name)]
        if not found:
            raise RemoteError(f"{shown(url)}: no video there; looked for {' '.join(VIDEO_SUFFIXES)}")
        return self.stage.place(found)


def _is_video(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


class StagedCache(Cache):
    """A cache that knows the digests of remote videos; one that is not known is fetched for it."""

    def __init__(self, cache: Cache, stage: StagedFiles) -> None:
        super().__init__(cache.root, cache.force)
        self.stage, self._cache = stage, cache

    def get(self, stage: Stage, fields: Mapping[str, Any], make: Callable[[Path], None]) -> Entry:
        """Return an output as the cache does."""
        return self._cache.get(stage, fields, make)

    def find(self, stage: Stage, fields: Mapping[str, Any]) -> Entry | None:
        """Return an output as the cache does."""
        return self._cache.find(stage, fields)

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file, or of the object whose copy lies, or would lie, at a path."""
        if self.stage.remote(path) is None:
            return self._cache.sha256(path)
        if known := self.stage.sha256(path):
            return known
        with self.stage.at_hand(path):
            return self.stage.sha256(path)


def at_hand(cache: Cache, path: Path) -> AbstractContextManager[Path]:
    """Have a video that may be read for a while; a remote one is fetched."""
    return cache.stage.at_hand(path) if isinstance(cache, StagedCache) else nullcontext(path)


def is_remote(cache: Cache, path: Path) -> bool:
    """Return whether a path is that of a remote video's copy."""
    return isinstance(cache, StagedCache) and cache.stage.remote(path) is not None


@contextmanager
def open_sources(given: Sequence[Path | str], ctx: Context) -> Iterator[tuple[Sources, Context]]:
    """Open what is needed for these videos: nothing where all are local.

    Raises:
        ConfigError: If a folder of flow images is a URL.
    """
    for name in (ctx.settings.extract.flow_images, ctx.settings.runtime.save_flow):
        if url := url_of(name):
            raise ConfigError(f"{shown(url)}: flow images must lie on this machine; name a local folder")
    if not any(url_of(one) for one in given):
        yield Sources(), ctx
        return
    stage = open_stage(ctx.cache.root, ctx.settings.runtime)
    told = replace(ctx, cache=StagedCache(ctx.cache, stage), progress=_Naming(ctx.progress, stage))
    try:
        with naming(stage):
            yield Sources(stage), told
    finally:
        stage.close()


def open_stage(root: Path, runtime: RuntimeSettings) -> StagedFiles:
    """Return the stage of a cache folder."""
    return StagedFiles(root / STAGED, runtime.stage_gb, patience_of(runtime))


@contextmanager
def naming(stage: StagedFiles) -> Iterator[None]:
    """Have errors call local copies by the addresses of what they are copies of."""
    try:
        yield
    except TalError as error:
        error.args = tuple(stage.named(one) if isinstance(one, str) else one for one in error.args)
        if isinstance(error, BatchError):
            error.failures = {name: stage.named(reason) for name, reason in error.failures.items()}
        raise


class _Naming:
    """Progress that calls local copies by addresses."""

    def __init__(self, progress: Progress, stage: StagedFiles) -> None:
        self._progress, self._stage = progress, stage

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Task]:
        """Open a bar."""
        with self._progress.task(title, total, unit) as task:
            yield task

    def say(self, text: str) -> None:
        """Tell one line."""
        self._progress.say(self._stage.named(text))

    def detail(self, text: str) -> None:
        """Tell one line to those who asked for more."""
        self._progress.detail(self._stage.named(text))
