"""What `make train` shows of a run while its server is slow or away."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flows import launch

SAID = {"name": "prefect.task_runs", "message": "corpus: 50 %"}


class Busy(BaseHTTPRequestHandler):
    """Hangs up on the first two calls, then has one line of log; ends the run at the fourth."""

    run: "subprocess.Popen[str]"
    calls = 0

    def do_POST(self) -> None:
        Busy.calls += 1
        if Busy.calls <= 2:
            return  # no status line: the client's read ends as with a server that is gone
        if Busy.calls == 4:
            Busy.run.kill()
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps([SAID][wanted["offset"] :]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_run_is_followed_through_calls_that_are_not_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, text=True) as run:
            Busy.run = run
            launch._follow(f"http://127.0.0.1:{server.server_port}", "run", run)
        server.shutdown()
    assert capsys.readouterr().out.splitlines() == [SAID["message"]]
