"""A lock that another process holds, and a file system without locks, are two problems.

The programs run under a small library that lets the locks of the operating system fail, as Lustre
does with `noflock` (ENOSYS) and NFS without its lock service (ENOLCK).
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
_SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
static int refuse(void) { errno = atoi(getenv("LOCK_ERROR")); return -1; }
int flock(int fd, int operation) { return refuse(); }
static int pass_on(const char *name, int fd, int command, void *value) {
    if (command == F_SETLK || command == F_SETLKW || command == F_GETLK) return refuse();
    if (command == F_OFD_SETLK || command == F_OFD_SETLKW) return refuse();
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    return real(fd, command, value);
}
#define WRAP(name) int name(int fd, int command, ...) { \\
    va_list rest; va_start(rest, command); void *value = va_arg(rest, void *); va_end(rest); \\
    return pass_on(#name, fd, command, value); }
WRAP(fcntl)
WRAP(fcntl64)
"""
_WRITE_PROPOSALS = """
import sys
from pathlib import Path
from annotator.project.project import ProjectFolder
from annotator.proposals.writing import ProposalWriter
ProposalWriter(ProjectFolder.open(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler: apt-get install gcc")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "locks.c").write_text(_SHIM)
    library = folder / "locks.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "locks.c"], check=True)
    return library


@pytest.fixture
def project(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        Image.new("RGB", (20, 20), (80 * number, 0, 0)).save(images / f"{number}.png")
    done = run("-m", "annotator", "init", tmp_path / "p", "--images", images, "--classes", "a,b")
    assert done.returncode == 0, done.stderr
    return tmp_path / "p"


def run(
    *arguments: str | Path, shim: Path | None = None, number: int = 0
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if shim is not None:
        environment |= {"LD_PRELOAD": str(shim), "LOCK_ERROR": str(number)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_no_other_process_is_blamed_where_locks_do_not_work(
    project: Path, shim: Path, number: int
) -> None:
    for command in (
        ("-m", "annotator", "features", project, "--model", "classic"),
        ("-c", _WRITE_PROPOSALS, project),
        ("-m", "annotator", "answer", project, "0.png", "a"),
    ):
        done = run(*command, shim=shim, number=number)
        problem = done.stdout + done.stderr
        assert done.returncode != 0, (command, problem)
        assert "file locks do not work on this file system" in problem, (command, problem)
        assert os.strerror(number) in problem
        assert "another p" not in problem
        assert "local disk" in problem


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_settings_can_be_changed_without_locks(project: Path, shim: Path, number: int) -> None:
    done = run("-m", "annotator", "add", project, "--class", "c", shim=shim, number=number)
    assert done.returncode == 0, done.stderr
    assert '"c"' in (project / "annotator.toml").read_text()


def test_doctor_tells_locked_from_no_locks(project: Path, shim: Path) -> None:
    run("-m", "annotator", "answer", project, "0.png", "a")
    done = run("-m", "annotator", "doctor", project, shim=shim, number=errno.ENOSYS)
    assert "STOP  lock: file locks do not work on this file system: Function not" in done.stdout
    assert "fuser" not in done.stdout
    assert "lock: the log can be written" in run("-m", "annotator", "doctor", project).stdout
