"""The use cases of the chat: messages and their replies, conversations, the history, the models."""

from __future__ import annotations

from chatbill.application.chat.apply_stop_requests import ApplyStopRequests
from chatbill.application.chat.change_conversation import ChangeConversation
from chatbill.application.chat.check_readiness import CheckReadiness
from chatbill.application.chat.delete_conversation import DeleteConversation
from chatbill.application.chat.drafts import Drafts
from chatbill.application.chat.find_sent import FindSent
from chatbill.application.chat.find_turns import FindTurns
from chatbill.application.chat.follow_reply import FollowReply
from chatbill.application.chat.list_conversations import ListConversations
from chatbill.application.chat.list_history import ListHistory
from chatbill.application.chat.list_models import ListModels
from chatbill.application.chat.pace import Pace
from chatbill.application.chat.quote_message import QuoteMessage
from chatbill.application.chat.read_branch import ReadBranch
from chatbill.application.chat.read_conversation import ReadConversation
from chatbill.application.chat.regenerate import Regenerate
from chatbill.application.chat.remote_replies import FindRemoteReplies
from chatbill.application.chat.running_replies import Replies
from chatbill.application.chat.send_message import SendMessage
from chatbill.application.chat.stop_message import StopMessage
from chatbill.application.chat.tell_replies import TellReplies
from chatbill.application.chat.unpaid_replies import UnpaidReplies
from chatbill.application.chat.unpaid_texts import UnpaidTexts
from chatbill.application.policy import Policy
from chatbill.application.ports.metrics import Metrics
from chatbill.application.ports.provider import PortProvider
from chatbill.application.shared.lease import Lease
from chatbill.application.shared.write_check import PROBE_TIMEOUT_S, TIMEOUT_S, WriteCheck


class ChatUseCases:
    """Messages, conversations, the history, the models. `replies` are those being written in this process."""

    def __init__(self, ports: PortProvider, policy: Policy, metrics: Metrics, lease: Lease) -> None:
        store, clock = ports.store, ports.clock
        self.replies = Replies(per_user=policy.replies_per_user, metrics=metrics)
        self.apply_stop_requests = ApplyStopRequests(store=store, replies=self.replies)
        self.delete_conversation = DeleteConversation(store=store, clock=clock)
        self.find_sent = FindSent(store=store)
        self.find_turns = FindTurns(store=store)
        self.follow_reply = FollowReply(store=store, replies=self.replies, signals=ports.signals)
        self.find_remote_replies = FindRemoteReplies(
            store=store,
            replies=self.replies,
            signals=ports.signals,
            clock=clock,
            longest_s=policy.bounds.deadline_s + policy.bounds.grace_s,
        )
        self.tell_replies = TellReplies(signals=ports.signals, replies=self.replies)
        self.list_conversations = ListConversations(store=store)
        self.list_history = ListHistory(store=store)
        self.list_models = ListModels(engine=ports.engine, catalogue=ports.catalogue)
        probes = ports.probe_store
        check = WriteCheck(probes or store, ports.new_id, timeout_s=PROBE_TIMEOUT_S if probes else TIMEOUT_S)
        self.check_readiness = CheckReadiness(write_check=check, list_models=self.list_models, replies=self.replies)
        self.read_branch = ReadBranch(store=store)
        self.read_conversation = ReadConversation(store=store)
        self.change_conversation = ChangeConversation(store=store, clock=clock)
        paces = {model: Pace(deadline_s=policy.bounds.deadline_s) for model in ports.catalogue}
        drafts = Drafts(catalogue=ports.catalogue, bounds=policy.bounds, paces=paces)
        self.quote_message = QuoteMessage(
            store=store,
            engine=ports.engine,
            drafts=drafts,
            rate_limits=ports.rate_limits,
            rate=policy.quotes,
            cached_price_percent=policy.cached_price_percent,
        )
        self.send_message = _send_message(ports, policy, drafts, self.replies, lease)
        self.regenerate = Regenerate(store=store, send_message=self.send_message)
        self.stop_message = StopMessage(store=store, replies=self.replies, signals=ports.signals, clock=clock)


def _send_message(ports: PortProvider, policy: Policy, drafts: Drafts, replies: Replies, lease: Lease) -> SendMessage:
    return SendMessage(
        store=ports.store,
        engine=ports.engine,
        drafts=drafts,
        replies=replies,
        rate_limits=ports.rate_limits,
        lease=lease,
        clock=ports.clock,
        new_id=ports.new_id,
        unpaid=UnpaidReplies(
            rate_limits=ports.rate_limits,
            replies_per_hour=policy.unpaid_replies_per_hour,
            tokens_per_hour=policy.unpaid_tokens_per_hour,
        ),
        unpaid_texts=UnpaidTexts(ports.rate_limits, kib_per_hour=policy.unpaid_kib_per_hour),
        settle_attempts=policy.settle_attempts,
        cached_price_percent=policy.cached_price_percent,
    )
