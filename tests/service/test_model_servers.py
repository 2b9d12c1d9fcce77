"""Models on another server, with `chatbill serve` and `chatbill models`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.adapters.inference.openai.fake_servers import scripted_server, working_server
from tests.service.process import Service

CATALOGUE = """
[[models]]
id = "large"
name = "Large"
tier = "pro"
price = {{ per_reply = 1, per_1k_prompt_tokens = 10, per_1k_completion_tokens = 20 }}
context_tokens = 32768
max_reply_tokens = 4096
served_as = "org/Large-70B"
source = {{ kind = "server", url = "{url}", api_key_env = "GPU_SERVER_KEY" }}
"""


async def test_the_demo_is_served_by_another_server(tmp_path: Path) -> None:
    async with working_server() as server:
        environment = {"CHATBILL_ENGINE": "openai", "CHATBILL_ENGINE_URL": server.url}
        service = Service(tmp_path / "data", environment)
        await asyncio.to_thread(service.start)
        try:
            token = await service.person()
            async with service.client(token) as client:
                reply = (await client.post("/chat/message", json={"model": "demo-mini", "message": "a b c"})).json()
                status = (await client.get("/chat/status")).json()
                ready = await client.get("/health/ready")
        finally:
            code = await asyncio.to_thread(service.stop)
        listed = await asyncio.to_thread(service.run, "models", "list")
        pulled = await asyncio.to_thread(service.run, "models", "pull", "demo-mini")

    assert (reply["reply"], reply["credits_charged"]) == ("a b c", 1)
    assert reply["usage"] == {"prompt_tokens": 3, "completion_tokens": 3}
    assert (status["engine"], ready.status_code, code) == ("openai", 200, 0)
    assert f"server {server.url}, as demo-mini" in listed.stdout
    assert "to be fetched" not in listed.stdout
    assert "there is nothing to fetch" in pulled.stdout
    assert await asyncio.to_thread(service.verify)


async def test_a_server_of_the_catalogue_gets_the_key_of_its_variable(tmp_path: Path) -> None:
    async with scripted_server() as server:
        catalogue = tmp_path / "own.toml"
        catalogue.write_text(CATALOGUE.format(url=server.url), encoding="utf-8")
        environment = {"CHATBILL_ENGINE": "transformers", "CHATBILL_MODELS": str(catalogue)}
        service = Service(tmp_path / "data", {**environment, "GPU_SERVER_KEY": "s3cret-key"})
        await asyncio.to_thread(service.start)
        try:
            token = await service.person()
            async with service.client(token) as client:
                reply = (await client.post("/chat/message", json={"model": "large", "message": "Hi"})).json()
        finally:
            await asyncio.to_thread(service.stop)
        checked = await asyncio.to_thread(service.run, "models", "check")

    assert (reply["reply"], reply["usage"]["prompt_tokens"]) == ("ok", 8)
    assert "authorization: bearer s3cret-key" in server.asked[0]["head"]
    assert server.asked[0]["model"] == "org/Large-70B"
    assert "s3cret-key" not in "".join(service.output)
    assert "large  works\n" in checked.stdout


def test_a_missing_key_is_named_by_its_variable(tmp_path: Path) -> None:
    catalogue = tmp_path / "own.toml"
    catalogue.write_text(CATALOGUE.format(url="http://127.0.0.1:9/v1"), encoding="utf-8")
    service = Service(tmp_path / "data", {"CHATBILL_ENGINE": "transformers", "CHATBILL_MODELS": str(catalogue)})
    done = service.run("serve", "--port", "0", "--mode", "api")

    assert done.returncode == 1
    assert "GPU_SERVER_KEY is not set" in done.stderr
