"""Makes one ASGI application of the page at /ui, its views and actions at /web, and the HTTP API."""

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
from chatbill.entrypoints.ui.accounts.links import link_routes
from chatbill.entrypoints.ui.accounts.session import session_routes
from chatbill.entrypoints.ui.accounts.views import account_views
from chatbill.entrypoints.ui.administration.views import administration_views
from chatbill.entrypoints.ui.billing.views import credit_views
from chatbill.entrypoints.ui.chat.actions import chat_actions
from chatbill.entrypoints.ui.chat.history import history_views
from chatbill.entrypoints.ui.chat.views import chat_views
from chatbill.entrypoints.ui.live.hub import Hub
from chatbill.entrypoints.ui.live.stream import live_routes
from chatbill.entrypoints.ui.shared.visits import Site
from chatbill.entrypoints.ui.shell.access import AccessMiddleware
from chatbill.entrypoints.ui.shell.config import WebConfig
from chatbill.entrypoints.ui.shell.envelope import PackReadings, WebEnvelope
from chatbill.entrypoints.ui.shell.frame import build_page
from chatbill.entrypoints.ui.shell.pages import mount_assets
from chatbill.entrypoints.ui.shell.theme import theme
from chatbill.entrypoints.web.head import HeadAsGet

UI_PATH = "/ui"
PACKED_ABOVE_BYTES = 1_000


def create_web(use_cases: UseCases, api: ASGIApp | None = None, config: WebConfig | None = None) -> FastAPI:
    """Return the web page, with `api` mounted at the root if there is one.

    The caller runs the lifespan of `api`.
    """
    config = config or WebConfig()
    outer = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    outer.add_api_route("/", _redirect_to_page, methods=["GET", "HEAD"])
    outer.add_api_route(UI_PATH, _redirect_to_page, methods=["GET", "HEAD"])
    mount_assets(outer)
    # One token is valid for the whole session, so that tabs do not compete for a refresh token; sign-out ends it.
    lifetimes = TokenLifetimes(access_s=config.session_s, refresh_s=config.session_s)
    session_routes(outer, use_cases, replace(use_cases.accounts.web_sign_in, lifetimes=lifetimes))
    link_routes(outer, use_cases, config)
    site, hub = Site(outer, use_cases), Hub(use_cases, most=config.max_streams)
    outer.state.hub, outer.state.site = hub, site
    live_routes(site, hub)
    _views(site, hub, config)
    outer.add_middleware(AccessMiddleware, use_cases=use_cases, config=config, addresses=site.addresses)
    outer.add_middleware(PackReadings, minimum_size=PACKED_ABOVE_BYTES, compresslevel=5)
    outer.add_middleware(HeadAsGet)
    outer.add_middleware(WebEnvelope, metrics=use_cases.recent)
    gr.mount_gradio_app(
        outer,
        build_page(config),
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


def _views(site: Site, hub: Hub, config: WebConfig) -> None:
    """Add the views and actions of each feature."""
    chat_actions(site, chat_views(site, hub, config), hub)
    credit_views(site, config)
    history_views(site)
    account_views(site)
    administration_views(site)


def end_streams(web: FastAPI) -> None:
    """Close the event streams of open pages, so that a server that stops does not wait for them.

    Call it on the event loop. Replies that are being written go on.
    """
    web.state.hub.close()
    for route in web.routes:
        if isinstance(route, Mount) and isinstance(route.app, GradioApp):
            route.app.stop_event.set()


async def _redirect_to_page(request: Request) -> RedirectResponse:
    """Redirect to the page. Its address ends with a slash, because the addresses of its files are relative."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{UI_PATH}/", status_code=307)
