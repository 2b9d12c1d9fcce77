"""Routes for codes that redeem credits."""

from __future__ import annotations

from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from chatbill.application.administration.admin_action import AdminAction
from chatbill.application.assembly import UseCases
from chatbill.application.shared.paging import DEFAULT_PAGE
from chatbill.application.shared.principal import Principal
from chatbill.domain.accounts.permissions import Permission
from chatbill.domain.shared.errors import NotFound
from chatbill.domain.shared.ids import CodeId
from chatbill.entrypoints.http.administration import examples
from chatbill.entrypoints.http.administration.bodies import NewCodeBody
from chatbill.entrypoints.http.administration.parameters import Reason
from chatbill.entrypoints.http.administration.views import CodesView, IssuedCodeView
from chatbill.entrypoints.http.documentation.responses import documented, documented_empty
from chatbill.entrypoints.http.shared.authentication import PERMISSION
from chatbill.entrypoints.http.shared.parameters import Cursor, Injected, PageLimit
from chatbill.entrypoints.web.parameters import could_be_id


class CodeController(Controller):
    """Codes that redeem credits, for members of the staff."""

    path = "/admin/codes"
    tags = ("Administration",)

    @get(
        "/",
        opt={PERMISSION: Permission.READ_MONEY},
        operation_id="listCodes",
        summary="List codes",
        responses=documented(
            200, CodesView, "Codes, newest first.", examples.CODES, signed_in=True, problems=("invalid_request",)
        ),
    )
    async def list_codes(
        self,
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        limit: PageLimit = DEFAULT_PAGE,
        cursor: Cursor = None,
    ) -> CodesView:
        """List all codes with how often they were redeemed, and without what people enter: that is not stored."""
        return CodesView.of(await use_cases.administration.list_codes(principal, limit=limit, cursor=cursor))

    @post(
        "/",
        status_code=201,
        opt={PERMISSION: Permission.ADJUST_CREDITS},
        operation_id="createCode",
        summary="Create a code",
        responses=documented(
            201,
            IssuedCodeView,
            "The code. `code` is what people enter; it is shown here and never again.",
            examples.ISSUED_CODE,
            signed_in=True,
            problems=("invalid_request",),
        ),
    )
    async def create_code(
        self, data: JSONBody[NewCodeBody], use_cases: Injected[UseCases], principal: Injected[Principal]
    ) -> IssuedCodeView:
        """Make a code that people redeem for credits, each once."""
        issued = await use_cases.administration.create_code(principal, data.to_order())
        return IssuedCodeView.issued(issued)

    @delete(
        "/{code_id:str}",
        status_code=204,
        opt={PERMISSION: Permission.ADJUST_CREDITS},
        operation_id="withdrawCode",
        summary="Withdraw a code",
        responses=documented_empty(
            204, "The code redeems nothing any more.", signed_in=True, problems=("invalid_request", "not_found")
        ),
    )
    async def withdraw_code(
        self,
        code_id: FromPath[str],
        use_cases: Injected[UseCases],
        principal: Injected[Principal],
        reason: Reason = None,
    ) -> None:
        """End a code for good. Credits that were redeemed stay. A reason may be given, and is recorded."""
        if not could_be_id(code_id):
            raise NotFound("code")
        order = None if reason is None else AdminAction(reason=reason)
        await use_cases.administration.withdraw_code(principal, CodeId(code_id), order)
