"""Videos, shards, labels and detections in S3: against a real server on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import Batch
from s3 import BUCKET, served
from small import OPTIONS, Done, World, tal

from tal.errors import RemoteError
from tal.storage import Store, retrying

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiobotocore"),
]
VIDEOS, OUT = f"s3://{BUCKET}/videos", f"s3://{BUCKET}/work/features"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    patch = pytest.MonkeyPatch()
    with served(patch) as client:
        yield client
    patch.undo()


@pytest.fixture
def s3(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of an empty bucket."""
    monkeypatch.setattr(retrying, "FIRST_S", 0.001)
    for one in server.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        server.delete_object(Bucket=BUCKET, Key=one["Key"])
    return server


def put(client: Any, **texts: str) -> None:
    for name, text in texts.items():
        client.put_object(Bucket=BUCKET, Key=f"videos/{name}.mp4", Body=f"{name} {text}".encode())


def keys(client: Any) -> set[str]:
    return {one["Key"] for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def body(client: Any, key: str) -> bytes:
    return bytes(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def remote_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    folder.mkdir(exist_ok=True)
    batch = Batch(folder, monkeypatch)
    batch.videos, batch.out = VIDEOS, OUT  # type: ignore[assignment]
    return batch


def test_shards_in_a_bucket_are_those_of_a_local_run(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, a="", b="fail", c="damaged")
    remote, local = remote_batch(tmp_path / "r", monkeypatch), Batch(tmp_path, monkeypatch)
    local.add(a="", b="fail", c="damaged")
    there, here = remote.extract(), local.extract()
    assert there.made == here.made == ("a", "c") and there.remarks == here.remarks
    assert there.failures == {"b": f"{VIDEOS}/b.mp4: broken"}
    assert there.to_dict()["shards"] == {name: f"{OUT}/{name}.safetensors" for name in ("a", "c")}
    assert {name: body(s3, f"work/features/{name}.safetensors") for name in ("a", "c")} == local.content()
    assert not list((tmp_path / "r" / "cache" / "outputs").rglob("*.safetensors")), "what was sent is not kept here"


def test_nothing_is_fetched_again_to_find_that_shards_are_current(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, a="", b="")
    one = remote_batch(tmp_path / "one", monkeypatch)
    one.extract()
    fetched: list[str] = []
    monkeypatch.setattr(Store, "fetch", lambda self, remote, path: fetched.append(remote.url))
    another = remote_batch(
        tmp_path / "another", monkeypatch
    )  # a machine that knows nothing but what lies in the bucket
    for machine in (one, another):
        report = machine.extract()
        assert (report.made, report.kept, fetched) == ((), ("a", "b"), [])


def test_a_video_that_is_replaced_is_made_anew(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, a="", b="")
    batch = remote_batch(tmp_path, monkeypatch)
    batch.extract()
    put(s3, a="new")
    assert batch.extract().made == ("a",)
    assert batch.extract().made == ()


def test_a_damaged_or_foreign_object_is_made_anew(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, a="", b="", c="")
    batch = remote_batch(tmp_path, monkeypatch)
    batch.extract()
    whole = {name: body(s3, f"work/features/{name}.safetensors") for name in "abc"}
    s3.put_object(Bucket=BUCKET, Key="work/features/a.safetensors", Body=whole["a"][:-1])
    s3.put_object(Bucket=BUCKET, Key="work/features/b.safetensors", Body=b"not a shard")
    s3.delete_object(Bucket=BUCKET, Key="work/features/c.safetensors")
    assert batch.extract().made == ("a", "b", "c")
    assert {name: body(s3, f"work/features/{name}.safetensors") for name in "abc"} == whole


def test_what_could_not_be_sent_is_sent_by_the_next_run(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, a="", b="")
    batch, send = remote_batch(tmp_path, monkeypatch), Store.put

    def refuses_b(self: Store, path: Path, url: str) -> Any:
        if url.endswith("b.safetensors"):
            raise RemoteError(f"{url}: cannot be written")
        return send(self, path, url)

    monkeypatch.setattr(Store, "put", refuses_b)
    report = batch.extract()
    assert report.made == ("a",) and report.failures == {"b": f"{OUT}/b.safetensors: cannot be written"}
    monkeypatch.setattr(Store, "put", send)
    put(s3, b="")  # the same content under a new time
    report = batch.extract()
    assert (report.made, report.kept, report.failures) == ((), ("a", "b"), {}), "made before, so only sent"
    assert "work/features/b.safetensors" in keys(s3)


def test_a_missing_bucket_is_told_before_anything_is_decoded(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, a="segv")
    batch = remote_batch(tmp_path, monkeypatch)
    batch.out = "s3://no-such-bucket/features"  # type: ignore[assignment]
    with pytest.raises(RemoteError, match=r"^s3://no-such-bucket/features/\.tal/README: nothing there; check the addr"):
        batch.extract()
    batch.videos = f"s3://{BUCKET}/none"  # type: ignore[assignment]
    with pytest.raises(RemoteError, match=rf"^s3://{BUCKET}/none: no video there; looked for \.3gp"):
        batch.extract()


def test_a_watched_child_reads_and_writes_the_bucket(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, a="", b="fail")
    report = remote_batch(tmp_path, monkeypatch).extract("all")
    assert (report.made, report.failures) == (("a",), {"b": f"{VIDEOS}/b.mp4: broken"})
    assert "work/features/a.safetensors" in keys(s3) and "work/features/b.safetensors" not in keys(s3)


def test_missing_credentials_are_told_with_a_remedy(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from s3 import close_sessions

    close_sessions()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(RemoteError, match=r"^s3://bucket/x: access denied \(.*\); set AWS_ACCESS_KEY_ID and AWS_SECRE"):
        Store(f"s3://{BUCKET}/x").look()
    close_sessions()


def test_the_stages_from_bucket_to_bucket(s3: Any, world: World, ran: Done, tmp_path: Path) -> None:
    def run(*arguments: object) -> Done:
        done = tal(*arguments, cwd=tmp_path, cache=tmp_path / "cache")
        assert done.returncode == 0, done.stderr
        assert str(tmp_path) not in done.stdout + done.stderr, "what is told names URLs, not copies"
        return done

    def s3_url(key: str) -> str:
        return f"s3://{BUCKET}/{key}"

    for file in (*world.data.videos.rglob("*.mp4"), world.data.labels, world.data.annotations):
        s3.upload_file(str(file), BUCKET, f"videos/{file.name}" if file.suffix == ".mp4" else file.name)
    assert f"10 shards in {OUT} (10 made, 0 kept)" in run("extract", VIDEOS, "-o", OUT, *OPTIONS).stderr
    for shard in (world.folder / "out" / "features").glob("*.safetensors"):
        assert body(s3, f"work/features/{shard.name}") == shard.read_bytes()
    trained = run("train", "-l", s3_url("labels.csv"), "-f", OUT, "--runs", s3_url("runs"), *OPTIONS)
    assert trained.stdout == f"{s3_url('runs/stpn')}\n"
    assert b'"step": 20' in body(s3, "runs/stpn/metrics.jsonl")
    model, found = ("--model", s3_url("runs/stpn")), s3_url("detections.json")
    run("localize", VIDEOS, *model, "-f", OUT, "-o", found, *OPTIONS[-2:])
    features, here = world.folder / "out" / "features", {"cwd": tmp_path, "cache": tmp_path / "other"}
    tal("train", "-l", world.data.labels, "-f", features, "--runs", tmp_path / "runs", *OPTIONS, **here)
    tal("localize", "--model", tmp_path / "runs/stpn", "-f", features, "-o", tmp_path / "local.json", **here)
    expected = json.loads((tmp_path / "local.json").read_text())["results"]
    assert json.loads(body(s3, "detections.json"))["results"] == expected
    told = run("evaluate", found, s3_url("annotations.json"), "--subset", "test", "--json")
    evaluated = tal("evaluate", "local.json", world.data.annotations, "--subset", "test", "--json", **here)
    local = json.loads(evaluated.stdout)
    assert json.loads(told.stdout)["video_map"] == local["video_map"] > 0
    status = json.loads(run("status", OUT, "--json").stdout)
    assert (status["folder"], status["counts"]["done"], status["lost"], status["others"]) == (OUT, 10, 0, 0)
    planned = json.loads(run("extract", VIDEOS, "-o", OUT, "--dry-run", "--json", *OPTIONS).stdout)
    assert {one["action"] for one in planned["videos"]} == {"keep"}
    assert planned["videos"][0]["path"] == f"{VIDEOS}/test_0000.mp4"
    wrong = tal("evaluate", s3_url("labels.csv"), s3_url("labels.csv"), cwd=tmp_path, cache=tmp_path / "cache")
    assert wrong.returncode == 1 and s3_url("labels.csv") in wrong.stderr and str(tmp_path) not in wrong.stderr
