"""The time limits of connections, on a real server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from chatbill.entrypoints.web.connections import ConnectionBounds
from chatbill.entrypoints.web.slow_clients import ClientTimeouts, protocol

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def test_part_of_a_request_behind_another_has_the_time_of_requests_and_not_that_of_idle_connections() -> None:
    served = protocol(ClientTimeouts(receive_s=2), ConnectionBounds())
    config = uvicorn.Config(app, http=served, timeout_keep_alive=1, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(GET + GET[:9])
        answer = await asyncio.wait_for(reader.read(), 10)
        assert (answer.count(b" 200 OK"), answer.count(b" 408 Request Timeout")) == (1, 1)
        writer.close()
        server.should_exit = True
        await running
