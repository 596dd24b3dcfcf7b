"""RELION's copy of the published weights is found; a download is checked. No test touches the network."""

from __future__ import annotations

import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from blushcore.denoiser.published import PUBLISHED_SHA256, download, name_of_checkpoint, relion_copies
from blushcore.protocol import BlushError

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        body = CONTENT if self.path != "/short" else CONTENT[:1000]
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        return


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_download_is_checked_and_tells_how_far_it_is(server, tmp_path):
    target = tmp_path / "a.gz"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    progress = list(download(target, url=f"{server}/file", sha256=sha256))
    assert target.read_bytes() == CONTENT
    assert progress[-1].done == progress[-1].total == len(CONTENT) >> 10
    assert [step.done for step in progress] == sorted(step.done for step in progress)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/file", "did not send the published weights: the SHA-256 is"),
        ("/short", "did not send the published weights|could not be downloaded"),
        ("/missing", r"could not be downloaded \(Not Found\)"),
    ],
)
def test_anything_else_is_an_error(server, tmp_path, path, sentence):
    with pytest.raises(BlushError, match=sentence):
        list(download(tmp_path / "a.gz", url=server + path))


def test_no_server_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(BlushError, match="could not be downloaded") as caught:
        list(download(tmp_path / "a.gz", url="http://127.0.0.1:9/nobody"))
    assert "blush weights import" in caught.value.remedy


def test_the_checksum_is_the_published_one():
    assert PUBLISHED_SHA256 == "6e42a7d80231418bb77170619eeedf67b59be84078972a25a39fc3b82cd9c34e"


def test_relions_copy_is_where_torch_keeps_such_files(monkeypatch):
    end = Path("hub/checkpoints/relion_blush/v1.0.ckpt")
    monkeypatch.setenv("TORCH_HOME", "/models/torch")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setenv("HOME", "/home/ada")
    assert relion_copies() == [
        Path("/models/torch") / end,
        Path("/caches/torch") / end,
        Path("/home/ada/.cache/torch") / end,
    ]
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert relion_copies() == [Path("/home/ada/.cache/torch") / end]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("blush_v1.0.ckpt.gz", "blush_v1.0"),
        ("relion_blush/v1.0.ckpt", "blush_v1.0"),
        ("my net.pt", "my-net"),
        ("..ckpt", "imported"),
    ],
)
def test_the_name_is_that_of_the_file(file, name):
    assert name_of_checkpoint(Path(file)) == name
