"""This machine as two: a user of its own, reached by ssh at 127.0.0.1 and at 127.0.0.2.

Needs root, for the user and for port 22 of the loopback addresses. Everything it makes goes at the end.
"""

import contextlib
import os
import shutil
import signal
import site
import subprocess
import sys
import time
from pathlib import Path

HEAD, WORKER = "127.0.0.1", "127.0.0.2"
USER = "lukasa-loopback"
HOME = Path("/home") / USER
PORT = 6399

SSHD = """\
ListenAddress {head}:22
ListenAddress {worker}:22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
AllowUsers {user}
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
"""

# What launch/cluster-onprem.yaml lets a machine set: here, that the two do not meet in ports and folders.
NODE = f"""\
case "$SSH_CONNECTION" in *" {WORKER} "*) export RAY_TMPDIR=$HOME/.lukasa-worker ;; esac
# Ray sees one machine with one address, so that its autoscaler would miss the second one's reports and restart it.
export AUTOSCALER_HEARTBEAT_TIMEOUT_S=3600
export RAY_agent_register_timeout_ms=300000  # the machine may be busy
small="--num-cpus=1 --object-store-memory=200000000"
export LUKASA_PORT={PORT}
export LUKASA_HEAD_OPTIONS="$small --dashboard-port=8266 --ray-client-server-port=10011 \
--dashboard-agent-listen-port=52465 --min-worker-port=21000 --max-worker-port=21200"
export LUKASA_WORKER_OPTIONS="$small --dashboard-agent-listen-port=52466 \
--min-worker-port=22000 --max-worker-port=22200"
"""


def missing_programs() -> list[str]:
    """Debian packages that are needed and not here."""
    packages = {"openssh-server": "/usr/sbin/sshd", "rsync": "/usr/bin/rsync", "make": "/usr/bin/make"}
    return [name for name, path in packages.items() if not Path(path).exists()]


@contextlib.contextmanager
def two_machines(folder: Path):
    """The user with lukasa's packages, and the ssh servers; the private key is FOLDER/key.

    Args:
        folder: an empty folder for keys and logs.
    """
    if packages := missing_programs():
        run("apt-get", "install", "-y", "--no-install-recommends", *packages)
    run("useradd", "--create-home", "--shell", "/bin/bash", USER)
    server = None
    try:
        run("usermod", "--password", "*", USER)  # no password, and yet not locked: sshd refuses locked accounts
        _install()
        server = _serve_ssh(folder)
        yield
    finally:
        if server:
            server.terminate()
            server.wait(10)
        end_processes_of_user()
        run("userdel", "--remove", USER)


def end_processes_of_user() -> None:
    """End what the user still runs, by process id; the user is ours, so all of it is."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + 10
        while (found := processes_of_user()) and time.monotonic() < until:
            for process in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            time.sleep(0.3)


def processes_of_user() -> list[int]:
    """Ids of the processes that run as the user."""
    owner = int(run("id", "--user", USER))
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == owner:
                found.append(int(entry.name))
    return found


def run(*words: object) -> str:
    """Run a command and return what it says; an error shows that."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def _install() -> None:
    """An environment as `make .venv/users` leaves it, of packages that are here, so that nothing is downloaded."""
    python = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin") or sys.executable
    venv = HOME / "lukasa" / ".venv"
    run(python, "-m", "venv", "--without-pip", venv)
    packages = next((venv / "lib").glob("python3*/site-packages"))
    (packages / "here.pth").write_text(f"{HOME}\n{site.getsitepackages()[0]}\n")
    for name, module in (("ray", "ray.scripts.scripts"), ("lukasa", "lukasa.launch.cli.command")):
        script = venv / "bin" / name
        script.write_text(f"#!{venv}/bin/python\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    (venv / "users").touch()
    (HOME / ".lukasa-node").write_text(NODE)
    run("chown", "--recursive", f"{USER}:{USER}", HOME)


def _serve_ssh(folder: Path) -> subprocess.Popen:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key")
    folder.chmod(0o755)
    (folder / "sshd_config").write_text(SSHD.format(head=HEAD, worker=WORKER, folder=folder, user=USER))
    Path("/run/sshd").mkdir(exist_ok=True)
    log = open(folder / "sshd.log", "w")  # noqa: SIM115
    server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    time.sleep(0.5)
    assert server.poll() is None, (folder / "sshd.log").read_text()
    return server
