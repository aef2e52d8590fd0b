"""What may stand on a terminal, and what must not.

    terminal_bytes.py FILE...               names the bytes and characters in FILE that move a terminal,
                                            hide or reorder text: nothing, exit code 0; else 1
    terminal_bytes.py serve CERT KEY TEXT   an https server on a free port, which it prints, whose
                                            answers have TEXT in the status line and in the headers
"""
import http.server
import ssl
import sys
import unicodedata


def wrong(text):
    found = set()
    for char in text:
        point = ord(char)
        # Cc: C0, DEL, C1; Cf: bidirectional controls, joiners, marks
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            found.add("U+%04X" % point)
    return found


def look(names):
    bad = False
    for name in names:
        with open(name, "rb") as file:
            data = file.read()
        try:
            found = wrong(data.decode())
        except UnicodeDecodeError as error:
            found = {"not UTF-8: byte %d" % data[error.start]}
        if found:
            bad = True
            print(name, " ".join(sorted(found)))
    sys.exit(bad)


class Answers(http.server.BaseHTTPRequestHandler):
    text = b""

    def do_GET(self):
        text = Answers.text
        heads = {
            "/status": b"HTTP/1.1 500 " + text + b"\r\n",
            "/missing": b"HTTP/1.1 404 " + text + b"\r\n",
            "/location": b"HTTP/1.1 302 Found\r\nLocation: https://" + text + b"/x\r\n",
            "/scheme": b"HTTP/1.1 302 Found\r\nLocation: " + text + b"://host/x\r\n",
            "/encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: " + text + b"\r\n",
            "/length": b"HTTP/1.1 200 OK\r\nContent-Length: " + text + b"\r\n",
            "/login": b"HTTP/1.1 401 " + text + b"\r\nWWW-Authenticate: " + text + b"\r\n",
            "/line": text + b"\r\n",
        }
        self.wfile.write(heads.get(self.path, b"HTTP/1.1 200 OK\r\n") + b"X-" + text + b": " + text +
                         b"\r\nConnection: close\r\n\r\n" + text)
        self.close_connection = True

    def log_message(self, *args):
        pass


def serve(cert, key, text):
    Answers.text = text
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if sys.argv[1] == "serve":
    import os
    serve(sys.argv[2], sys.argv[3], os.fsencode(sys.argv[4]))
else:
    look(sys.argv[1:])
