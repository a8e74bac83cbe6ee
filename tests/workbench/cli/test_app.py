"""The command line: exit codes, one sentence for each mistake, nothing written for a bad request."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import typer
import typer.main

from hostile import NESTED, SPECIAL, seconds, sparse
from made_runs import forge, make_run, outside_of
from toy_project import write_chapter
from workbench.cli import doctor
from workbench.cli.commands import app
from workbench.runs.store import all_runs

BAD_FILES = {
    "malformed.yml": "[1, 2",
    "words.yml": "only words",
    "empty.yml": "",
    "twice.yml": "size: 1\nsize: 2\n",
    "unknown.yml": "sise: 1\n",
}

BAD_REQUESTS = [
    ("run ../toy", "no chapter ../toy; did you mean toy?"),
    ("run nothing-like-it", "no chapter nothing-like-it; there is toy"),
    ("run toy -p sise=3", "toy has no parameter sise; did you mean size?"),
    ("run toy -p size=three", "size: three is not a whole number"),
    ("run toy -p size=0", "size: 0 is not at least 1"),
    ("run toy -p rate=-1", "rate: -1 is not above 0"),
    ("run toy -p mode=medium", "mode: medium is not one of fast, slow"),
    ("run toy -p size", "-p size: a parameter is given as name=value"),
    ("run toy -p size=1 -p size=2", "-p size is given twice"),
    ("run toy -p size=", "size: the value is empty"),
    ("run toy -f missing.yml", "missing.yml: there is no such file"),
    ("run toy -f malformed.yml", "malformed.yml: the file is not YAML"),
    ("run toy -f words.yml", "words.yml: expected lines of `name: value`"),
    ("run toy -f empty.yml", "empty.yml: the file is empty"),
    ("run toy -f twice.yml", "twice.yml: size is given twice"),
    ("run toy -f unknown.yml", "toy has no parameter sise"),
    ("run toy --cell-limit 0", "Invalid value for '--cell-limit'"),
    ("run", "Missing argument 'CHAPTER'"),
    ("frobnicate", "No such command 'frobnicate'"),
    ("list", "No such command 'list'; `workbench runs` lists the runs, and `workbench show CHAPTER` the parameters"),
    ("run toy --size 128", "No such option: --size; a parameter is given as -p size=128"),
    ("run toy --size=128 --force", "No such option: --size; a parameter is given as -p size=128"),
    ("run toy -p size 128", "Got unexpected extra argument(s) (128); a parameter is given as -p size=128"),
    (
        "sweep toy -p size 128 -g seed=1,2",
        "Got unexpected extra argument(s) (128); a parameter is given as -p size=128",
    ),
    ("sweep toy --seed 3 --sise 128", "No such option: --sise"),
    ("show nothing", "no run nothing; `workbench runs` lists them"),
    ("show ../../etc", "no run ../../etc"),
    ("runs nothing-like-it", "no chapter nothing-like-it"),
    ("accept toy", "toy has no completed run of its default parameters"),
    ("accept toy 2026", "no run 2026"),
    ("check nothing-like-it", "no chapter nothing-like-it"),
    ("book --edition nowhere", "no edition nowhere"),
    ("compare", "Missing argument 'RUN…'"),
    ("compare nothing latest", "no run nothing"),
    ("open nothing", "no run nothing"),
    ("rm", "rm takes the names of runs, or options that say which"),
    ("rm nothing --yes", "no run nothing; `workbench runs` lists them"),
    ("rm --failed --chapter toi", "no chapter toi; did you mean toy?"),
    ("rm --older-than -1", "Invalid value for '--older-than'"),
    ("status toi", "no chapter toi; did you mean toy?"),
    ("status --edition nowhere", "no edition nowhere"),
    ("confirm nothing", "nothing is recorded as nothing"),
    ("confirm nothing --points 0", "Invalid value for '--points'"),
    ("recorded nothing", "nothing is recorded as nothing"),
    ("recorded --again -p corpus=here", "-p says where the files of one result are; name that result alone"),
    ("recorded --dry-run", "--dry-run and -p belong to --again"),
]


def files_below(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("request_line", "sentence"), BAD_REQUESTS, ids=[line for line, _ in BAD_REQUESTS])
def test_a_bad_request_is_one_sentence_and_exit_code_2(project, command, request_line, sentence):
    for name, content in BAD_FILES.items():
        (project.root / name).write_text(content)
    before = files_below(project.root)
    result = command(*request_line.split())
    assert result.returncode == 2
    assert result.stderr.startswith(f"workbench: {sentence}")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert files_below(project.root) == before


CONFIGURATIONS = {
    **SPECIAL,
    "larger than memory": sparse,
    "nested": lambda path: path.write_text(NESTED),
    "a list": lambda path: path.write_text("[]"),
    "a program": lambda path: path.write_text('{"model_type": "mine", "auto_map": {"AutoModel": "mine.Mine"}}'),
}


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_what_is_no_model_is_refused_before_a_kernel_starts(project, command, kind):
    write_chapter(
        project.root,
        "model",
        parameters="from workbench.types import Model\n\nmodel: Model = 'org/name'  # which",
        read=False,
    )
    (project.root / "mine").mkdir()
    (project.root / "mine" / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    CONFIGURATIONS[kind](project.root / "mine" / "config.json")
    with seconds():
        result = command("run", "toy", "-p", "model=mine")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert result.stderr.startswith(
        ("workbench: model: mine its config.json", "workbench: model: mine needs a program")
    )
    assert not project.runs.exists()


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_data_is_refused_before_a_kernel_starts(project, command, kind):
    write_chapter(
        project.root,
        "data",
        parameters="from workbench.types import Dataset\n\ndata: Dataset = 'o/n'  # which",
        read=False,
    )
    (project.root / "data").mkdir()
    SPECIAL[kind](project.root / "data" / "a.csv")
    for name in ("data", "data/a.csv"):
        with seconds():
            result = command("run", "toy", "-p", f"data={name}")
        assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
        assert result.stderr.startswith("workbench: ")
    assert not list(project.runs.glob("*/*/*"))


def test_every_mistake_gets_its_own_sentence(command):
    result = command("run", "toy", "-p", "size=x", "-p", "mode=y")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "workbench: size: x is not a whole number",
        "workbench: mode: y is not one of fast, slow",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("rm", "--yes", "--older-than"),
        ("run", "toy", "--cell-limit"),
        ("run", "toy", "--run-limit"),
        ("sweep", "toy", "-g", "size=1,2", "--cell-limit"),
        ("sweep", "toy", "-g", "size=1,2", "--run-limit"),
        ("sweep", "toy", "-g", "size=1,2", "--workers"),
        ("book", "--workers"),
    ],
)
@pytest.mark.parametrize("number", ["inf", "nan", "1e300", str(10**30)])
def test_a_number_that_overflows_is_a_bad_request(project, command, arguments, number):
    result = command(*arguments, number)
    assert result.returncode == 2
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith(f"workbench: Invalid value for '{arguments[-1]}'")
    assert not project.runs.exists()


def test_a_chapter_that_breaks_the_contract_is_a_bad_request(project, command):
    write_chapter(project.root, "size = 4", parameters="size: Count = 3", read=False)
    result = command("run", "toy")
    assert result.returncode == 2
    assert "binds the parameter size again" in result.stderr
    assert not project.runs.exists()


def test_an_unwritable_runs_folder_is_a_bad_request(project, command):
    (project.root / "file").write_text("")
    result = command("run", "toy", WORKBENCH_RUNS=str(project.root / "file"))
    assert result.returncode == 2
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("place", ["a file", "a dangling link", "a folder that cannot be written"])
def test_a_build_folder_that_cannot_be_written_is_a_bad_request(project, command, monkeypatch, place):
    project.editions.mkdir(parents=True)
    (project.editions / "offline.yml").write_text("chapters: {}")
    if place == "a file":
        project.build.write_text("")
    elif place == "a dangling link":
        project.build.symlink_to(project.root / "nowhere")
    else:
        read_only = OSError(errno.EROFS, os.strerror(errno.EROFS))
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(read_only))
    result = command("book")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"workbench: {project.build} cannot be written: ")
    assert len(result.stderr.splitlines()) == 1
    assert not project.runs.exists()
    assert not (project.root / "nowhere").exists()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "here/run.json"), "here/run.json: No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("the Hub\ndoes not answer"), "the Hub"),
        (shutil.Error([("book/pipe", "_build/pipe", "`book/pipe` is a named pipe")]), "book/pipe: `book/pipe` is a"),
    ],
)
def test_any_trouble_with_a_file_is_one_sentence_and_exit_code_1(command, monkeypatch, error, sentence):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("workbench.cli.runs.all_runs", fail)
    result = command("runs")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"workbench: {sentence}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_goes_to_a_full_disk_is_no_traceback(project, stream):
    line = [sys.executable, "-m", "workbench.cli.app", *(["show", "toy", "--json"] if stream == "stdout" else ["rm"])]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, cwd=project.root, text=True, check=False, **{**streams, stream: full})
    assert done.returncode in (1, 141)
    assert done.stderr in (None, "workbench: No space left on device\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_signal_ends_a_run_alike_and_leaves_nothing(project, tmp_path_factory, name):
    if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        pytest.skip("under nohup it is ignored")
    write_chapter(project.root, "import time\nopen('started', 'w').close()\ntime.sleep(60)")
    temporary = tmp_path_factory.mktemp("temporary")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.app", "run", "toy"],
        cwd=project.root,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(project.runs.glob("toy/*/started")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)  # impatience
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-2:] == [
        "the same line starts the chapter from its first cell again",
        "workbench: interrupted",
    ]
    assert not list(temporary.iterdir())
    (left,) = all_runs(project)
    assert left.record["status"] == "interrupted"


@pytest.mark.parametrize("module", ["typer", "yaml"])  # with the commands, and by the command
def test_an_interruption_while_something_is_imported_is_one_like_any_other(project, workbench, module):
    spy = project.root / "spy"
    spy.mkdir()
    (spy / f"{module}.py").write_text("exec('raise KeyboardInterrupt')")  # as where Ctrl-C comes in a dataclass
    result = workbench("show", "toy", PYTHONPATH=os.pathsep.join([str(spy), os.environ.get("PYTHONPATH", "")]))
    assert (result.returncode, result.stderr) == (130, "workbench: interrupted\n")


def test_outside_a_checkout_every_command_says_so(command, tmp_path_factory):
    result = command("runs", WORKBENCH_ROOT=str(tmp_path_factory.mktemp("elsewhere")))
    assert result.returncode == 2
    assert "no workbench here" in result.stderr
    assert "WORKBENCH_ROOT" in result.stderr


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_changes_nothing_else(project, command, monkeypatch, stream):
    monkeypatch.setattr(sys, stream, None)
    assert command("--version").returncode == 0
    assert command("run", "toy").returncode == 0
    (made,) = all_runs(project)
    assert made.record["status"] == "completed"


def test_trouble_before_the_command_is_imported_is_a_sentence_too(command, monkeypatch):
    monkeypatch.setattr("workbench.cli.app.secrets_of_process", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    result = command("--version")
    assert (result.returncode, result.stderr) == (130, "workbench: interrupted\n")


@pytest.mark.parametrize("arguments", [["runs"], ["runs", "--json"], ["--version"]])
def test_output_that_nobody_reads_is_exit_code_141(project, command, monkeypatch, arguments):
    make_run(project)
    reading, writing = os.pipe()
    os.close(reading)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w", buffering=1) as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        result = command(*arguments)
    assert result.returncode == 141


def test_a_terminal_without_unicode_shows_what_it_can(project, command, monkeypatch):
    make_run(project)
    for arguments in (["show", "latest"], ["show", "latest", "--json"]):
        with (project.root / "screen").open("w", encoding="ascii") as screen:
            monkeypatch.setattr(sys, "stdout", screen)
            assert command(*arguments).returncode == 0
    assert "metrics" in json.loads((project.root / "screen").read_text())


def test_the_version_is_printed(workbench):
    assert workbench("--version").stdout.startswith("workbench 0.")


@pytest.mark.parametrize("name", typer.main.get_command(app).commands)
def test_every_command_has_help_with_examples(command, name):
    result = command(name, "--help")
    assert result.returncode == 0
    assert "Examples" in result.stdout
    examples = [line.strip() for line in result.stdout.splitlines() if line.strip().startswith("workbench ")]
    assert examples, "each example stands on a line of its own"
    assert all(line.count("workbench ") == line.count("&&") + 1 for line in examples)


def test_run_then_list_then_show(project, command):
    write_chapter(
        project.root,
        "from workbench.chapter import begin\nchapter = begin()",
        "chapter.record('double', 2 * size)",
        "chapter.claim('Size is below ten: size', size, below=10)",
    )
    done = command("run", "toy", "-p", "size=12")
    assert done.returncode == 0, done.stderr
    assert "0 of 1 claims hold" in done.stdout
    assert "✗ Size is below ten: size below 10: 12" in done.stdout
    (listed,) = json.loads(command("runs", "--json").stdout)
    assert (listed["status"], listed["parameters"]["given"]) == ("completed", {"size": "12"})
    assert listed["id"] in command("runs", "toy").stdout
    shown = json.loads(command("show", listed["id"][:20], "--json").stdout)
    assert shown["metrics"][0]["value"] == 24
    text = command("show", "latest").stdout
    assert "Size is below ten" in text
    assert "double" in text


def test_a_failed_cell_is_exit_code_1_with_the_end_of_its_error(project, workbench):
    write_chapter(project.root, "raise RuntimeError('the reason')")
    result = workbench("run", "toy")
    assert result.returncode == 1
    assert "toy failed in cell 3 (cell-1)" in result.stderr
    assert "workbench: RuntimeError: the reason" in result.stderr


def test_a_mistake_that_only_the_kernel_can_see_is_a_sentence_without_a_traceback(project, command):
    write_chapter(
        project.root,
        "from workbench.chapter import begin\nsize_again: Count = 0\nchapter = begin()\nsize_again",
        parameters="from workbench.types import Count\nsize: Count = 1  # how many",
        read=False,
    )
    notebook = nbformat.read(project.notebooks / "toy.ipynb", as_version=4)
    notebook.cells[-1].source += "\nsize"
    nbformat.write(notebook, project.notebooks / "toy.ipynb")
    result = command("run", "toy")
    assert result.returncode == 1
    assert "workbench: ParameterError: size_again: 0 is not at least 1" in result.stderr
    assert "Traceback" not in result.stderr
    assert "-->" not in result.stderr


@pytest.mark.parametrize("line", ["show", "runs", "check", "run"])
@pytest.mark.parametrize("file", ["notebooks/toy.ipynb", "toy.ipynb"])
def test_a_chapter_may_be_named_by_its_file(command, monkeypatch, line, file):
    monkeypatch.setattr("workbench.book.check.nbval", lambda *_: 0)
    monkeypatch.setattr("workbench.book.check.problems_of", lambda _: [])
    options = ["-p", "size=0"] if line == "run" else []
    result = command(line, file, *options)
    assert result.stderr == ("workbench: size: 0 is not at least 1\n" if options else "")
    assert result.returncode == (2 if options else 0)


def test_parameters_of_a_chapter_are_listed(command):
    listed = json.loads(command("show", "toy", "--json").stdout)
    assert listed[0] == {"name": "size", "type": "Count", "default": 3, "comment": "how many"}
    assert "how many" in command("show", "toy").stdout


def test_a_hundred_forged_folders_are_listed_as_damaged_and_harm_no_command(project, command):
    outside = outside_of(project)
    first, second = make_run(project, after=-1e8), make_run(project, after=-1e8 + 60)
    count = forge(project, outside)
    before = files_below(project.root)
    listed = json.loads(command("runs", "--json").stdout)
    assert len(listed) == count + 2
    damaged = [run for run in listed if run["status"] == "damaged"]
    assert len(damaged) == count > 100
    assert all(run["problem"] for run in damaged)
    text = command("runs", "toy")
    assert text.stdout.count(" damaged ") == count
    assert "\x1b" not in text.stdout
    assert json.loads(command("show", "latest", "--json").stdout)["id"] == second.name
    compared = json.loads(command("compare", first.name, second.name, "--json").stdout)
    assert compared["metrics"][0]["values"][0]["value"] == 0.75
    assert json.loads(command("status", "--json").stdout)[0]["run"] == second.name
    assert command("accept", "toy").stderr.startswith("workbench: toy has no completed run of its default parameters")
    refused = command("show", damaged[0]["id"])
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "4242424242" not in text.stdout + json.dumps(listed), "what stands outside is not read"
    assert files_below(project.root) == before
    assert command("rm", "--damaged", "--yes").stdout == f"{count} runs deleted\n"
    assert [run["id"] for run in json.loads(command("runs", "--json").stdout)] == [second.name, first.name]
    kept = {name: content for name, content in before.items() if name.startswith("outside/")}
    assert {name: content for name, content in files_below(project.root).items() if name.startswith("outside/")} == kept


def test_a_run_beside_forged_ones_still_completes_and_is_found_again(project, command):
    forge(project, outside_of(project))
    assert "ran in" in command("run", "toy").stdout
    assert "nothing was run" in command("run", "toy").stdout
    assert command("status").returncode == 0
    changed = project.notebooks / "toy.ipynb"
    changed.write_text(changed.read_text().replace("print(size", "print(size, 1"))
    stale = command("status")
    assert (stale.returncode, "the code of cell cell-1 changed" in stale.stdout) == (1, True)


def test_compare_shows_what_differs_and_all_with_all(project, command):
    resolved = [{"size": 3, "seed": 0}, {"size": 4, "seed": 0}]
    names = [
        make_run(project, after=at, parameters={"given": {}, "resolved": values}).name
        for at, values in enumerate(resolved)
    ]
    short, whole = command("compare", *names).stdout, command("compare", *names, "--all").stdout
    assert "size" in short
    assert "seed" not in short
    assert "seed" in whole
    assert "accuracy" in short
    assert "It learns" not in short
    assert "It learns" in whole


def test_rm_asks_and_deletes_nothing_without_a_yes(project, command, monkeypatch):
    folder = make_run(project)
    unanswered = command("rm", folder.name)
    assert unanswered.returncode == 2
    assert "--yes deletes without asking" in unanswered.stderr
    with monkeypatch.context() as closed:
        closed.setattr(typer, "confirm", lambda _: (_ for _ in ()).throw(RuntimeError("input(): lost sys.stdin")))
        assert command("rm", folder.name).stderr == unanswered.stderr
    assert folder.exists()
    assert command("rm", folder.name, "--yes").stdout == "1 run deleted\n"
    assert not folder.exists()
    assert command("rm", "--failed").stdout == "no run fits; nothing was deleted\n"


def test_open_becomes_a_jupyterlab_on_this_machine_with_the_run_s_notebook(project, command, monkeypatch):
    folder = make_run(project)
    lines: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, line: lines.append(line))
    command("open", "latest", "--no-browser", JUPYTER_PREFER_ENV_PATH="0")
    assert lines[0][:3] == [sys.executable, "-m", "workbench.cli.lab"]
    assert "--ServerApp.ip=127.0.0.1" in lines[0]
    assert f"--ServerApp.root_dir={project.root}" in lines[0]
    assert f"--LabApp.default_url=/lab/tree/runs/toy/{folder.name}/toy-opened.ipynb" in lines[0]
    assert "--no-browser" in lines[0]
    assert not any("token" in option for option in lines[0]), "JupyterLab makes a token of its own"
    elsewhere = project.root.parent / "elsewhere"
    (project.runs).rename(elsewhere)
    command("open", "latest", WORKBENCH_RUNS=str(elsewhere), JUPYTER_PREFER_ENV_PATH="0")
    assert f"--ServerApp.root_dir={elsewhere}/toy/{folder.name}" in lines[1]


def test_doctor_prints_a_line_for_each_check_and_fails_where_something_needed_is_missing(project, command, monkeypatch):
    well = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *command, **options: well)  # pip check takes seconds
    well = command("doctor")
    assert well.returncode == 0, well.stdout
    assert "✓ Python" in well.stdout
    (project.root / "file").write_text("")
    ill = command("doctor", WORKBENCH_RUNS=str(project.root / "file"))
    assert ill.returncode == 1
    assert "✗ runs folder" in ill.stdout
    assert "WORKBENCH_RUNS names another folder" in ill.stdout
    listed = json.loads(command("doctor", "--json").stdout)
    assert {"name", "fine", "needed", "found", "remedy"} == listed[0].keys()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("run t", ["toy"]),
        ("run toy -p s", ["size=", "size=3", "share=", "share=0.5", "seed=", "seed=0"]),
        ("run toy -p d", ["depths=", "depths=1,2"]),
        ("show 2026", ["20261123T184500Z-1a2b3c4d"]),
        ("rm l", ["latest"]),
        ("show t", ["toy", "toy/latest"]),
        ("record t", ["toy/latest"]),
        ("sweep toy -g si", ["size=", "size=3"]),
        ("status --edition o", ["offline"]),
        ("run nothing -p s", []),
        ("com", ["compare"]),
    ],
)
def test_the_shell_is_offered_names(project, command, line, offered):
    make_run(project)
    project.editions.mkdir(parents=True)
    (project.editions / "offline.yml").write_text("chapters: {}")
    words = f"workbench {line}"
    result = command(_WORKBENCH_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert result.stdout.split() == offered
    assert result.stderr == ""


def test_offering_names_imports_nothing_heavy(project, workbench):
    make_run(project)
    spy = project.root / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import atexit, sys\natexit.register(lambda: print(*sorted(sys.modules), file=open('imported', 'w')))"
    )
    words = {"COMP_WORDS": "workbench show 2026", "COMP_CWORD": "2", "_WORKBENCH_COMPLETE": "complete_bash"}
    workbench(**words, PYTHONPATH=os.pathsep.join([str(spy), *filter(None, [os.environ.get("PYTHONPATH")])]))
    imported = {name.partition(".")[0] for name in (project.root / "imported").read_text().split()}
    assert "workbench" in imported
    assert not imported & {"numpy", "torch", "nbformat", "papermill", "grimp", "yaml"}


@pytest.mark.parametrize("line", ["-h", "run -h", "lab -h", "sweeps -h"])
def test_the_short_option_for_help_is_understood_everywhere(command, line):
    result = command(*line.split())
    assert (result.returncode, "Usage: workbench" in result.stdout) == (0, True)


def test_completion_can_be_installed(command):
    help_text = command("--help").stdout
    assert "--install-completion" in help_text
    assert "--show-completion" in help_text
