"""The guarded child: what a run gives back, and each promise of the sandbox attacked by a real program."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from opencwm.errors import ConfigError, SandboxError
from opencwm.sandbox import ExecResult, Limits, NamespaceSandbox
from opencwm.sandbox.base import ISOLATION
from opencwm.sandbox.kernel import Kernel, can_become_others
from opencwm.sandbox.layout import is_open_to_others

SANDBOX = NamespaceSandbox()
REASON = "unshare: Operation not permitted"


def python(source: str, sandbox: NamespaceSandbox = SANDBOX, **options) -> ExecResult:
    options.setdefault("trusted", True)
    return sandbox.run([sys.executable, "-I", "-S", "-c", source], **options)


@pytest.fixture
def attack():
    if not SANDBOX.enforced().is_isolated:
        pytest.skip(f"this machine cannot isolate: {SANDBOX.enforced().sentence}")

    def run(source: str, **options) -> ExecResult:
        return python(source, trusted=False, **options)

    return run


def pids_with(marker: str) -> list[int]:
    """Processes of the whole machine whose command line contains the marker."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_for(condition, seconds: float = 10.0):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return value


def in_parallel(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- what a run gives back


def test_output_status_and_input_come_back():
    result = python("import sys; print(sys.stdin.read() * 2); sys.stderr.write('e'); sys.exit(3)", stdin=b"ab")
    assert (result.ended, result.status, result.signal) == ("exited", 3, None)
    assert (result.stdout, result.stderr, result.ok) == (b"abab\n", b"e", False)


def test_a_program_killed_by_a_signal_is_a_result():
    result = python("import os; os.kill(os.getpid(), 11)")
    assert (result.ended, result.status, result.signal) == ("signalled", None, signal.SIGSEGV)


def test_files_go_in_and_come_out():
    source = (
        "import os; os.makedirs('d'); open('d/o', 'wb').write(open('a/b.bin', 'rb').read()[::-1]); open('a/b.bin', 'w')"
    )
    result = python(source, files={"a/b.bin": b"\0xyz"}, collect=["d/o", "absent", "a/b.bin"])
    assert result.files == {"d/o": b"zyx\0", "a/b.bin": b""}


def test_large_input_and_output_do_not_deadlock():
    size = 3_000_000
    source = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data); open('f', 'wb').write(data)"
    data = os.urandom(size)
    result = python(source, stdin=data, collect=["f"], limits=Limits(output_bytes=size))
    assert result.stdout == data
    assert result.files["f"] == data


def test_input_that_nobody_reads_is_no_failure():
    assert python("pass", stdin=b"x" * 1_000_000).ok


def test_the_environment_holds_two_names_and_no_home(attack, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    result = SANDBOX.run(["env"])
    assert result.stdout == b"PYTHONHASHSEED=0\nPATH=/usr/local/bin:/usr/bin:/bin\n"


def test_each_run_starts_in_the_same_empty_directory(attack):
    source = "import os; print(os.getcwd(), os.listdir(), os.getuid(), os.getgid()); open('left', 'w')"
    first, second = attack(source), attack(source)
    assert first.stdout == second.stdout == b"/box [] 1000 1000\n"


def test_a_relative_import_of_files_and_temporary_files_work(attack):
    source = "import tempfile, sys; sys.path.insert(0, ''); import m; tempfile.TemporaryFile().write(b'x'); print(m.x)"
    result = attack(source, files={"m.py": b"x = 5"})
    assert (result.stdout, result.stderr) == (b"5\n", b"")


def test_runs_in_parallel_do_not_disturb_each_other(attack):
    results = {}
    source = "import sys; s = sys.stdin.read(); open('f', 'w').write(s); print(open('f').read())"

    def one(index):
        results[index] = attack(source, stdin=str(index).encode()).stdout

    in_parallel([threading.Thread(target=one, args=(index,)) for index in range(6)])
    assert results == {index: f"{index}\n".encode() for index in range(6)}


def test_an_interpreter_with_a_home_of_its_own_runs_wherever_it_lies(attack, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (tmp_path / "env/lib/python{}.{}/site-packages/there.py".format(*sys.version_info)).write_text("y = 7")
    (tmp_path / "env/private").write_text("not part of an interpreter")
    source = f"import os, there; print(there.y, os.path.exists({str(tmp_path / 'env/private')!r}))"
    result = SANDBOX.run([str(tmp_path / "env/bin/python"), "-c", source])
    assert (result.stdout, result.stderr) == (b"7 False\n", b"")


def test_no_run_leaves_open_descriptors_behind():
    python("pass")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        python("pass")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../x", "", "a//b", "."])
def test_names_that_leave_the_directory_are_refused(name):
    with pytest.raises(ConfigError, match="not the name of a file"):
        python("pass", files={name: b""})
    with pytest.raises(ConfigError, match="not the name of a file"):
        python("pass", collect=[name])


def test_a_program_that_does_not_exist_is_the_callers_mistake():
    with pytest.raises(ConfigError, match="no program 'no-such-program'"):
        SANDBOX.run(["no-such-program"], trusted=True)


def test_a_program_that_cannot_start_is_not_a_result(tmp_path):
    program = tmp_path / "broken"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(SandboxError, match="could not start"):
        SANDBOX.run([str(program)], trusted=True)


def test_a_launcher_that_dies_is_a_sandbox_error(monkeypatch):
    _ = SANDBOX.kernel
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="died without a report"):
        SANDBOX.run(["true"], trusted=True)


# ---- attacks: time and resources


def test_an_endless_loop_ends_in_time_and_keeps_what_it_said_and_wrote(attack):
    source = "open('f', 'w').write('so far'); print('hello', flush=True)\nwhile True: pass"
    result = attack(source, limits=Limits(wall_s=0.5), collect=["f"])
    assert (result.ended, result.status, result.signal) == ("timeout", None, None)
    assert (result.stdout, result.files) == (b"hello\n", {"f": b"so far"})


def test_cpu_time_is_limited_apart_from_wall_time(attack):
    result = attack("while True: pass", limits=Limits(wall_s=20.0, cpu_s=1))
    assert result.ended == "signalled"
    assert result.signal in (signal.SIGXCPU, signal.SIGKILL)


def test_a_timeout_leaves_no_process_behind(attack):
    marker = f"opencwm-test-{os.getpid()}-timeout"
    source = f"'{marker}'\nimport os, time\nfor _ in range(4): os.fork()\ntime.sleep(600)"
    assert attack(source, limits=Limits(wall_s=0.5)).ended == "timeout"
    assert pids_with(marker) == []


def test_a_daemon_does_not_outlive_the_run(attack):
    marker = f"opencwm-test-{os.getpid()}-daemon"
    source = f"""
'{marker}'
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('daemon', flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(0.2)
"""
    result = attack(source)
    assert (result.ended, result.stdout) == ("exited", b"daemon\n")
    assert pids_with(marker) == []


def test_a_fork_bomb_is_contained(attack):
    source = """
import os, sys, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError as exc:
    print(made, type(exc).__name__)
"""
    result = attack(source, limits=Limits(max_processes=10))
    assert result.stdout == b"9 BlockingIOError\n"
    bomb = attack("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", limits=Limits(wall_s=1.0))
    assert bomb.ended == "timeout"


def test_processes_that_end_do_not_use_up_the_limit(attack):
    source = """
import os, time
for i in range(30):
    if os.fork() == 0:
        os.fork()
        os._exit(0)
    os.wait()
    time.sleep(0.02)
print('done')
"""
    result = attack(source, limits=Limits(max_processes=20))
    assert (result.stdout, result.stderr) == (b"done\n", b"")


def test_two_runs_have_their_process_counts_apart(attack):
    """As a user of its own each, or in a user namespace of its own."""
    source = """
import os, time
for _ in range(7):
    if os.fork() == 0:
        time.sleep(600)
print('all', flush=True)
time.sleep(0.5)
"""
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(attack(source, limits=Limits(max_processes=8)).stdout))
        for _ in range(3)
    ]
    in_parallel(threads)
    assert results == [b"all\n"] * 3


def test_a_memory_bomb_is_a_memory_error(attack):
    source = "try: b = bytearray(1 << 30)\nexcept MemoryError: print('refused')"
    assert attack(source, limits=Limits(memory_bytes=256 << 20)).stdout == b"refused\n"


def test_endless_output_is_cut_and_the_program_killed(attack):
    result = attack("import sys\nwhile True: sys.stdout.write('x' * 1000)", limits=Limits(output_bytes=10_000))
    assert (result.ended, result.status) == ("output", None)
    assert result.stdout == b"x" * 10_000
    result = attack("import sys\nwhile True: sys.stderr.write('y' * 1000)", limits=Limits(output_bytes=500))
    assert (result.ended, result.stderr) == ("output", b"y" * 500)


def test_output_that_just_fits_is_no_flood(attack):
    assert attack("print('x' * 99)", limits=Limits(output_bytes=100)).ok


def test_the_disk_cannot_be_filled_by_one_file_or_by_many(attack):
    source = """
import errno, os
def fill(name, size):
    try:
        with open(name, 'wb', buffering=0) as f:
            while size > 0:
                size -= f.write(bytes(65536))
    except OSError as exc:
        return errno.errorcode[exc.errno]
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
print(fill('big', 1 << 30))
print(next(filter(None, (fill(str(i), 900_000) for i in range(1000)))))
os.chdir('/tmp')
print(fill('tmp', 1 << 30))
"""
    result = attack(source, limits=Limits(file_bytes=1 << 20, disk_bytes=4 << 20))
    big, many, elsewhere = result.stdout.split()
    assert (big, many) == (b"EFBIG", b"ENOSPC"), result
    assert elsewhere in (b"ENOSPC", b"EROFS"), result  # EROFS where this checkout itself lies below /tmp


# ---- attacks: other processes


def test_killing_everybody_kills_nobody_outside(attack):
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        source = "import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept OSError: pass\nos.kill(1, 9)"
        attack(source)
        attack("import os; os.kill(os.getppid(), 9); os.kill(0, 9)")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_program_is_another_user_without_rights(attack):
    """Read from outside, where the kernel tells the real ids."""
    marker = f"opencwm-test-{os.getpid()}-identity"
    thread = threading.Thread(target=attack, args=(f"'{marker}'; import time; time.sleep(1.5)",))
    thread.start()

    def status():
        for pid in pids_with(marker):
            lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if lines["NSpid"].split()[-1] == "2" and argv[-2].startswith(b"'"):
                return lines
        return None

    lines = wait_for(status)
    thread.join()
    assert lines is not None
    ids = {int(word) for word in (lines["Uid"] + lines["Gid"]).split()}
    if can_become_others():
        assert 0 not in ids
        assert lines["Groups"].strip() == ""
    else:
        assert ids <= {os.getuid(), os.getgid()}
    assert {int(lines[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")


def test_the_program_holds_no_descriptor_but_its_three(attack):
    source = """
import os
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
print([fd for fd in range(64) if is_open(fd)])
"""
    assert attack(source).stdout == b"[0, 1, 2]\n"


def test_when_the_caller_is_killed_the_program_dies_too(attack, tmp_path):
    marker = f"opencwm-test-{os.getpid()}-orphan"
    source = f"""
import sys
from opencwm.sandbox import Limits, NamespaceSandbox
argv = [sys.executable, "-I", "-c", "'{marker}'; import time; time.sleep(600)"]
NamespaceSandbox().run(argv, limits=Limits(wall_s=600))
"""
    script = tmp_path / "caller.py"
    script.write_text(source)
    caller = subprocess.Popen([sys.executable, script], env={"PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        assert wait_for(lambda: pids_with(marker))
    finally:
        caller.kill()
        caller.wait()
    assert wait_for(lambda: not pids_with(marker))


# ---- attacks: secrets and files


def test_secrets_of_the_caller_cannot_be_read(attack, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    source = """
import os
found = []
for pid in ('self', 1, os.getppid(), %d):
    for name in ('environ', 'cmdline', 'mem', 'root/etc/passwd', 'cwd'):
        if os.path.lexists(f'/proc/{pid}/{name}'):
            found.append((pid, name))
print(found, 'SECRET_TOKEN' in os.environ, os.path.lexists('/proc/self'))
"""
    assert attack(source % os.getpid()).stdout == b"[] False False\n"


def test_files_outside_do_not_exist_inside(attack, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    paths = [str(secret), "/etc/shadow", "/etc/passwd", "/home", "/var", "/sys", "/run", "/root/.bashrc"]
    source = f"import os; print([path for path in {paths} if os.path.lexists(path)]); print(*os.listdir('/'))"
    found, roots = attack(source).stdout.decode().splitlines()
    assert found == "[]"
    shown = {"bin", "sbin", "lib", "lib32", "lib64", "usr", "nix", "etc", "dev", "tmp", "box"}
    of_python = {Path(path).parts[1] for path in (sys.executable, sys.prefix, os.path.realpath(sys.executable))}
    assert set(roots.split()) <= shown | of_python


def test_a_readable_folder_is_read_with_the_rights_of_a_stranger_and_never_written(attack, tmp_path):
    (tmp_path / "open").write_text("o")
    (tmp_path / "closed").write_text("c")
    (tmp_path / "closed").chmod(0o600)
    tmp_path.chmod(0o777)
    source = f"""
import os
os.chdir({str(tmp_path)!r})
print(open('open').read())
for act in (lambda: open('closed').read(), lambda: open('new', 'w'), lambda: open('open', 'w'),
            lambda: os.remove('open'), lambda: os.chmod('open', 0o777), lambda: open('/usr/new', 'w'),
            lambda: open('/new', 'w')):
    try:
        print('!!', act())
    except OSError as exc:
        print(type(exc).__name__)
"""
    result = attack(source, readable=[tmp_path])
    lines = result.stdout.decode().split()
    assert lines[0] == "o"
    if can_become_others():
        assert lines[1] == "PermissionError"
    assert set(lines[2:]) <= {"OSError", "PermissionError"}
    assert len(lines) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["closed", "open"]


def test_a_readable_folder_that_only_its_owner_may_enter_is_shown_all_the_same(attack, tmp_path):
    """And does not hide an interpreter that lies in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (tmp_path / "beside.py").write_text("x = 'seen'")
    (tmp_path / "alias.py").symlink_to("beside.py")
    tmp_path.chmod(0o700)
    source = f"import sys; sys.path.append({str(tmp_path)!r}); import alias, beside; print(alias.x, beside.x)"
    argv = [str(tmp_path / "env/bin/python"), "-I", "-B", "-c", source]
    result = SANDBOX.run(argv, readable=[tmp_path])
    assert (result.stdout, result.stderr) == (b"seen seen\n", b"")


def test_links_and_special_files_are_not_collected(attack, tmp_path):
    source = """
import os, sys
os.symlink(sys.executable, 'link')
os.symlink('/usr', 'folder')
os.mkfifo('fifo')
os.mkdir('dir')
open('real', 'w').write('r')
os.link('real', 'second')
"""
    result = attack(source, collect=["link", "folder/bin/env", "fifo", "dir", "real", "second"])
    assert (result.ended, dict(result.files)) == ("exited", {})


def test_no_new_namespaces_mounts_or_tracing(attack):
    source = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*args)
    return result, os.strerror(ctypes.get_errno())
print(call('unshare', 0x10000000), call('unshare', 0x20000), call('mount', b'none', b'/box', b'tmpfs', 0, b''),
      call('ptrace', 16, 1, 0, 0), call('setns', 0, 0), call('chroot', b'/box'), call('shmget', 0, 4096, 0o1600))
"""
    result = attack(source)
    refused = "(-1, 'Operation not permitted')"
    assert result.stdout.decode() == " ".join([refused] * 7) + "\n", result


def test_user_namespaces_stay_closed_without_the_filter_too(attack):
    kernel = SANDBOX.kernel
    unfiltered = NamespaceSandbox(probe=lambda: Kernel(is_root=kernel.is_root, refused={"syscalls": "left out here"}))
    source = "import ctypes, os; print(ctypes.CDLL(None, use_errno=True).unshare(0x10000000), ctypes.get_errno())"
    result = python(source, unfiltered)
    assert result.stdout.startswith(b"-1 "), result
    assert result.enforced.sentence == "system calls not filtered (left out here)"


def test_threads_and_subprocesses_still_work_under_the_filter(attack):
    source = """
import subprocess, threading
out = []
thread = threading.Thread(target=lambda: out.append(1)); thread.start(); thread.join()
print(out, subprocess.run(['echo', 'hi'], capture_output=True).stdout)
"""
    assert attack(source).stdout == b"[1] b'hi\\n'\n"


# ---- attacks: network


@pytest.fixture
def server():
    """A loopback server, one on an abstract Unix socket, and the list of those who called."""
    calls = []
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(f"\0opencwm-test-{os.getpid()}")
    unix.listen()

    def accept(listening):
        while True:
            try:
                with listening.accept()[0] as connection:
                    calls.append(connection.recv(10))
            except OSError:
                return

    for one in (tcp, unix):
        threading.Thread(target=accept, args=(one,), daemon=True).start()
    yield tcp.getsockname()[1], calls
    for one in (tcp, unix):
        one.shutdown(socket.SHUT_RDWR)
        one.close()


CALL = """
import socket, sys
port, name = int(sys.stdin.readline()), sys.stdin.readline().strip()
for family, address in ((socket.AF_INET, ('127.0.0.1', port)), (socket.AF_UNIX, '\\0' + name)):
    try:
        with socket.socket(family) as s:
            s.settimeout(5)
            s.connect(address)
            s.send(b'hello')
        print('connected')
    except OSError as exc:
        print(type(exc).__name__)
"""


def test_the_network_of_the_host_is_out_of_reach(attack, server):
    port, calls = server
    stdin = f"{port}\nopencwm-test-{os.getpid()}\n".encode()
    outside = subprocess.run([sys.executable, "-c", CALL], input=stdin, capture_output=True, check=True)
    assert outside.stdout == b"connected\nconnected\n"
    assert wait_for(lambda: calls == [b"hello", b"hello"])
    result = attack(CALL, stdin=stdin)
    assert b"connected" not in result.stdout, result
    assert len(result.stdout.split()) == 2, result
    assert len(calls) == 2
    assert attack("import socket; print([name for _, name in socket.if_nameindex()])").stdout == b"['lo']\n"


# ---- where the kernel refuses


def refusing(*names: str) -> Kernel:
    """This machine's kernel, which also refuses these."""
    refused = {**SANDBOX.kernel.refused, **dict.fromkeys(names, REASON)}
    return Kernel(is_root=can_become_others(), refused=refused)


def test_untrusted_code_is_refused_with_one_sentence_where_the_network_cannot_be_isolated():
    sandbox = NamespaceSandbox(probe=lambda: refusing("network"))
    with pytest.raises(ConfigError) as caught:
        python("print('ran')", sandbox, trusted=False)
    assert f"network not isolated ({REASON})" in caught.value.sentence
    assert caught.value.fix.startswith("--allow-unisolated")
    assert "\n" not in caught.value.sentence


def test_trusted_code_runs_and_the_result_says_what_is_missing():
    result = python("print('ran')", NamespaceSandbox(probe=lambda: refusing("network")))
    assert result.stdout == b"ran\n"
    assert not result.enforced.network
    assert f"network not isolated ({REASON})" in result.enforced.sentence


def test_the_user_can_allow_untrusted_code_without_isolation():
    sandbox = NamespaceSandbox(allow_unisolated=True, probe=lambda: refusing(*ISOLATION))
    result = python("print('ran')", sandbox, trusted=False)
    assert result.stdout == b"ran\n"
    assert not result.enforced.is_isolated


@pytest.mark.parametrize("missing", [ISOLATION, ("processes",), ("filesystem",), ("user",)])
def test_without_a_namespace_the_rest_still_holds(missing):
    sandbox = NamespaceSandbox(probe=lambda: refusing(*missing))
    marker = f"opencwm-test-{os.getpid()}-{'-'.join(missing)}"
    source = f"""
'{marker}'
import os, time
print(sorted(os.environ), os.listdir(), flush=True)
open('out', 'w').write('o')
os.symlink('/etc/passwd', 'link')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
time.sleep(0.2)
b = bytearray(1 << 30)
"""
    limits = Limits(wall_s=5.0, memory_bytes=256 << 20)
    result = python(source, sandbox, files={"in": b""}, collect=["out", "link"], limits=limits)
    assert result.stdout == b"['LC_CTYPE', 'PATH', 'PYTHONHASHSEED'] ['in']\n", result
    assert b"MemoryError" in result.stderr
    assert result.files == {"out": b"o"}
    assert set(missing) <= result.enforced.missing.keys()
    assert pids_with(marker) == []


def test_without_a_file_system_of_its_own_a_directory_is_made_and_removed():
    result = python("import os; print(os.getcwd())", NamespaceSandbox(probe=lambda: refusing("filesystem")))
    folder = result.stdout.decode().strip()
    assert Path(folder).name.startswith("opencwm-")
    assert not Path(folder).exists()


@pytest.mark.skipif(not can_become_others(), reason="only root can become somebody else")
def test_root_without_namespaces_still_becomes_another_user_where_that_one_can_see_the_program():
    sandbox = NamespaceSandbox(probe=lambda: refusing(*ISOLATION))
    result = sandbox.run(["id", "-u"], trusted=True)
    assert int(result.stdout) >= 61184
    assert result.enforced.non_root
    private = python("import os; print(os.getuid())", sandbox)
    assert private.enforced.non_root == is_open_to_others(sys.executable) == (private.stdout != b"0\n")


@pytest.mark.parametrize("missing", [ISOLATION, ("filesystem",)])
def test_even_where_it_stays_root_it_has_no_capabilities(missing):
    sandbox = NamespaceSandbox(probe=lambda: refusing(*missing))
    status = python("print(open('/proc/self/status').read())", sandbox).stdout.decode()
    assert "CapEff:\t0000000000000000" in status


@pytest.mark.skipif(not can_become_others(), reason="then every other test here is this one")
@pytest.mark.parametrize("within", [[], ["unshare", "--user", "--map-root-user"]], ids=["user", "container root"])
def test_a_caller_who_is_not_root_gets_the_same_isolation(attack, within):
    folders = [path for path in sys.path if Path(path, "opencwm").is_dir()]
    pythons = [sys.executable, *(f"/usr/bin/python3.{minor}" for minor in range(11, 15))]
    pythons = [path for path in pythons if Path(path).exists() and is_open_to_others(path)]
    if not pythons or not is_open_to_others(str(Path(folders[0], "opencwm/errors.py"))):
        pytest.skip("no Python 3.11 that another user may run")
    source = """
from opencwm.sandbox import NamespaceSandbox
result = NamespaceSandbox().run(["sh", "-c", "id -u; ls /proc; echo $$; cat /proc/self/status; ls /sys/class/net"])
print(result.enforced.sentence, result.stdout)
"""
    done = subprocess.run(
        [*within, pythons[0], "-B", "-c", source],
        env={"PYTHONPATH": folders[0]},
        user=61000,
        group=61000,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "isolated b'1000\\n2\\n'\n", done
