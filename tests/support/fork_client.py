"""The program behind the commands of support.forking: has a child forked for it, and ends as the child ends.

    fork_client.py <socket> <what stands behind `python`>…

The child has the streams, the environment and the folder of this process, and gets its signals. It is killed with it.
"""

import contextlib
import json
import os
import signal
import socket
import sys


def main() -> None:
    address, *arguments = sys.argv[1:]
    body = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}).encode()  # noqa: PTH109
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [b"\0"], [0, 1, 2])
    connection.sendall(b"%d\n%s" % (len(body), body))
    answers = connection.makefile("rb")
    pid = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda told, _: os.kill(pid, told))
    code = int(answers.readline())
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
