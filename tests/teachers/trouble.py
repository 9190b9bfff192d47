"""A server on loopback that hands questions on to another one, and gets into trouble first."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from distill.teachers.wire import Wire


@contextmanager
def troubled(url, *troubles):
    """A server before the server: the first requests meet each a trouble, the others are passed on."""
    left, seen, lock = list(troubles), [], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                trouble = left.pop(0) if left else None
                seen.append((time.monotonic(), self.headers.get("Authorization")))
            if trouble is not None:
                trouble(self)
            else:
                self._answer(200, json.dumps(Wire("u", url, 30, 0).ask(self.path, json.loads(body))).encode())

        def do_GET(self):
            self._answer(200, json.dumps(Wire("u", url, 30, 0).ask(self.path)).encode())

        def _answer(self, status, data, length=None, **headers):
            self.send_response(status)
            for name, value in {"Content-Length": length or len(data), **headers}.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}", seen
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def status(code, **headers):
    return lambda handler: handler._answer(code, b'{"error": {"message": "in trouble"}}', **headers)


def hang(handler):
    time.sleep(0.4)


def cut(handler):
    handler._answer(200, b'{"choices": [', length=1000)


def garbled(handler):
    handler._answer(200, b'{"choices": [')


def gone(handler):
    handler.connection.close()
