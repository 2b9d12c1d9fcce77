"""The OpenAPI document of the API, and the page that shows it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from chatbill.entrypoints.http.accounts import bodies as account_bodies
from chatbill.entrypoints.http.accounts import views as accounts
from chatbill.entrypoints.http.billing import bodies as billing_bodies
from chatbill.entrypoints.http.billing import views as billing
from chatbill.entrypoints.http.chat import bodies as chat_bodies
from chatbill.entrypoints.http.chat import model_views as models
from chatbill.entrypoints.http.chat import views as chat
from chatbill.entrypoints.http.documentation import examples
from chatbill.entrypoints.http.documentation.responses import ProblemDetails
from chatbill.entrypoints.http.health.views import HealthView, ReadinessView
from chatbill.entrypoints.http.monitoring import examples as monitoring_examples
from chatbill.entrypoints.http.monitoring import live_views
from chatbill.entrypoints.http.monitoring import views as monitoring
from chatbill.entrypoints.http.openai import views as openai
from chatbill.entrypoints.web import accounts as shared_accounts
from chatbill.entrypoints.web import api_keys, own_rows
from chatbill.entrypoints.web.alerts import AlertView
from chatbill.entrypoints.web.problem_kinds import KINDS
from tests.kit.http import Api

CONTRACT = {
    ("post", "/auth/register", "201"),
    ("post", "/auth/login", "200"),
    ("post", "/auth/refresh", "200"),
    ("post", "/auth/password/reset", "204"),
    ("post", "/auth/logout", "204"),
    ("get", "/auth/me", "200"),
    ("patch", "/auth/me", "200"),
    ("delete", "/auth/me", "204"),
    ("post", "/auth/password", "204"),
    ("get", "/auth/sessions", "200"),
    ("delete", "/auth/sessions/{session_id}", "204"),
    ("get", "/auth/api-keys", "200"),
    ("post", "/auth/api-keys", "201"),
    ("delete", "/auth/api-keys/{key_id}", "204"),
    ("post", "/auth/password/forgot", "202"),
    ("post", "/auth/email/verify", "204"),
    ("post", "/auth/totp", "201"),
    ("post", "/auth/totp/confirm", "200"),
    ("delete", "/auth/totp", "204"),
    ("get", "/v1/models", "200"),
    ("get", "/v1/models/{model}", "200"),
    ("post", "/v1/chat/completions", "200"),
    ("get", "/chat/models", "200"),
    ("post", "/chat/message", "200"),
    ("post", "/chat/interactions/{interaction_id}/stop", "202"),
    ("get", "/chat/conversations", "200"),
    ("get", "/chat/conversations/{conversation_id}", "200"),
    ("patch", "/chat/conversations/{conversation_id}", "200"),
    ("delete", "/chat/conversations/{conversation_id}", "204"),
    ("get", "/chat/history", "200"),
    ("get", "/chat/status", "200"),
    ("get", "/billing/balance", "200"),
    ("get", "/billing/packages", "200"),
    ("post", "/billing/add", "201"),
    ("post", "/billing/add", "202"),
    ("get", "/billing/transactions", "200"),
    ("post", "/billing/redeem", "201"),
    ("get", "/admin/users", "200"),
    ("post", "/admin/users", "201"),
    ("get", "/admin/users/{user_id}", "200"),
    ("patch", "/admin/users/{user_id}", "200"),
    ("delete", "/admin/users/{user_id}", "204"),
    ("post", "/admin/users/{user_id}/sign-out", "204"),
    ("post", "/admin/users/{user_id}/password-reset", "201"),
    ("get", "/admin/audit", "200"),
    ("get", "/admin/codes", "200"),
    ("post", "/admin/codes", "201"),
    ("delete", "/admin/codes/{code_id}", "204"),
    ("post", "/admin/users/{user_id}/credits", "201"),
    ("post", "/admin/interactions/{interaction_id}/refund", "201"),
    ("post", "/chat/quote", "200"),
    ("post", "/chat/interactions/{interaction_id}/regenerate", "200"),
    ("get", "/chat/history/export", "200"),
    ("get", "/chat/spending", "200"),
    ("get", "/auth/export", "200"),
    ("get", "/billing/transactions/export", "200"),
    ("get", "/admin/dashboard", "200"),
    ("post", "/admin/exports/ledger", "202"),
    ("post", "/admin/exports/interactions", "202"),
    ("get", "/admin/exports", "200"),
    ("get", "/admin/exports/{export_id}", "200"),
    ("get", "/admin/exports/{export_id}/file", "200"),
    ("get", "/admin/ledger", "200"),
    ("get", "/admin/interactions", "200"),
    ("get", "/admin/reports/usage", "200"),
    ("get", "/admin/reports/financial", "200"),
    ("get", "/admin/logs", "200"),
    ("get", "/admin/alerts", "200"),
    ("post", "/admin/alerts/{alert_id}/acknowledge", "200"),
    ("get", "/monitoring/health", "200"),
    ("get", "/monitoring/metrics", "200"),
    ("get", "/monitoring/analytics", "200"),
    ("get", "/monitoring/report", "200"),
    ("get", "/performance/metrics", "200"),
    ("get", "/performance/analysis", "200"),
    ("post", "/performance/optimize/memory", "200"),
    ("get", "/health", "200"),
    ("get", "/health/ready", "200"),
    ("get", "/health/ready", "503"),
}
OPEN = {
    "/auth/email/verify",
    "/auth/login",
    "/auth/password/forgot",
    "/auth/password/reset",
    "/auth/refresh",
    "/auth/register",
    "/health",
    "/health/ready",
}


@pytest.fixture
async def description(service: Api) -> dict[str, Any]:
    response = await service.client().get("/docs/openapi.json")
    assert response.status_code == 200
    described: dict[str, Any] = response.json()
    return described


def _operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, item[method]) for path, item in description["paths"].items() for method in item]


async def test_every_path_of_the_contract_is_documented(description: dict[str, Any]) -> None:
    found = {
        (method, path, status)
        for method, path, operation in _operations(description)
        for status in operation["responses"]
    }
    assert found >= CONTRACT
    assert {(method, path) for method, path, _ in found} == {(method, path) for method, path, _ in CONTRACT}


async def test_every_operation_has_a_summary_a_tag_and_examples(description: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in description["tags"]}
    names = [operation["operationId"] for _, _, operation in _operations(description)]
    assert len(names) == len(set(names))
    for _, path, operation in _operations(description):
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        assert ("security" in operation) == (path not in OPEN)
        for response in operation["responses"].values():
            assert response["description"]
            assert all(content["examples"] for content in response.get("content", {}).values())


async def test_problems_are_documented_with_their_codes(description: dict[str, Any]) -> None:
    responses = description["paths"]["/chat/message"]["post"]["responses"]
    assert set(responses) >= {"200", "400", "401", "402", "404", "409", "413", "422", "429", "502", "503", "504"}
    assert set(responses["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(responses["402"]["content"]) == {"application/problem+json"}
    problems = [
        (int(status), example["value"])
        for _, _, operation in _operations(description)
        for status, response in operation["responses"].items()
        for example in response.get("content", {}).get("application/problem+json", {}).get("examples", {}).values()
    ]
    for status, problem in problems:
        assert TypeAdapter(ProblemDetails).validate_python(problem).status == status
        assert problem["code"] in KINDS
    refusals = {problem["code"]: problem for status, problem in problems if status == 402}
    assert set(refusals) == {"insufficient_credits", "cap_reached", "spending_limit_reached"}
    assert all((refusal["required"], refusal["available"]) == (3, 2) for refusal in refusals.values())
    assert refusals["cap_reached"]["cap"] == 500


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (shared_accounts.AccountView, examples.ACCOUNT),
        (accounts.TokensView, examples.TOKENS),
        (api_keys.ApiKeyView, examples.API_KEY),
        (api_keys.IssuedKeyView, examples.ISSUED_KEY),
        (openai.OpenAIModelsView, examples.OPENAI_MODELS),
        (openai.CompletionView, examples.COMPLETION),
        (models.ModelView, examples.MODEL),
        (models.ChatStatusView, examples.CHAT_STATUS),
        (chat.ReplyView, examples.REPLY),
        (chat.QuoteView, examples.QUOTE),
        (chat.StoppingView, examples.STOPPING),
        (chat.HistoryView, examples.HISTORY),
        (own_rows.ConversationView, examples.CONVERSATION),
        (chat.ConversationsView, examples.CONVERSATIONS),
        (chat.ThreadView, examples.THREAD),
        (billing.BalanceView, examples.BALANCE),
        (billing.PackageView, examples.PACKAGE),
        (billing.ReceiptView, examples.RECEIPT),
        (billing.ReceiptView, examples.PENDING),
        (billing.TransactionsView, examples.TRANSACTIONS),
        (monitoring.LogsView, monitoring_examples.LOGS),
        (monitoring.AlertsView, monitoring_examples.ALERTS),
        (AlertView, monitoring_examples.ACKNOWLEDGED),
        (monitoring.PartsView, monitoring_examples.PARTS),
        (monitoring.AnalysisView, monitoring_examples.ANALYSIS),
        (monitoring.FreedView, monitoring_examples.FREED),
        (live_views.LiveView, monitoring_examples.LIVE),
        (HealthView, examples.HEALTH),
        (ReadinessView, examples.READY),
        (ReadinessView, examples.NOT_READY),
    ],
)
def test_the_examples_match_the_answers(model: Any, example: dict[str, Any]) -> None:
    TypeAdapter(model).validate_python(example)
    assert set(example) == set(model.__dataclass_fields__)


async def test_the_examples_of_bodies_are_valid(description: dict[str, Any]) -> None:
    modules = (account_bodies, billing_bodies, chat_bodies)
    for name in (
        "RegisterBody",
        "LoginBody",
        "RefreshBody",
        "PasswordBody",
        "MessageBody",
        "ConversationBody",
        "OrderBody",
    ):
        properties = description["components"]["schemas"][name]["properties"]
        body = {field: schema["examples"][0] for field, schema in properties.items() if "examples" in schema}
        assert body
        model = next(getattr(module, name) for module in modules if hasattr(module, name))
        model.model_validate(body)


class _Page(HTMLParser):
    """Collects the text and the external files of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name == "src" or (tag == "link" and name == "href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


async def test_the_page_is_complete_without_a_network(service: Api) -> None:
    response: httpx.Response = await service.client().get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "script" not in response.headers["content-security-policy"]
    page = _Page()
    page.feed(response.text)
    assert page.fetched == []
    text = " ".join(page.text)
    for _, path, _ in CONTRACT:
        assert path in text
    assert "insufficient_credits" in text
    assert "event: accepted" in text
    assert not re.search(r"<script|https?://(?!pay\.example|chat\.example)", response.text)
