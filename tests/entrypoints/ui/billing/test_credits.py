from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from chatbill.application.accounts.update_account import AccountChange
from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.administration.create_code import NewCode
from chatbill.application.ports.payments import Checkout
from chatbill.domain.billing.payments import Money, Package, Payment, PaymentEvent, PaymentStatus, PriceList
from chatbill.entrypoints.ui import WebConfig
from tests.kit.page import Page, Person, page
from tests.kit.staff import member
from tests.kit.support import PRO, world

PRICES = PriceList(
    packages=(
        Package(id="small", credits=100, bonus=0, price=Money(Decimal("4.99"), "EUR")),
        Package(id="large", credits=1_000, bonus=200, price=Money(Decimal("30.00"), "EUR")),
    ),
    unit_price=Money(Decimal("0.05"), "EUR"),
    max_credits=10_000,
)


@pytest.fixture
async def opened() -> AsyncIterator[Page]:
    async with page(world(prices=PRICES), WebConfig(payment_note="No money is taken.")) as opened:
        yield opened


@pytest.fixture
async def alice(opened: Page) -> Person:
    return await opened.person("alice")


def plain(fragment: str) -> str:
    """Return the text of a fragment, with single blanks."""
    return " ".join(re.sub(r"<[^>]*>", " ", fragment).split())


async def confirmation(person: Person, **chosen: str) -> tuple[str, dict[str, str]]:
    """Return the text of the confirmation, and the fields that it sends."""
    asked = (await person.act("/web/credits/choice", **chosen))["put"]["cb-payment"]
    return plain(asked), dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked))


async def test_the_view_shows_what_is_owned_held_and_available(alice: Person) -> None:
    shown = plain(await alice.view("credits"))
    assert "100 credits available" in shown
    assert "held" not in shown


async def test_packages_show_their_bonus_and_the_price_of_a_credit(alice: Person) -> None:
    shown = plain(await alice.view("credits"))
    assert "100 credits €4.99 €0.0499 a credit" in shown
    assert "1,000 credits + 200 bonus €30.00 €0.025 a credit" in shown
    assert "No money is taken." in shown


async def test_a_purchase_says_what_is_paid_and_received_and_adds_it_once(alice: Person) -> None:
    said, fields = await confirmation(alice, package="large")
    assert "You pay €30.00 and receive 1,200 credits. 200 of them are a bonus." in said
    assert await alice.balance() == 100
    for _again in range(3):
        answer = await alice.act("/web/credits/orders", **fields)
        assert answer["say"] == "1,200 credits added."
        assert answer["put"]["cb-balance"] == "1,300 credits"
        assert "Payment received" in answer["put"]["cb-payment"]
        assert "You paid €30.00." in answer["put"]["cb-payment"]
        assert "1,300 credits available" in plain(answer["put"]["cb-wallet"])
        assert await alice.balance() == 1_300


async def test_each_confirmation_is_a_purchase_of_its_own(alice: Person) -> None:
    for _each in range(2):
        _said, fields = await confirmation(alice, package="small")
        await alice.act("/web/credits/orders", **fields)
    assert await alice.balance() == 300


async def test_an_amount_of_ones_own_has_its_price_while_it_is_typed_and_is_added(alice: Person) -> None:
    assert json.loads(await alice.view("/web/credits/price", amount="250"))["text"] == "250 credits for €12.50"
    said, fields = await confirmation(alice, package="", amount="250")
    assert "You pay €12.50 and receive 250 credits." in said
    await alice.act("/web/credits/orders", **fields)
    assert await alice.balance() == 350


@pytest.mark.parametrize("amount", ["", "0", "-5", "1.5", "10001", "9" * 30, "١٢", "<b>", "1e3"])
async def test_an_amount_that_is_not_sold_is_explained_beside_its_field(alice: Person, amount: str) -> None:
    price = json.loads(await alice.view("/web/credits/price", amount=amount))
    assert price == {"text": "Type a number from 1 to 10,000.", "known": False}
    for path, more in (("choice", {}), ("orders", {"key": "k"})):
        answer = await alice.client.post(f"/web/credits/{path}", json={"package": "", "amount": amount, **more})
        assert answer.status_code == 422, path
        assert answer.json()["errors"]
    assert await alice.balance() == 100


@pytest.mark.parametrize("fields", [{"package": "none"}, {}, {"package": 1}, {"package": "small", "amount": 5}])
async def test_a_bad_choice_is_refused(alice: Person, fields: dict[str, object]) -> None:
    assert (await alice.client.post("/web/credits/choice", json=fields)).status_code == 422


@pytest.mark.parametrize("key", ["", "k" * 300, "ключ"])
async def test_a_purchase_needs_the_key_of_its_confirmation(alice: Person, key: str) -> None:
    order = {"package": "small", "amount": "", "key": key}
    assert (await alice.client.post("/web/credits/orders", json=order)).status_code == 422
    assert await alice.balance() == 100


async def test_the_key_of_another_persons_confirmation_gives_nothing_of_theirs(opened: Page, alice: Person) -> None:
    bob = await opened.person("bob")
    _said, fields = await confirmation(alice, package="small")
    await alice.act("/web/credits/orders", **fields)
    await bob.act("/web/credits/orders", **fields)
    assert (await alice.balance(), await bob.balance()) == (200, 200)


class Hosted:
    """A provider with a page of its own. `status` is what it knows at once."""

    name = "hosted"

    def __init__(self, url: str, status: PaymentStatus | None = None) -> None:
        self.url, self.status = url, status

    async def collect(self, payment: Payment) -> Checkout:
        event = PaymentEvent(payment_id=payment.id, status=self.status) if self.status else None
        return Checkout(event=event, url=self.url)


async def bought_at(provider: Hosted) -> str:
    """Return what a person is shown after a purchase at this provider."""
    async with page(world(provider=provider)) as opened:
        person = await opened.person()
        _said, fields = await confirmation(person, package="small")
        answer = await person.act("/web/credits/orders", **fields)
        assert await person.balance() == 100
        return str(answer["put"]["cb-payment"])


async def test_a_hosted_provider_is_reached_by_a_link_and_nothing_is_added_before() -> None:
    shown = await bought_at(Hosted("https://pay.example.com/a?b=1&c=2"))
    assert 'href="https://pay.example.com/a?b=1&amp;c=2"' in shown
    assert "100 credits will be added when the payment is confirmed." in plain(shown)


async def test_an_address_that_is_not_of_the_web_is_no_link() -> None:
    assert "alert(1)" not in await bought_at(Hosted("javascript:alert(1)"))


async def test_a_payment_that_failed_says_so() -> None:
    shown = await bought_at(Hosted("https://pay.example.com/", PaymentStatus.FAILED))
    assert "The payment failed, and nothing was added." in plain(shown)
    assert "pay.example.com" not in shown


async def test_where_nothing_is_sold_the_view_says_how_credits_are_added() -> None:
    async with page(world(sells=False)) as opened:
        person = await opened.person()
        shown = await person.view("credits")
        assert "Credits are not sold here. The operator of this service adds them" in plain(shown)
        assert 'data-open="cb-shop"' not in shown
        for path, fields in (
            ("choice", {"package": "small"}),
            ("orders", {"package": "small", "amount": "", "key": "k"}),
        ):
            answer = await person.client.post(f"/web/credits/{path}", json=fields)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_code_is_redeemed_once(opened: Page, alice: Person) -> None:
    root = await member(opened.here)
    code = (await opened.here.use_cases.administration.create_code(root, NewCode(credits=50))).text
    answer = await alice.act("/web/credits/codes", code=code.lower())
    assert answer["say"] == "50 credits added."
    assert answer["put"]["cb-balance"] == "150 credits"
    again = await alice.client.post("/web/credits/codes", json={"code": code})
    assert (again.status_code, again.json()["detail"]) == (409, "You have redeemed this code already.")
    wrong = await alice.client.post("/web/credits/codes", json={"code": "<script>"})
    assert (wrong.status_code, wrong.json()["detail"]) == (404, "This code was not found here.")
    assert await alice.balance() == 150


async def test_transactions_name_the_model_and_lead_to_the_message(alice: Person) -> None:
    turn = await alice.says("Why?", PRO)
    shown = await alice.view("credits")
    assert f'<a href="c/{turn.conversation_id}?at={turn.id}">Reply by Demo pro</a>' in shown
    assert "Charge Reply by Demo pro -3 97" in plain(shown)
    assert "Gift Welcome credits +100 100" in plain(shown)


async def test_a_transaction_of_a_deleted_conversation_leads_nowhere(alice: Person) -> None:
    turn = await alice.says("Why?")
    await alice.here.use_cases.chat.delete_conversation(alice.principal, turn.conversation_id)
    shown = await alice.view("credits")
    assert "Reply by Demo mini" in plain(shown)
    assert turn.conversation_id not in shown


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"kind": "charge"}, {"Demo mini", "Demo pro"}),
        ({"kind": "grant"}, {"Welcome"}),
        ({"kind": "refund"}, set()),
        ({"from_": "2026-01-02"}, {"Demo pro"}),
        ({"to": "2026-01-01"}, {"Welcome", "Demo mini"}),
        ({"from_": "2026-01-01", "to": "2026-01-01", "kind": "charge"}, {"Demo mini"}),
    ],
)
async def test_transactions_are_filtered_by_kind_and_days(alice: Person, asked: dict[str, str], seen: set[str]) -> None:
    await alice.says("One")
    alice.here.clock.advance(24 * 3_600)
    await alice.says("Two", PRO)
    listed = plain(await alice.view("/web/credits/transactions", **asked))
    assert {word for word in ("Welcome", "Demo mini", "Demo pro") if word in listed} == seen
    assert ("Nothing was found." in listed) == (not seen)
    file = json.loads(await alice.view("/web/credits/transactions/export", format="json", **asked))
    assert len(file["items"]) == len(seen)


async def test_days_are_those_of_the_persons_time_zone(alice: Person) -> None:
    change = AccountChange(time_zone="Asia/Tokyo")
    await alice.here.use_cases.accounts.update_account(alice.principal, change)
    alice.here.clock.advance(16 * 3_600)
    await alice.says("Late")
    listed = plain(await alice.view("/web/credits/transactions", from_="2026-01-02"))
    assert "Demo mini" in listed
    assert "Welcome" not in listed


async def test_transactions_come_in_pages_that_keep_the_filter(alice: Person) -> None:
    for _each in range(25):
        await alice.says("Again")
    first = await alice.view("credits", kind="charge")
    (older,) = re.findall(r'href="credits\?([^"]*)">Older', first)
    assert older == "kind=charge&amp;cursor=7"
    assert first.count('<tr role="row">') == 20
    second = await alice.view("credits", kind="charge", cursor="7")
    assert second.count('<tr role="row">') == 5
    assert "Older" not in second
    assert 'href="credits?kind=charge">Newest' in second.replace('id="cb-newest" ', "")


@pytest.mark.parametrize("asked", [{"kind": "x"}, {"from_": "soon"}, {"cursor": "x"}, {"to": "2026-02-30"}])
async def test_a_bad_filter_is_refused_in_words(alice: Person, asked: dict[str, str]) -> None:
    params = {name.rstrip("_"): value for name, value in asked.items()}
    answer = await alice.client.get("/web/views/credits", params=params)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] in params


async def test_reasons_are_escaped(opened: Page, alice: Person) -> None:
    root = await member(opened.here)
    adjust = opened.here.use_cases.administration.adjust_credits
    await adjust(root, alice.principal.user_id, 5, AdminAction(reason="<img src=x onerror=alert(1)>"))
    shown = await alice.view("credits")
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<img" not in shown


async def test_no_part_shows_anything_of_another_person(opened: Page, alice: Person) -> None:
    await alice.says("A secret of mine", PRO)
    bob = await opened.person("bob")
    parts = ("credits", "/web/credits/wallet", "/web/credits/transactions", "/web/credits/spending")
    for part in (*parts, "/web/credits/transactions/export"):
        shown = await bob.view(part)
        assert "Demo pro" not in plain(shown)
        assert "97" not in shown


async def test_a_low_balance_is_noticed_below_the_threshold_of_the_person(alice: Person) -> None:
    update = alice.here.use_cases.accounts.update_account
    await update(alice.principal, AccountChange(low_balance=100))
    assert "below" not in plain(await alice.view("/web/credits/wallet"))
    await alice.says("One")
    assert "Your balance is below 100 credits." in plain(await alice.view("/web/credits/wallet"))


async def test_limits_of_ones_own_show_what_is_left(alice: Person) -> None:
    update = alice.here.use_cases.accounts.update_account
    await update(alice.principal, AccountChange(limit_day=10, limit_month=2))
    await alice.says("One")
    shown = plain(await alice.view("/web/credits/wallet"))
    assert "Your limit for today: 9 of 10 credits left" in shown
    assert "Your limit for this month: 1 of 2 credits left" in shown


async def test_spending_is_shown_by_day_and_by_model(alice: Person) -> None:
    await alice.says("One")
    alice.here.clock.advance(24 * 3_600)
    await alice.says("Two", PRO)
    shown = await alice.view("/web/credits/spending", days="7")
    text = plain(shown)
    assert "4 credits for 2 messages" in text
    assert "Jan 2, 2026 3 Jan 1, 2026 1 Dec 31, 2025 0" in text
    assert "By model Demo pro 3 credits Demo mini 1 credit" in text
    assert shown.count('class="cb-plot-reach"') == 7
    assert len(re.findall(r'<rect class="cb-plot-bar" x=', shown)) == 2
    assert 'role="img" aria-label="Credits spent by day' in shown
    assert (await alice.client.get("/web/credits/spending?days=8")).status_code == 422


async def test_an_export_has_every_transaction_and_one_runs_at_a_time(alice: Person) -> None:
    for _each in range(3):
        await alice.says("Again")
    answer = await alice.client.get("/web/credits/transactions/export?format=csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="chatbill-transactions.csv"'
    assert len(answer.text.splitlines()) == 1 + 4
    places = alice.here.use_cases.reports.export_places
    assert not places.taken
    places.take(alice.principal.user_id)
    assert (await alice.client.get("/web/credits/transactions/export")).status_code == 429
    places.release(alice.principal.user_id)
    assert (await alice.client.get("/web/credits/transactions/export?format=xlsx")).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["views/credits", "credits/wallet", "credits/transactions", "credits/transactions/export", "credits/spending"],
)
async def test_every_part_is_for_people_who_are_signed_in(opened: Page, alice: Person, path: str) -> None:
    await alice.client.delete("/web/session")
    assert (await alice.client.get(f"/web/{path}")).status_code == 401


async def test_a_page_of_another_site_buys_nothing(alice: Person) -> None:
    order = {"package": "small", "amount": "", "key": "k"}
    elsewhere = {"Origin": "https://evil.example.org"}
    answer = await alice.client.post("/web/credits/orders", json=order, headers=elsewhere)
    assert answer.status_code == 403
    assert await alice.balance() == 100
