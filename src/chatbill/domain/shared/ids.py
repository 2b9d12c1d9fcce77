"""Types for ids, so that the type checker refuses the id of a wallet where one of a user is meant.

An id is an opaque string of 1 to 64 characters, made outside the domain and passed in.
"""

from typing import NewType

UserId = NewType("UserId", str)
WalletId = NewType("WalletId", str)
HoldId = NewType("HoldId", str)
EntryId = NewType("EntryId", str)
SessionId = NewType("SessionId", str)
ModelId = NewType("ModelId", str)
ConversationId = NewType("ConversationId", str)
InteractionId = NewType("InteractionId", str)
ApiKeyId = NewType("ApiKeyId", str)
PaymentId = NewType("PaymentId", str)
AuditRecordId = NewType("AuditRecordId", str)
CodeId = NewType("CodeId", str)
JobId = NewType("JobId", str)
AlertId = NewType("AlertId", str)
InstanceId = NewType("InstanceId", str)
