#!/usr/bin/env python3
"""Checks from inside what a unit's sandbox allows and denies.

Runs as ExecStartPost= of the unit, which systemd starts in the same namespaces, cgroup and system call filter as the
program itself. Prints a line for each claim, "ok: ..." or "FAILED: ...", then "checks: N". Exits with 1 if a claim
failed, which makes the start of the unit fail.

    sandbox.py UNIT STATE_DIRECTORY PORT MARKER

MARKER is the name of files that the test has placed where the unit must not look.
"""

import ctypes
import errno
import mmap
import os
import platform
import socket
import sys

unit, state, port, marker = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
libc = ctypes.CDLL(None, use_errno=True)
failures = 0
checks = 0

# System call numbers, for calls without a wrapper in the C library.
CALLS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "init_module": 175, "kexec_load": 246, "iopl": 172, "keyctl": 250,
               "io_uring_setup": 425, "userfaultfd": 323, "reboot": 169, "syslog": 103, "swapon": 167},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "init_module": 105, "kexec_load": 104, "keyctl": 219,
                "io_uring_setup": 425, "userfaultfd": 282, "reboot": 142, "syslog": 116, "swapon": 224},
}[platform.machine()]
# Name prefixes of the devices that radios use. The unit allows ttyS1 by path.
RADIO_DEVICES = ("gpiochip", "gpiomem", "spidev", "ttyACM", "ttyAMA", "ttyS1", "ttyUSB")
CLONE_NEW = {"mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
             "pid": 0x20000000, "network": 0x40000000}


def report(ok, claim):
    global failures, checks
    failures += not ok
    checks += 1
    print(("ok: " if ok else "FAILED: ") + claim, flush=True)


def cannot(what, act, *expected):
    """Checks that the act fails with one of the expected errors. Any other error would prove nothing."""
    try:
        result = act()
    except OSError as error:
        report(error.errno in expected, f"cannot {what} ({errno.errorcode.get(error.errno, error.errno)})")
    else:
        report(False, f"cannot {what}, but it succeeded: {result!r}")


def can(what, act):
    try:
        result = act()
    except OSError as error:
        report(False, f"can {what}, but it failed: {error}")
    else:
        report(result is not False, f"can {what}")


def call(number_or_name, *arguments):
    """Makes a system call, and raises OSError if it returns -1."""
    ctypes.set_errno(0)
    if isinstance(number_or_name, int):
        result = libc.syscall(ctypes.c_long(number_or_name), *arguments)
    else:
        result = getattr(libc, number_or_name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def write(path):
    with open(path, "ab") as file:
        file.write(b"x")


def read(path):
    with open(path, "rb") as file:
        return file.read(16)


def listen_on(number):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", number))
        listener.listen()


def open_device(path):
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def files():
    denied = (errno.EROFS, errno.EACCES, errno.ENOENT, errno.EPERM)
    for path in ("/usr/bin", "/etc", "/etc/herdlinx", "/var/lib", "/var/log", "/boot", "/opt", "/srv", "/var"):
        cannot(f"write below {path}", lambda path=path: write(f"{path}/{marker}"), *denied)
    cannot("read the password hashes", lambda: read("/etc/shadow"), *denied)
    for home in ("/root", "/home"):
        cannot(f"read a file below {home}", lambda home=home: read(f"{home}/{marker}"), *denied)
    cannot("read other users' temporary files", lambda: read(f"/tmp/{marker}"), errno.ENOENT)
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/fs/cgroup/cgroup.procs"):
        cannot(f"write {path}", lambda path=path: write(path), *denied)
    can("write to its state directory", lambda: (write(f"{state}/{marker}"), os.remove(f"{state}/{marker}")))
    can("write to its private temporary directory", lambda: (write(f"/tmp/own-{marker}"), os.remove(f"/tmp/own-{marker}")))
    can("read the kernel's boot id", lambda: read("/proc/sys/kernel/random/boot_id"))
    can("read the free disk space", lambda: os.statvfs(state).f_bavail > 0)


def processes():
    numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    owners = {os.stat(f"/proc/{number}").st_uid for number in numbers if os.path.exists(f"/proc/{number}")}
    report(owners == {os.getuid()}, "sees no process of another user")
    cannot("signal a process that belongs to root", lambda: os.kill(1, 0), errno.EPERM, errno.ESRCH)
    cannot("trace a process", lambda: call("ptrace", 16, ctypes.c_long(os.getppid()), 0, 0), errno.EPERM)
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    none = all(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    report(none, "has no capability and can get none")
    unprivileged = status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    report(unprivileged, "gains no privileges through execve, and has a system call filter")
    report(os.getuid() != 0 and os.getgid() != 0, "is not root")


def kernel():
    denied = (errno.EPERM, errno.EACCES)
    for name, flag in CLONE_NEW.items():
        cannot(f"create a {name} namespace", lambda flag=flag: call("unshare", flag), *denied)
    cannot("mount", lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, 0), *denied)
    cannot("become root", lambda: os.setuid(0), *denied)
    cannot("change its groups", lambda: os.setgroups([0]), *denied)
    cannot("create a device node", lambda: os.mknod(f"{state}/{marker}", 0o20600, os.makedev(1, 1)), *denied)
    cannot("create a set-uid file", lambda: create_set_uid_file(f"{state}/{marker}"), *denied)
    cannot("set the host name", lambda: socket.sethostname("x"), *denied)
    timespec = (ctypes.c_long * 2)(1, 0)
    cannot("set the clock", lambda: call("clock_settime", 0, timespec), *denied)
    cannot("request real-time scheduling", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)), *denied)
    cannot("change its execution domain (personality)", lambda: call("personality", 0x0040000), *denied)
    cannot("change its root directory", lambda: os.chroot(state), *denied)
    for name, number in CALLS.items():
        cannot(f"call {name}", lambda number=number: call(number, 0, 0, 0, 0, 0), *denied)
    cannot("map memory that is both writable and executable", map_writable_code, *denied)


def create_set_uid_file(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    try:
        os.chmod(path, 0o4700)
    finally:
        os.remove(path)


def map_writable_code():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def network():
    refused = (errno.EAFNOSUPPORT,)
    cannot("open a raw packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW), *refused, errno.EPERM)
    for family in ("AF_VSOCK", "AF_BLUETOOTH", "AF_CAN", "AF_ALG", "AF_TIPC"):
        number = getattr(socket, family)
        cannot(f"create a socket of {family}", lambda number=number: socket.socket(number, socket.SOCK_DGRAM), *refused)
    cannot("open a raw IP socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1), errno.EPERM)
    cannot("listen on a privileged port", lambda: listen_on(443), errno.EACCES, errno.EPERM)
    can(f"connect to port {port}", lambda: socket.create_connection(("127.0.0.1", port), 5).close())
    can("list the machine's network interfaces", lambda: bool(socket.if_nameindex()))
    can("write to the journal", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect("/run/systemd/journal/socket"))


def devices():
    """These nodes have mode 0666, so only the unit can refuse to open them."""
    for path in sorted(os.listdir("/dev/herdlinx-test") if os.path.isdir("/dev/herdlinx-test") else []):
        cannot(f"open /dev/herdlinx-test/{path}", lambda path=path: open_device(f"/dev/herdlinx-test/{path}"), errno.EPERM)
    can("open /dev/null", lambda: open_device("/dev/null"))


def radio_devices():
    """Checks the barn's devices. The nodes have no hardware behind them, so access shows as ENXIO, ENODEV or EIO."""
    if unit != "herdlinxd":
        cannot("see a serial port", lambda: open_device("/dev/ttyS0"), errno.ENOENT, errno.EPERM, errno.EACCES)
        return
    for path in sorted(f"/dev/{name}" for name in os.listdir("/dev") if name.startswith(RADIO_DEVICES)):
        try:
            open_device(path)
            allowed = True
        except OSError as error:
            allowed = error.errno in (errno.ENXIO, errno.ENODEV, errno.EIO)
            reason = f"{error}"
        report(allowed, f"can open {path} through its group" + ("" if allowed else f", but: {reason}"))


for claims in (files, processes, kernel, network, devices, radio_devices):
    claims()
print(f"checks: {checks}", flush=True)
sys.exit(1 if failures else 0)
