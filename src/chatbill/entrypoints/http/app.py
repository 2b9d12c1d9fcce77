"""Makes the ASGI application of the HTTP API from the use cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.plugins.pydantic import PydanticPlugin
from litestar.types import ControllerRouterHandler, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from chatbill.application.assembly import UseCases
from chatbill.application.ports.metrics import Metrics
from chatbill.entrypoints.http.accounts.api_keys import ApiKeyController
from chatbill.entrypoints.http.accounts.controller import AccountController
from chatbill.entrypoints.http.accounts.second_factor import SecondFactorController
from chatbill.entrypoints.http.accounts.sessions import SessionController
from chatbill.entrypoints.http.accounts.sign_in import SignInController
from chatbill.entrypoints.http.administration.audit_trail import AuditTrailController
from chatbill.entrypoints.http.administration.codes import CodeController
from chatbill.entrypoints.http.administration.controller import AdminController
from chatbill.entrypoints.http.administration.users import UserController
from chatbill.entrypoints.http.billing.controller import PAYMENTS_HEADER, BillingController
from chatbill.entrypoints.http.chat.controller import ChatController
from chatbill.entrypoints.http.chat.conversations import ConversationController
from chatbill.entrypoints.http.documentation.openapi import NEEDS_BEARER, openapi_config
from chatbill.entrypoints.http.health.controller import HealthController, read_root
from chatbill.entrypoints.http.monitoring.alerts import AlertController
from chatbill.entrypoints.http.monitoring.logs import LogController
from chatbill.entrypoints.http.monitoring.metrics import metrics_route
from chatbill.entrypoints.http.monitoring.performance import MonitoringController, PerformanceController
from chatbill.entrypoints.http.openai.controller import OpenAIController
from chatbill.entrypoints.http.openai.errors import OPENAI_ERRORS
from chatbill.entrypoints.http.openai.views import BALANCE_HEADER, CACHED_HEADER, CHARGED_HEADER
from chatbill.entrypoints.http.reports.background import BackgroundExportController
from chatbill.entrypoints.http.reports.controller import ReportController
from chatbill.entrypoints.http.reports.lists import ReportListController
from chatbill.entrypoints.http.reports.monitoring import UseOverTimeController
from chatbill.entrypoints.http.reports.own_data import OwnDataController
from chatbill.entrypoints.http.reports.spending import SpendingController
from chatbill.entrypoints.http.shared.authentication import bearer_guard, provide_principal
from chatbill.entrypoints.http.shared.config import HttpConfig
from chatbill.entrypoints.http.shared.parameters import Injected
from chatbill.entrypoints.http.shared.requests import JsonRequest
from chatbill.entrypoints.web.addresses import ClientAddresses
from chatbill.entrypoints.web.envelope import Envelope
from chatbill.entrypoints.web.head import HeadAsGet
from chatbill.entrypoints.web.metrics import PATH as METRICS_PATH
from chatbill.entrypoints.web.problems import PROBLEM_DETAILS, ErrorFormat
from chatbill.entrypoints.web.proxies import path_below_root

CORS_EXPOSED = ["Retry-After", BALANCE_HEADER, CACHED_HEADER, CHARGED_HEADER, PAYMENTS_HEADER, "X-Request-Id"]
CORS_MAX_AGE_S = 600


class HttpApp(Litestar):
    """Litestar inside the envelope, which also wraps the errors of the router, such as 404."""

    metrics: Metrics

    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Answer a request, or handle the start and the stop of the server."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
        else:
            envelope = Envelope(
                HeadAsGet(super().__call__),
                errors=_error_format(scope),
                quiet_paths=(HealthController.path, METRICS_PATH),
                metrics=self.metrics,
            )
            await envelope(scope, receive, send)  # type: ignore[arg-type]


def create_app(use_cases: UseCases, config: HttpConfig | None = None) -> HttpApp:
    """Return the API as an ASGI application.

    It starts and stops nothing: the caller loads the models before, and drains the replies and closes the store after.
    Raises `ValueError` for a trusted proxy that is no address.
    """
    config = config or HttpConfig()
    addresses = ClientAddresses.behind(config.trusted_proxies)

    # Each takes another one, because Litestar starts a task group for dependencies that are independent of each other.
    def provide_use_cases() -> UseCases:
        return use_cases

    def provide_config(use_cases: Injected[UseCases]) -> HttpConfig:  # noqa: ARG001 - as above
        return config

    def provide_client_address(request: JsonRequest, config: Injected[HttpConfig]) -> str:  # noqa: ARG001
        return addresses.of(request.scope)

    app = HttpApp(
        route_handlers=_routes(use_cases, config),
        dependencies={
            "use_cases": Provide(provide_use_cases, sync_to_thread=False),
            "config": Provide(provide_config, sync_to_thread=False),
            "client_address": Provide(provide_client_address, sync_to_thread=False),
        },
        exception_handlers={Exception: _answer_error},
        request_class=JsonRequest,
        request_max_body_size=config.max_body_bytes,
        cors_config=_cors(config.cors_origins),
        openapi_config=openapi_config(config.root_path) if config.serve_docs else None,
        # Otherwise the plugin converts strings to numbers, even in models that are strict.
        plugins=[PydanticPlugin(validate_strict=True)],
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    app.metrics = use_cases.recent
    return app


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Answer an error of a request that no controller with error handlers of its own has taken."""
    return _error_format(request.scope).answer(request, error)


def _error_format(scope: Scope) -> ErrorFormat:
    """Return the format of the controller that has the addresses around the path of a request."""
    is_openai = f"{path_below_root(scope)}/".startswith(f"{OpenAIController.path}/")
    return OPENAI_ERRORS if is_openai else PROBLEM_DETAILS


def _routes(use_cases: UseCases, config: HttpConfig) -> Sequence[ControllerRouterHandler]:
    for_principals = Router(
        path="/",
        route_handlers=[
            AccountController,
            ApiKeyController,
            SecondFactorController,
            SessionController,
            ChatController,
            ConversationController,
            BillingController,
            AdminController,
            UserController,
            AuditTrailController,
            CodeController,
            ReportController,
            ReportListController,
            BackgroundExportController,
            SpendingController,
            UseOverTimeController,
            OwnDataController,
            LogController,
            AlertController,
            MonitoringController,
            PerformanceController,
            OpenAIController,
        ],
        guards=[bearer_guard(use_cases)],
        dependencies={"principal": Provide(provide_principal, sync_to_thread=False)},
        security=[NEEDS_BEARER],
    )
    open_to_all: list[ControllerRouterHandler] = [SignInController, HealthController]
    if config.metrics:
        open_to_all.append(metrics_route(config.metrics))
    return [*open_to_all, for_principals, *([read_root] if config.serve_root else [])]


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        # Clients send headers of their own, OpenAI's a dozen. The framework allows each requested header by its name,
        # because browsers do not apply "*" to the header Authorization.
        allow_headers=["*"],
        expose_headers=CORS_EXPOSED,
        allow_credentials=False,
        max_age=CORS_MAX_AGE_S,
    )
