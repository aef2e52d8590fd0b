#!/usr/bin/python3
"""A mirror on loopback that hands on to another one, and writes down what it was asked for.

	mirror.py UPSTREAM LOG CUT	prints its port; while there is a file CUT with a number in it,
					every answer from that package on breaks off in its middle, as a
					network does
"""
import http.server
import socketserver
import sys
import threading
import urllib.error
import urllib.request

upstream, log = sys.argv[1].rstrip("/"), open(sys.argv[2], "a", buffering=1)
lock = threading.Lock()
packages = 0


def cut():
    try:
        with open(sys.argv[3]) as file:
            return int(file.read())
    except OSError:
        return 1 << 30


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        global packages
        with lock:
            log.write(self.path + "\n")
            packages += self.path.endswith(".deb")
            broken = self.path.endswith(".deb") and packages >= cut()
        path = self.path.split("/debian", 1)[1]
        request = urllib.request.Request(upstream + path)
        for name in ("Range", "If-Range", "If-Modified-Since"):
            if self.headers[name]:
                request.add_header(name, self.headers[name])
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "Last-Modified", "Content-Range", "ETag"):
            if answer.headers[name]:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if broken:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
