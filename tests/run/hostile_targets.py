#!/usr/bin/env python3
"""What a hostile program may go for: hostile_targets.py DIR PID KEY LOG. Listens on TCP (both loopbacks),
on the abstract socket duet-test-PID and on DIR/socket, has shared memory of KEY; prints the port, and
writes a line to LOG for each that came. Ends with its standard input."""
import ctypes
import os
import select
import socket
import sys

folder, pid, key, log = sys.argv[1:5]
libc = ctypes.CDLL(None)
memory = libc.shmget(int(key), 4096, 0o1666)
tcp = socket.create_server(("127.0.0.1", 0))
port = tcp.getsockname()[1]
sockets = {tcp: "tcp"}
if socket.has_ipv6:
    try:
        sockets[socket.create_server(("::1", port), family=socket.AF_INET6)] = "tcp6"
    except OSError:
        pass  # a machine without IPv6
for name, at in ("abstract", f"\0duet-test-{pid}"), ("path", f"{folder}/socket"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(at)
    listener.listen()
    sockets[listener] = name
os.chmod(f"{folder}/socket", 0o777)
print(port, flush=True)
poll = [*sockets, sys.stdin]
while True:
    for ready in select.select(poll, [], [])[0]:
        if ready is sys.stdin:
            libc.shmctl(memory, 0, None)
            sys.exit(0)
        ready.accept()[0].close()
        with open(log, "a", encoding="ascii") as file:
            file.write(f"{sockets[ready]}\n")
