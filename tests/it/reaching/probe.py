# What a hostile program would try from inside the sandbox. Each line of the answer: what was tried, and the error's name or `done`.
# Arguments: the name of a set of attempts, then what it needs.
import ctypes, errno, itertools, os, socket, sys, threading, time

names = itertools.count()
libc = ctypes.CDLL(None, use_errno=True)


def attempt(name, do):
    try:
        do()
        print(name, "done")
    except OSError as e:
        print(name, errno.errorcode.get(e.errno, e.errno))
    sys.stdout.flush()


def call(number, *arguments):
    def do():
        if libc.syscall(ctypes.c_long(int(number)), *[ctypes.c_long(a) for a in arguments]) == -1:
            raise OSError(ctypes.get_errno(), "")
    return do


def write(folder, file):
    """`file` is there, in `folder`; nothing else of these names is."""
    new = lambda: os.path.join(folder, "new-%d" % next(names))
    attempt("open for writing", lambda: os.close(os.open(file, os.O_WRONLY)))
    attempt("open for both", lambda: os.close(os.open(file, os.O_RDWR)))
    attempt("append", lambda: os.close(os.open(file, os.O_WRONLY | os.O_APPEND)))
    attempt("truncate", lambda: os.truncate(file, 0))
    attempt("create", lambda: os.close(os.open(new(), os.O_WRONLY | os.O_CREAT)))
    attempt("make a folder", lambda: os.mkdir(new()))
    attempt("make a link", lambda: os.symlink("/", new()))
    attempt("make a hard link", lambda: os.link(file, new()))
    attempt("make a pipe", lambda: os.mkfifo(new()))
    attempt("change the mode", lambda: os.chmod(file, 0o777))
    attempt("change the owner", lambda: os.chown(file, 12, 12))
    attempt("change the times", lambda: os.utime(file))
    attempt("set an attribute", lambda: os.setxattr(file, "user.x", b"x"))
    attempt("remove", lambda: os.unlink(file))
    attempt("rename", lambda: os.rename(folder, folder + "-new"))


def writes(*files):
    for file in files:
        attempt(file, lambda: os.close(os.open(file, os.O_WRONLY)))


def creates(*files):
    for file in files:
        attempt(file, lambda: os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)))


def reads(*files):
    for file in files:
        attempt(file, lambda: open(file, "rb").read(1))


def net(port):
    attempt("connect", lambda: socket.create_connection(("127.0.0.1", int(port)), 5).close())
    attempt("listen", lambda: socket.create_server(("127.0.0.1", 0)).close())
    attempt("datagrams", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close())
    attempt("raw packets", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
    attempt("daemons", lambda: socket.socket(socket.AF_UNIX).close())


def calls(*numbers):
    for number in numbers:
        attempt(number, call(number, 0, 0, 0, 0, 0))


def powers(parent):
    parent = int(parent)
    attempt("signal", lambda: os.kill(parent, 28))
    attempt("its environment", lambda: open(f"/proc/{parent}/environ", "rb").read(1))
    attempt("its open files", lambda: os.readlink(f"/proc/{parent}/fd/0"))
    attempt("its memory", lambda: open(f"/proc/{parent}/mem", "rb").read(1))
    attempt("a group of its own", lambda: os.setpgid(0, 0))
    attempt("a session of its own", os.setsid)
    attempt("a thread", lambda: threading.Thread(target=lambda: None).start())

    def fork():
        if os.fork() == 0:
            os._exit(0)
    attempt("a process", fork)
    attempt("a shell", lambda: os.execv("/bin/sh", ["sh", "-c", "echo a shell"]))


def limits():
    import resource
    for name in ["CORE", "CPU", "AS", "FSIZE", "NOFILE", "NPROC"]:
        print(name, *resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))


def family(mark, count):
    """Processes that outlive their parent's patience."""
    for _ in range(int(count)):
        if os.fork() == 0:
            time.sleep(600)
    print("started", mark)
    sys.stdout.flush()
    time.sleep(600)


def bomb():
    made = 0
    try:
        while made < 5000:
            if os.fork() == 0:
                time.sleep(600)
            made += 1
        print("never stopped")
    except OSError as e:
        print("stopped" if made < 600 else "stopped late", errno.errorcode[e.errno])
    sys.stdout.flush()
    os.killpg(0, 9)


globals()[sys.argv[1]](*sys.argv[2:])
