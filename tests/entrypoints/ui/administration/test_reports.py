"""The reports and the ledger of the administration: what they name, in which order, and their sums and files."""

from __future__ import annotations

import re

import pytest

from chatbill.application.accounts.update_account import AccountChange
from chatbill.domain.accounts.users import UserRole
from chatbill.domain.shared.audit_trail import AuditAction
from tests.entrypoints.ui.administration.conftest import Enter, chatted
from tests.kit.staff import id_of, trail
from tests.kit.support import World

VIEWS = "/web/views/administration"


def plain(fragment: str) -> str:
    """Return the text of a fragment, with single blanks."""
    return " ".join(re.sub(r"<[^>]*>", " ", fragment).split())


async def test_money_begins_with_its_totals_and_the_newest_day(served: World, enter: Enter) -> None:
    await chatted(served)
    page = (await (await enter(UserRole.FINANCE)).get(f"{VIEWS}/money?from=2025-12-30&to=2026-01-02")).text
    tiles = plain(page[page.index("<dl") : page.index("</dl>")])
    assert tiles == (
        "Received 0 Owed to people 0 Sold 0 credits Gifts and bonus 200 credits Charged 1 credit "
        "Owned at the end 199 credits"
    )
    named = re.findall(r'<th scope="row"[^>]*>(.*?)</th>', page)
    assert list(map(plain, named)) == ["Total", "Jan 2, 2026", "Jan 1, 2026", "Dec 31, 2025", "Dec 30, 2025"]


@pytest.mark.parametrize("section", ["use", "money"])
async def test_a_report_says_its_period_in_words_and_in_its_fields(served: World, enter: Enter, section: str) -> None:
    client = await enter(UserRole.FINANCE)
    principal = await served.use_cases.accounts.web_authenticate(client.cookies["chatbill_session"])
    await served.use_cases.accounts.update_account(principal, AccountChange(time_zone="Europe/Moscow"))
    for query, words, first, last in (
        ("", "Dec 3, 2025 to Jan 1, 2026, Europe/Moscow", "2025-12-03", "2026-01-01"),
        ("?from=2026-01-01", "Jan 1, 2026, Europe/Moscow", "2026-01-01", "2026-01-01"),
        ("?from=2025-12-30&to=2025-12-31&tz=UTC", "Dec 30, 2025 to Dec 31, 2025, UTC", "2025-12-30", "2025-12-31"),
        (
            "?from=2025-12-31T00:30:00Z&to=2025-12-31T02:00:00Z&tz=UTC",
            "Dec 31, 2025, 12:30:00\u202fAM to Dec 31, 2025, 2:00:00\u202fAM, UTC",
            *("2025-12-31", "2025-12-31"),
        ),
    ):
        page = (await client.get(f"{VIEWS}/{section}{query}")).text
        assert f">{words}</p>" in page
        for name, value in (("from", first), ("to", last)):
            assert re.search(rf'name="{name}"[^>]* type="date" value="{value}"', page), query
        assert ('name="tz" value="UTC"' in page) == ("tz=" in query)


async def test_models_outcomes_and_months_are_named_as_people_know_them(served: World, enter: Enter) -> None:
    await chatted(served)
    client = await enter(UserRole.ADMIN)
    for group, name in (("model", "Demo mini"), ("outcome", "completed"), ("month", "January 2026")):
        section = "money" if group == "month" else "use"
        assert f">{name}</" in (await client.get(f"{VIEWS}/{section}?group_by={group}")).text
    ledger = (await client.get(f"{VIEWS}/ledger")).text
    assert "Reply by Demo mini" in ledger
    assert "demo-mini" not in ledger


async def test_the_ledger_has_the_sum_of_what_it_shows(served: World, enter: Enter) -> None:
    await chatted(served)
    client = await enter(UserRole.FINANCE)
    assert "Sum of the 3 entries shown: +199 (+200, -1)" in plain((await client.get(f"{VIEWS}/ledger")).text)
    charges = (await client.get(f"{VIEWS}/ledger?kind=charge")).text
    assert "Sum of the 1 entry shown: -1 (0, -1)" in plain(charges)
    assert "Sums of whole periods" not in charges


@pytest.mark.parametrize(("section", "what"), [("ledger", "ledger"), ("requests", "interactions")])
@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
async def test_a_list_is_exported_as_it_is_filtered_and_the_trail_says_so(
    served: World, enter: Enter, section: str, what: str, form: str
) -> None:
    for name in ("ann", "bob"):
        await chatted(served, name)
    client, ann = await enter(UserRole.ADMIN), await id_of(served, "ann")
    view = (await client.get(f"{VIEWS}/{section}?user=ann")).text
    address = f"../web/administration/{section}/file?user=ann&amp;format={form}"
    assert address in view
    answer = await client.get(f"/web/administration/{section}/file?user=ann&format={form}")
    assert f"chatbill-{what}.{form}" in answer.headers["content-disposition"]
    if form == "json":
        assert {row["user_id"] for row in answer.json()["items"]} == {ann}
    (record,) = await trail(served, AuditAction.EXPORTED)
    assert (record.subject_id, record.after["user"], record.after["format"]) == (what, ann, form)


async def test_the_trail_shows_what_changed_in_one_column(served: World, enter: Enter) -> None:
    await chatted(served)
    client, ann = await enter(UserRole.ADMIN), await id_of(served, "ann")
    change = {"reason": "a test", "role": "support"}
    assert (await client.post(f"/web/administration/people/{ann}/role", json=change)).is_success
    assert "role: user \N{RIGHTWARDS ARROW} role: support" in plain((await client.get(f"{VIEWS}/audit")).text)
