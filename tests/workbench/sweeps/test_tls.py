"""Sweeps on a cluster with TLS, by Dask's own configuration and with certificates as the guide makes them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import dask
import pytest

from dask_cluster import Cluster
from swept_project import statuses, sweep, write_traced_chapter
from workbench.core.errors import RunError
from workbench.sweeps.cluster import Share, open_cluster

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")

GUIDE = Path(__file__).parents[3] / "book" / "manual" / "sweeps.md"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home where the guide's lines were pasted that make a certificate and Dask's configuration."""
    (lines,) = re.findall(r"```bash\n([^`]*openssl [^`]*)```", GUIDE.read_text())
    folder = tmp_path_factory.mktemp("home")
    subprocess.run(["sh", "-euc", lines], env={**os.environ, "HOME": str(folder)}, check=True, capture_output=True)
    return folder


def variables(home: Path) -> dict[str, str]:
    """The same configuration in variables, of which those of keys are named as secrets are."""
    tls, folder = "DASK_DISTRIBUTED__COMM__TLS__", home / ".config" / "dask"
    pairs = {
        f"{tls}{role}__{part.upper()}": str(folder / f"{part}.pem")
        for role in ("SCHEDULER", "WORKER", "CLIENT")
        for part in ("cert", "key")
    }
    required = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    return {**required, **pairs, f"{tls}CA_FILE": str(folder / "cert.pem")}


@pytest.fixture(scope="module")
def encrypted(home, tmp_path_factory):
    """A cluster of one worker with that configuration."""
    with contextlib.ExitStack() as open_processes:
        folder = tmp_path_factory.mktemp("cluster")
        cluster = Cluster(folder, open_processes, "tls", **variables(home))
        cluster.add_worker("worker")
        cluster.wait_for_workers("worker")
        yield cluster


@pytest.mark.parametrize("place", ["the guide's file", "variables"])
def test_a_sweep_runs_on_a_cluster_with_tls(project, encrypted, home, place):
    write_traced_chapter(project)
    environment = {"HOME": str(home)} if place == "the guide's file" else variables(home)
    code, _, err = sweep(project, "-g", "size=1,2", "--scheduler", encrypted.address, **environment)
    assert code == 0, err
    assert statuses(project) == ["completed"] * 2


@pytest.fixture
def configuration(home):
    """Dask's configuration of the client, as its functions take it."""
    pair = {"cert": str(home / ".config/dask/cert.pem"), "key": str(home / ".config/dask/key.pem")}
    return {"distributed.comm.tls.ca-file": pair["cert"], "distributed.comm.tls.client": pair}


REFUSALS = {
    "no certificate": ("tls", {"ca-file": None}, "asks for certificates, and Dask's configuration .* names none"),
    "no encryption": (
        "tcp",
        {"ca-file": None},
        "no Dask scheduler answers at .*; one with TLS has an address with",
    ),
    "another key": (
        "tls",
        {"client": "another"},
        "no Dask scheduler answers at .*; look whether it accepts the certificate",
    ),
    "another authority": ("tls", {"ca-file": "another"}, "no Dask scheduler answers at .*certificate does not match"),
    "a key that is not there": ("tls", {"client": "missing"}, "cannot be used: No such file or directory"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_client_that_does_not_fit_is_refused_in_a_sentence(encrypted, configuration, tmp_path, case):
    import distributed  # noqa: F401  it sets its own configuration

    scheme, changes, sentence = REFUSALS[case]
    pair = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    if "another" in changes.values():
        line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=another", "-out"]
        subprocess.run([*line, pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    values = {"client": dict(zip(("cert", "key"), pair, strict=True)), "ca-file": pair[0]}
    changed = {f"distributed.comm.tls.{part}": value and values[part] for part, value in changes.items()}
    before = time.monotonic()
    address = f"{scheme}://127.0.0.1:{encrypted.port}"
    with (
        dask.config.set(configuration | changed),
        pytest.raises(RunError, match=sentence),
        open_cluster(address, Share(1, 1)),
    ):
        pass
    assert time.monotonic() - before < 15


def test_a_client_that_must_encrypt_does_not_speak_to_a_plain_scheduler(configuration):
    import distributed  # noqa: F401

    with (
        dask.config.set(configuration | {"distributed.comm.require-encryption": True}),
        pytest.raises(RunError, match=r"tcp://127.0.0.1:9 is without TLS, which Dask's configuration .* asks for"),
        open_cluster("tcp://127.0.0.1:9", Share(1, 1)),
    ):
        pass


def test_a_cluster_in_this_process_needs_no_certificate():
    import distributed  # noqa: F401

    pair = {"cert": "/nowhere", "key": "/nowhere"}
    tls = {"ca-file": "/nowhere", "client": pair, "scheduler": pair, "worker": pair}
    missing = {"distributed.comm.require-encryption": True} | {
        f"distributed.comm.tls.{part}": tls[part] for part in tls
    }
    with dask.config.set(missing), open_cluster(None, Share(1, 1)) as cluster:
        cluster.look()
        assert [address.partition(":")[0] for address in cluster.workers()] == ["inproc"]
