"""The program of the process that runs one GGUF file: llama.cpp's server on a Unix socket.

It imports nothing of chatbill, so that it starts quickly. Its standard input brings one line of JSON with its settings,
among them the secret that requests must carry, and ends with the service. Its standard output says in one line of JSON
that the server is ready. llama.cpp writes its messages to standard error.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from typing import Any

import xllamacpp

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Load the model, say so, and serve until the service ends."""
    settings = json.loads(sys.stdin.buffer.readline())
    _end_with(settings["parent"])
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    server = _server(settings)
    print(json.dumps({"ready": bool(server.listening_address)}), file=answers, flush=True)
    threading.Event().wait()


def _end_with(parent: int) -> None:
    """End this process when the service ends, however that happens, and not before."""
    for signal_of_group in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_of_group, signal.SIG_IGN)
    if sys.platform == "linux":
        # The thread below cannot run while llama.cpp loads the model.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 1_024):
        pass
    os._exit(0)


def _server(settings: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.hostnames = [settings["socket"]]
    params.api_keys = [settings["key"]]
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    for name, value in settings["params"].items():
        setattr(params, name, value)
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
