"""The application as its channels see it: every use case by name, ready to call."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.accounts.authenticate import Authenticate
from chatbill.application.accounts.authenticate_key import AuthenticateKey
from chatbill.application.accounts.change_password import ChangePassword
from chatbill.application.accounts.create_api_key import CreateApiKey
from chatbill.application.accounts.list_api_keys import ListApiKeys
from chatbill.application.accounts.read_account import ReadAccount
from chatbill.application.accounts.refresh import Refresh
from chatbill.application.accounts.register import Register
from chatbill.application.accounts.revoke_api_key import RevokeApiKey
from chatbill.application.accounts.sign_in import SignIn
from chatbill.application.accounts.sign_out import SignOut
from chatbill.application.administration.adjust_credits import AdjustCredits
from chatbill.application.administration.find_administrator import FindAdministrator
from chatbill.application.administration.list_keys_of_user import ListKeysOfUser
from chatbill.application.administration.refund import Refund
from chatbill.application.administration.revoke_keys import RevokeKeys
from chatbill.application.audit.verify_ledger import VerifyLedger
from chatbill.application.billing.confirm_payment import ConfirmPayment
from chatbill.application.billing.list_events import ListEvents
from chatbill.application.billing.list_packages import ListPackages
from chatbill.application.billing.list_transactions import ListTransactions
from chatbill.application.billing.place_order import PlaceOrder
from chatbill.application.billing.read_balance import ReadBalance
from chatbill.application.chat.delete_conversation import DeleteConversation
from chatbill.application.chat.list_conversations import ListConversations
from chatbill.application.chat.list_history import ListHistory
from chatbill.application.chat.list_models import ListModels
from chatbill.application.chat.read_conversation import ReadConversation
from chatbill.application.chat.rename_conversation import RenameConversation
from chatbill.application.chat.replies import Replies
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.chat.stop_message import StopMessage
from chatbill.application.maintenance.apply_stop_requests import ApplyStopRequests
from chatbill.application.maintenance.check_readiness import CheckReadiness
from chatbill.application.maintenance.expire_holds import ExpireHolds
from chatbill.application.maintenance.forget_sessions import ForgetSessions


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """Every use case, wired to its ports. `replies` are those being written in this process."""

    adjust_credits: AdjustCredits
    authenticate: Authenticate
    authenticate_key: AuthenticateKey
    change_password: ChangePassword
    check_readiness: CheckReadiness
    create_api_key: CreateApiKey
    delete_conversation: DeleteConversation
    expire_holds: ExpireHolds
    find_administrator: FindAdministrator
    forget_sessions: ForgetSessions
    apply_stop_requests: ApplyStopRequests
    list_api_keys: ListApiKeys
    list_conversations: ListConversations
    list_history: ListHistory
    list_keys_of_user: ListKeysOfUser
    list_models: ListModels
    list_packages: ListPackages
    list_transactions: ListTransactions
    read_account: ReadAccount
    read_balance: ReadBalance
    read_conversation: ReadConversation
    refresh: Refresh
    refund: Refund
    register: Register
    rename_conversation: RenameConversation
    revoke_api_key: RevokeApiKey
    revoke_keys: RevokeKeys
    send_message: SendMessage
    sign_in: SignIn
    sign_out: SignOut
    stop_message: StopMessage
    place_order: PlaceOrder
    confirm_payment: ConfirmPayment
    list_events: ListEvents
    verify_ledger: VerifyLedger
    replies: Replies
