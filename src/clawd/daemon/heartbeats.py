"""Messages of sessions to the operator that the daemon sends for their heartbeats."""

from __future__ import annotations

from clawd.comms.caller import Caller
from clawd.comms.post import Post
from clawd.ids import OPERATOR
from clawd.lineage import Lineage


class OperatorInbox:
    """The operator's mail, as far as heartbeats write it and ask whether it was read."""

    def __init__(self, post: Post) -> None:
        self._post = post

    async def tell(self, session: str, turn: str, lineage: Lineage, text: str) -> str:
        """Send the operator a message in the name of a session; its id, one for each turn."""
        message_id = "msg-" + turn.partition("-")[2]
        if self._post.find(message_id) is None:
            caller = Caller(session, lineage, turn)
            await self._post.send(caller, OPERATOR, text, message_id=message_id)
        return message_id

    def unread(self, message: str) -> bool:
        """Whether the operator has not read this message yet."""
        found = self._post.find(message)
        return found is not None and found.waits

    def says(self, message: str, text: str) -> bool:
        """Whether this message has just this text."""
        found = self._post.find(message)
        return found is not None and found.content == text
