"""The service with its default settings, its page, and the real demo models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.kit.models import fetch_demo, models_folder
from tests.service.process import Service

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow]

QUESTION = "What is the capital of France? Answer in one sentence."


@pytest.fixture(params=["llama_cpp", "transformers"])
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Run `chatbill serve` on either engine, with models that were fetched before and settings by default otherwise."""
    fetch_demo(request.param)
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(models_folder(), target_is_directory=True)
    running = Service(data, {"CHATBILL_ENGINE": "local", "CHATBILL_LOCAL_ENGINE": request.param}, mode="all").start()
    yield running
    if running.url:
        running.kill()


@pytest.mark.timeout(300)
def test_a_new_user_gets_real_replies_and_pays_for_them(visit: Visit, service: Service) -> None:
    ann = visit(service.url).register("ann").sees_balance("100 credits")
    ann.may_be_refused = {503}  # while the service stops
    ann.send(QUESTION).sees_balance("99 credits")
    expect(ann.replies.first).to_contain_text("Paris")
    ann.choose("SmolLM2 135M, 8 bit").send("Which river flows through it?").sees_balance("96 credits")
    expect(ann.page.get_by_role("button", name="Copy reply")).to_have_count(2)
    ann.picture("answered")
    ann.page.reload()
    ann.sees_balance("96 credits")
    expect(ann.replies.first).to_contain_text("Paris")
    # The page is still open. The service must not wait for it.
    assert service.stop() == 0
    verdict = service.verify()
    assert (verdict["charges"], verdict["pending_holds"]) == (2, 0)
