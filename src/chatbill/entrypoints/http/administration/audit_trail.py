"""The route for the audit trail."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, get
from litestar.params import QueryParameter

from chatbill.application.assembly import UseCases
from chatbill.application.ports.repositories.audit_trail import AuditFilter
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.audit_trail import AuditAction
from chatbill.domain.shared.ids import UserId
from chatbill.entrypoints.http.administration import examples
from chatbill.entrypoints.http.administration.views import AuditTrailView
from chatbill.entrypoints.http.documentation.responses import documented
from chatbill.entrypoints.http.shared.authentication import PERMISSION
from chatbill.entrypoints.http.shared.parameters import Cursor, From, Injected, PageLimit, To, checked_period
from chatbill.entrypoints.web.parameters import checked_choice, checked_text

ACTIONS = tuple(action.value for action in AuditAction)

ActorId = Annotated[str | None, QueryParameter(description="The id of the user who did it.")]
ActionName = Annotated[str | None, QueryParameter(description="The action.", schema_extra={"enum": list(ACTIONS)})]
SubjectId = Annotated[str | None, QueryParameter(description="The id of what it was done to, such as a user.")]


class AuditTrailController(Controller):
    """The audit trail, for administrators."""

    path = "/admin/audit"
    tags = ("Administration",)

    @get(
        "/",
        opt={PERMISSION: Permission.READ_AUDIT},
        operation_id="listAuditTrail",
        summary="List the audit trail",
        responses=documented(
            200, AuditTrailView, "Records, newest first.", examples.AUDIT, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def list_audit_trail(  # noqa: PLR0913, PLR0917 - the filters of the contract
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        actor: ActorId = None,
        action: ActionName = None,
        subject: SubjectId = None,
        start: From = None,
        end: To = None,
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> AuditTrailView:
        """List the acts of the staff and the security events of all accounts. Records never change."""
        by = checked_text("actor", actor)
        filters = AuditFilter(
            actor=None if by is None else UserId(by),
            action=checked_choice("action", action, AuditAction),
            subject=checked_text("subject", subject),
            period=checked_period(start, end),
        )
        page = await use_cases.administration.list_audit_trail(principal, filters, limit=limit, cursor=cursor)
        return AuditTrailView.of(page)
