"""The application as its channels see it: every use case by name, ready to call."""

from __future__ import annotations

from dataclasses import dataclass

from chatbill.application.replies import Replies
from chatbill.application.use_cases.adjust_credits import AdjustCredits
from chatbill.application.use_cases.authenticate import Authenticate
from chatbill.application.use_cases.authenticate_key import AuthenticateKey
from chatbill.application.use_cases.change_password import ChangePassword
from chatbill.application.use_cases.check_readiness import CheckReadiness
from chatbill.application.use_cases.create_api_key import CreateApiKey
from chatbill.application.use_cases.delete_conversation import DeleteConversation
from chatbill.application.use_cases.expire_holds import ExpireHolds
from chatbill.application.use_cases.find_administrator import FindAdministrator
from chatbill.application.use_cases.forget_sessions import ForgetSessions
from chatbill.application.use_cases.heed_stops import HeedStops
from chatbill.application.use_cases.list_api_keys import ListApiKeys
from chatbill.application.use_cases.list_conversations import ListConversations
from chatbill.application.use_cases.list_history import ListHistory
from chatbill.application.use_cases.list_keys_of_user import ListKeysOfUser
from chatbill.application.use_cases.list_models import ListModels
from chatbill.application.use_cases.list_packages import ListPackages
from chatbill.application.use_cases.list_transactions import ListTransactions
from chatbill.application.use_cases.read_account import ReadAccount
from chatbill.application.use_cases.read_balance import ReadBalance
from chatbill.application.use_cases.read_conversation import ReadConversation
from chatbill.application.use_cases.refresh import Refresh
from chatbill.application.use_cases.refund import Refund
from chatbill.application.use_cases.register import Register
from chatbill.application.use_cases.rename_conversation import RenameConversation
from chatbill.application.use_cases.revoke_api_key import RevokeApiKey
from chatbill.application.use_cases.revoke_keys import RevokeKeys
from chatbill.application.use_cases.send_message import SendMessage
from chatbill.application.use_cases.sign_in import SignIn
from chatbill.application.use_cases.sign_out import SignOut
from chatbill.application.use_cases.stop_message import StopMessage
from chatbill.application.use_cases.top_up import TopUp
from chatbill.application.use_cases.verify_ledger import VerifyLedger


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
    heed_stops: HeedStops
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
    top_up: TopUp
    verify_ledger: VerifyLedger
    replies: Replies
