"""A page that is open while its service is killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.test_coming_back import LONG
from tests.service.process import Service

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Return a service that comes back at its address."""
    running = Service(tmp_path, {"CHATBILL_SWEEP_INTERVAL_S": "1"}, mode="all").start()
    running.port = int(running.url.rpartition(":")[2])
    yield running
    if running.url:
        running.kill()


@pytest.mark.timeout(180)
def test_a_page_shows_the_end_of_its_reply_after_a_crash_and_goes_on_by_itself(visit: Visit, service: Service) -> None:
    ada = visit(service.url).register("ada").send(LONG)
    expect(ada.replies.first).to_contain_text("Go on for long")
    service.kill()
    expect(ada.page.locator("#cb-notice")).to_contain_text("Connecting again")
    service.start()
    expect(ada.page.locator("#cb-notice")).to_have_text("")
    expect(ada.chat).to_contain_text("The service stopped before the reply was whole; nothing was charged.")
    ada.sees_balance("100 credits").send("And again").sees_balance("99 credits")
    expect(ada.chat).not_to_contain_text("writing…")


@pytest.mark.timeout(180)
def test_a_message_that_is_written_while_the_service_is_away_is_sent_when_it_is_back(
    visit: Visit, service: Service
) -> None:
    ben = visit(service.url).register("ben").send("First").sees_balance("99 credits")
    expect(ben.page.get_by_role("button", name="Copy reply")).to_have_count(1)
    service.kill()
    ben.submit("Second")
    expect(ben.chat.get_by_text("Trying again")).to_be_visible()
    # The page tries for ten seconds. The next try waits while this test starts the service, however long that takes.
    ben.page.route("**/web/chat/messages", lambda route: route.continue_())
    service.start()
    ben.sees_balance("98 credits")
    expect(ben.messages).to_have_text(["First", "Second"])
