"""An S3 server on this machine, for tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

pytest.importorskip("s3fs", reason="needs s3fs: pip install 'tal[s3]'")
pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[s3]' flask-cors")

import boto3
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

BUCKET = "bucket"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Serve an S3 with one empty bucket, named in the environment; give boto3's client of it."""
    moto_api_backend.reset()  # servers of one process share what they hold
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # botocore's own use of utcnow
            client = boto3.client("s3", endpoint_url=url)
            client.create_bucket(Bucket=BUCKET)
        yield client
    finally:
        close_sessions()
        server.stop()


def close_sessions() -> None:
    """Close the connections that s3fs keeps open, so that no warning of theirs ends up in another test."""
    import s3fs

    for fs in list(s3fs.S3FileSystem._cache.values()):
        with suppress(RuntimeError, AttributeError):
            fs.close_session(fs.loop, fs._s3)
    s3fs.S3FileSystem.clear_instance_cache()
