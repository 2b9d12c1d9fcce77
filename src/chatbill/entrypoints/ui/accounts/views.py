"""The view of the account, in three parts: the profile, the security, and one's data."""

from __future__ import annotations

from chatbill.entrypoints.ui.accounts.data import data_routes
from chatbill.entrypoints.ui.accounts.keys import key_routes
from chatbill.entrypoints.ui.accounts.profile import profile_routes
from chatbill.entrypoints.ui.accounts.second_factor import second_factor_routes
from chatbill.entrypoints.ui.accounts.security import security_routes
from chatbill.entrypoints.ui.shared.visits import Site


def account_views(site: Site) -> None:
    """Add the views and their actions."""
    profile_routes(site)
    security_routes(site)
    second_factor_routes(site)
    key_routes(site)
    data_routes(site)
