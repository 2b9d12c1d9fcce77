"""Makes one ASGI application of the page at /ui, its session at /web, and the HTTP API."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App as GradioApp
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.types import ASGIApp

from chatbill.application.assembly import UseCases
from chatbill.application.shared.bounds import TokenLifetimes
from chatbill.entrypoints.ui.access import AccessMiddleware
from chatbill.entrypoints.ui.account import account_routes
from chatbill.entrypoints.ui.config import WebConfig
from chatbill.entrypoints.ui.envelope import WebEnvelope
from chatbill.entrypoints.ui.events import EventGuard
from chatbill.entrypoints.ui.gradio_queue import GradioQueue
from chatbill.entrypoints.ui.keys import key_routes
from chatbill.entrypoints.ui.page import build_page
from chatbill.entrypoints.ui.pages import mount_assets
from chatbill.entrypoints.ui.reset import reset_routes
from chatbill.entrypoints.ui.session import session_routes
from chatbill.entrypoints.ui.tabs import Tabs
from chatbill.entrypoints.ui.theme import theme
from chatbill.entrypoints.web.head import HeadAsGet

UI_PATH = "/ui"


def create_web(use_cases: UseCases, api: ASGIApp | None = None, config: WebConfig | None = None) -> FastAPI:
    """Return the web page, with `api` mounted at the root if there is one.

    The caller runs the lifespan of `api`.
    """
    config = config or WebConfig()
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    tabs = Tabs(forget=lambda tab: queue.forget(tab))  # noqa: PLW0108 - the queue belongs to the page, which needs tabs
    page = build_page(use_cases, config, tabs)
    queue = GradioQueue(page)
    outer.add_middleware(
        EventGuard, limit=use_cases.accounts.limit_page_events, tabs=tabs, queue=queue, most=config.max_streams
    )
    outer.add_middleware(AccessMiddleware, use_cases=use_cases, config=config)
    outer.add_middleware(HeadAsGet)
    outer.add_middleware(WebEnvelope, metrics=use_cases.recent)
    outer.add_api_route("/", _redirect_to_page, methods=["GET", "HEAD"])
    outer.add_api_route(UI_PATH, _redirect_to_page, methods=["GET", "HEAD"])
    mount_assets(outer)
    # One token is valid for the whole session, so that tabs do not compete for a refresh token; sign-out ends it.
    lifetimes = TokenLifetimes(access_s=config.session_s, refresh_s=config.session_s)
    session_routes(outer, use_cases, replace(use_cases.accounts.web_sign_in, lifetimes=lifetimes))
    key_routes(outer, use_cases)
    account_routes(outer, use_cases)
    reset_routes(outer, use_cases, config)
    gr.mount_gradio_app(
        outer,
        page,
        path=UI_PATH,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        max_file_size=0,
        theme=theme(),
    )
    if api is not None:
        outer.mount("/", api)
    return outer


def end_streams(web: FastAPI) -> None:
    """Close the event streams of open pages, so that a server that stops does not wait for them.

    Call it on the event loop. Replies that are being written go on.
    """
    for route in web.routes:
        if isinstance(route, Mount) and isinstance(route.app, GradioApp):
            route.app.stop_event.set()


async def _redirect_to_page(request: Request) -> RedirectResponse:
    """Redirect to the page. Its address ends with a slash, because the addresses of its files are relative."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{UI_PATH}/", status_code=307)
