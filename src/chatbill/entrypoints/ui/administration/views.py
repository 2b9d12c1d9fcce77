"""The administration: a section for each thing that the staff looks at, as far as the role of a person allows."""

from __future__ import annotations

from chatbill.entrypoints.ui.administration.alerts import alert_views
from chatbill.entrypoints.ui.administration.codes import code_views
from chatbill.entrypoints.ui.administration.ledger import ledger_views
from chatbill.entrypoints.ui.administration.models import model_views
from chatbill.entrypoints.ui.administration.overview import overview_views
from chatbill.entrypoints.ui.administration.people import people_views
from chatbill.entrypoints.ui.administration.person import person_actions
from chatbill.entrypoints.ui.administration.records import record_views
from chatbill.entrypoints.ui.administration.reports import report_views
from chatbill.entrypoints.ui.shared.visits import Site


def administration_views(site: Site) -> None:
    """Add the views and actions of all sections."""
    overview_views(site)
    report_views(site)
    people_views(site)
    person_actions(site)
    record_views(site)
    ledger_views(site)
    code_views(site)
    model_views(site)
    alert_views(site)
