"""A server that speaks S3 on loopback, and buckets' backends on it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from haulout.storage.objectstore import ObjectStoreBackend

BUCKET = "bucket"
KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret-of-no-use"}


class OneAtATime:
    """moto compares and then puts, without a lock; one request at a time makes it one step."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._lock:
            return list(self._application(environ, start_response))


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of moto's server, with one bucket."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    s3_backends["123456789012"]["aws"].create_bucket(BUCKET, "us-east-1")
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


_places = itertools.count()


@pytest.fixture
def s3_place(s3_endpoint: str) -> Callable[[], ObjectStoreBackend]:
    """Opens backends at one place in the bucket, empty when the test begins."""
    url = f"s3://{BUCKET}/place/{next(_places)}"
    return lambda: ObjectStoreBackend(url, {**KEYS, "endpoint": s3_endpoint})
