"""``blush weights``: what is there, and the import of the published checkpoint."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import shutil
import threading
from pathlib import Path

import pytest
import torch

from blushcore.cli import main
from blushcore.denoiser import BlushNetwork, find_weights, load_network, published
from blushcore.denoiser import weights as weights_module
from blushcore.denoiser.weights import DEFAULT_WEIGHTS, user_weights_folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user who has nothing yet."""
    for name in ("TORCH_HOME", "XDG_CACHE_HOME", "BLUSH_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("published") / "blush_v1.0.ckpt"
    torch.save(
        {
            "model_state_dict": BlushNetwork().state_dict(),
            "model_definition": "raise SystemExit('executed')",
            "voxel_size": 1.5,
            "block_size": 64,
            "no_mask": False,
        },
        path,
    )
    return path


def run(capsys, *words: str) -> tuple[int, str, str]:
    code = main(["weights", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_is_a_table_with_what_matters(home, capsys, random_weights):
    user_weights_folder().mkdir(parents=True)
    shutil.copy(random_weights, user_weights_folder() / "mine.safetensors")
    code, out, err = run(capsys, "list")
    info = load_network(random_weights)[1]
    row = next(line for line in out.splitlines() if line.startswith("mine"))
    assert (code, err) == (0, "")
    assert out.split()[:2] == ["name", "version"]
    assert "your folder" in row
    assert "trained for 0 steps" in row
    assert row.rstrip().endswith(info.sha256[:12])
    assert str(user_weights_folder()) in out


def test_the_default_is_what_is_used_without_a_name(home, capsys, random_weights, monkeypatch):
    user_weights_folder().mkdir(parents=True)
    shutil.copy(random_weights, user_weights_folder() / "mine.safetensors")

    def marked() -> list[str]:
        return [line.split()[0] for line in run(capsys, "list")[1].splitlines() if "(default)" in line]

    assert marked() == [DEFAULT_WEIGHTS]
    monkeypatch.setenv("BLUSH_WEIGHTS", "mine")
    assert marked() == ["mine"]
    found = json.loads(run(capsys, "list", "--json")[1])["weights"]
    assert [entry["name"] for entry in found if entry["default"]] == ["mine"]
    monkeypatch.setenv("BLUSH_WEIGHTS", str(random_weights))
    assert marked() == []
    assert f"By default: {random_weights} (from BLUSH_WEIGHTS)" in run(capsys, "list")[1]
    monkeypatch.setenv("BLUSH_WEIGHTS", "nobody")
    assert "warning: There are no network weights 'nobody'" in run(capsys, "list")[2]


def test_failures_are_json_and_hints_name_the_subcommand(home, capsys):
    code, out, _ = run(capsys, "import", "missing.ckpt", "--json")
    assert code == 1
    assert "missing.ckpt does not exist" in json.loads(out)["problem"]
    code, _, err = run(capsys, "import", "--foo")
    assert code == 2
    assert err.rstrip().endswith("See: blush weights import --help")
    assert run(capsys, "lst")[2].rstrip().endswith("See: blush weights --help")


def test_list_as_json(home, capsys, random_weights):
    user_weights_folder().mkdir(parents=True)
    shutil.copy(random_weights, user_weights_folder() / "mine.safetensors")
    (user_weights_folder() / "torn.safetensors").write_bytes(b"torn")
    code, out, _ = run(capsys, "list", "--json")
    found = json.loads(out)
    mine = next(entry for entry in found["weights"] if entry["name"] == "mine")
    assert code == 0
    assert mine["path"] == str(user_weights_folder() / "mine.safetensors")
    assert mine["sha256"] == load_network(random_weights)[1].sha256
    assert (mine["voxel_size_angstrom"], mine["block_size"]) == (1.5, 64)
    assert len(found["unreadable"]) == 1
    assert "torn.safetensors" in found["unreadable"][0]


def test_damaged_weights_are_a_warning(home, capsys):
    user_weights_folder().mkdir(parents=True)
    (user_weights_folder() / "torn.safetensors").write_bytes(b"torn")
    code, _, err = run(capsys, "list")
    assert code == 0
    assert err.startswith("warning: ")
    assert "torn.safetensors cannot be read as network weights" in err


def test_an_imported_checkpoint_can_be_used_by_name(home, capsys, checkpoint):
    code, out, _ = run(capsys, "import", str(checkpoint))
    path = user_weights_folder() / "blush_v1.0.safetensors"
    assert code == 0
    assert f"as blush_v1.0: {path}" in out
    assert "--weights blush_v1.0" in out
    assert find_weights("blush_v1.0") == path
    _, info = load_network(path)
    assert info.training["imported_from"] == "blush_v1.0.ckpt"
    assert info.training["source_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert "imported from blush_v1.0.ckpt" in run(capsys, "list")[1]

    code, _, err = run(capsys, "import", str(checkpoint))
    assert code == 1
    assert "exists already. Give --overwrite" in err
    assert run(capsys, "import", str(checkpoint), "--overwrite")[0] == 0
    assert run(capsys, "import", str(checkpoint), "--name", "again", "--json")[0] == 0
    assert find_weights("again").is_file()


def test_output_goes_where_it_is_told(home, capsys, checkpoint):
    code, out, _ = run(capsys, "import", str(checkpoint), "-o", "mine.safetensors", "--json")
    assert code == 0
    assert json.loads(out)["path"] == "mine.safetensors"
    assert load_network(home / "mine.safetensors")[1].name == "mine"
    assert not user_weights_folder().exists()


def test_without_a_file_relions_copy_is_found(home, capsys, checkpoint):
    code, _, err = run(capsys, "import")
    place = home / "home/.cache/torch/hub/checkpoints/relion_blush/v1.0.ckpt"
    assert code == 1
    assert str(place) in err
    assert "--download" in err
    place.parent.mkdir(parents=True)
    shutil.copy(checkpoint, place)
    code, out, err = run(capsys, "import")
    assert code == 0
    assert err == f"Found RELION-5's copy of the published weights: {place}\n"
    assert "as blush_v1.0" in out


@pytest.mark.parametrize(
    ("words", "answer", "sentence"),
    [
        (("missing.ckpt",), 1, "missing.ckpt does not exist"),
        (("other.ckpt",), 1, "other.ckpt is no checkpoint of the published network"),
        (("other.ckpt", "--download"), 2, "A file and --download were both given"),
        (("other.ckpt", "-o", "mine.pt"), 2, "mine.pt has not the ending of weights"),
        (("other.ckpt", "--name", "../escape"), 2, "'../escape' is no name for weights"),
        (("other.ckpt", "-o", "nowhere/mine.safetensors"), 1, "nowhere does not exist"),
    ],
)
def test_what_cannot_be_imported_is_answered_with_a_sentence(home, capsys, words, answer, sentence):
    (home / "other.ckpt").write_text("not a checkpoint")
    code, out, err = run(capsys, "import", *words)
    assert (code, out) == (answer, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not list(home.rglob("*.safetensors"))


def test_the_packages_names_are_taken(home, capsys, checkpoint, monkeypatch):
    monkeypatch.setattr("blushcore.shipped.shipped_files", lambda _: [Path("v2.safetensors")])
    code, _, err = run(capsys, "import", str(checkpoint), "--name", "v2")
    assert code == 1
    assert "the name of weights that come with the package" in err


def test_no_weights_at_all_is_said(home, capsys, monkeypatch):
    monkeypatch.setattr(weights_module, "shipped_files", lambda _: [])
    assert run(capsys, "list")[1].startswith("There are no network weights.")


@pytest.fixture
def zenodo(checkpoint, monkeypatch):
    """A server here that stands in for Zenodo, and the checksum of what it sends."""
    packed = gzip.compress(checkpoint.read_bytes(), 1)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *_):
            return

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/{published.PUBLISHED_FILE}"
        monkeypatch.setattr(published, "PUBLISHED_URL", url)
        monkeypatch.setattr(published, "PUBLISHED_SHA256", hashlib.sha256(packed).hexdigest())
        yield url
        server.shutdown()


def test_download_only_when_told_and_checked(home, capsys, zenodo, monkeypatch):
    code, out, err = run(capsys, "import", "--download")
    assert code == 0
    assert err.startswith(f"Downloading {zenodo}\n")
    assert "as blush_v1.0" in out
    assert load_network(find_weights("blush_v1.0"))[1].training["imported_from"] == "blush_v1.0.ckpt.gz"

    monkeypatch.setattr(published, "PUBLISHED_SHA256", "0" * 64)
    code, _, err = run(capsys, "import", "--download", "--name", "again")
    assert code == 1
    assert "did not send the published weights" in err
    assert not (user_weights_folder() / "again.safetensors").exists()
