"""From bucket to bucket on a cluster of several raylets: workers fetch and send, whatever becomes of them."""

from __future__ import annotations

import os
from pathlib import Path

import faulty
import pytest
from ray_made import Raylets, faulty_env
from s3 import BUCKET, ENVIRONMENT, served

from tal.pipeline import extract, ray_extraction
from tal.pipeline.engines import resolved
from tal.pipeline.parts import Selection
from tal.pipeline.ray_extraction import extract_on_ray
from tal.settings import RuntimeSettings, Settings
from tal.storage import Store

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiobotocore"),
]
VIDEOS, OUT, HERE = (f"s3://{BUCKET}/{name}" for name in ("videos", "work/features", "here"))
TEXTS = {**dict.fromkeys("abcd", ""), "bad": "fail", "gap": "damaged", "late": ""}


def test_from_bucket_to_bucket(raylets: Raylets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch) as s3:
        for name, text in TEXTS.items():
            s3.put_object(Bucket=BUCKET, Key=f"videos/{name}.mp4", Body=f"{name} {text}".encode())
        batch = faulty.Batch(tmp_path, monkeypatch)
        batch.videos, batch.out = VIDEOS, HERE  # type: ignore[assignment]
        monkeypatch.setattr(ray_extraction, "recipe_for", faulty.engines().recipe)
        chosen = resolved(Settings().extract.model_copy(update={"decoder": "pyav", "streams": ("rgb",)}))
        settings = Settings(extract=chosen, runtime=RuntimeSettings(isolate="none"))
        given = {"progress": batch.heard, "cache": batch.cache}
        env = {name: os.environ[name] for name in (*ENVIRONMENT, "AWS_ENDPOINT_URL")}
        with raylets.joined(**faulty_env(**env, TAL_CACHE=str(tmp_path / "node"))), monkeypatch.context() as patched:
            patched.setattr(Store, "fetch", None)  # no video passes the driver
            report = extract_on_ray(VIDEOS, OUT, settings, **given)
            again = extract_on_ray(VIDEOS, OUT, settings, selection=Selection(skip=("bad",)), **given)
        here = extract(VIDEOS, HERE, settings, **given)

        def shards(key: str) -> dict[str, bytes]:
            found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{key}/", Delimiter="/")["Contents"]
            return {Path(one["Key"]).name: s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in found}

        assert shards("work/features") == shards("here") and len(shards("here")) == 6
    assert set(report.shards) == {*"abcd", "gap", "late"} == set(here.shards)
    assert report.failures == here.failures == {"bad": f"{VIDEOS}/bad.mp4: broken"}
    assert report.remarks == here.remarks and len(again.kept) == 6
    assert sum("is gone (its process died)" in line for line in batch.heard.said) == 1, "late was not made again"
