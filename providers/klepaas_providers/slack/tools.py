"""What klepaas thinks of the tools of the Slack MCP servers: one name for one thing, whichever server does it.

A tool that is not here counts as destructive. What the hosted server has beside these was not seen.

Source: slack-mcp-server 1.3.0 and @modelcontextprotocol/server-slack 2025.4.25 as they list their tools;
slackapi/slack-mcp-plugin for the hosted server's names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas.external import ToolRule
from klepaas.tools import Effect, Target

__all__ = ["rules_of"]

_READ, _WRITE, _DESTRUCTIVE = Effect.READ, Effect.WRITE, Effect.DESTRUCTIVE


@dataclass(frozen=True)
class _Use:
    """One thing to do.

    Attributes:
        name: Its name after the prefix.
        effect: What it may do.
        upstream: The servers' tools that do it.
        description: What the model reads. None: it is not listed, and the server's own words do.
        shown: The parameters that are listed besides the required ones, and what to say of them.
        verify: The tool that shows whether it was done. None: there is nothing to look at.
    """

    name: str
    effect: Effect
    upstream: tuple[str, ...]
    description: str | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    verify: str | None = None


_USES = (
    _Use(
        "post_message",
        _WRITE,
        ("conversations_add_message", "slack_post_message", "slack_send_message"),
        "Post a message to a channel, or reply in a thread (thread_ts).",
        {"channel_id": "Id, or #name", "text": "", "message": "", "thread_ts": ""},
        "read_channel",
    ),
    _Use("reply_in_thread", _WRITE, ("slack_reply_to_thread",), "Reply in a thread.", {}, "read_thread"),
    _Use(
        "read_channel",
        _READ,
        ("conversations_history", "slack_get_channel_history", "slack_read_channel"),
        "The last messages of a channel.",
        {"channel_id": "Id, or #name", "limit": "How many"},
    ),
    _Use(
        "read_thread",
        _READ,
        ("conversations_replies", "slack_get_thread_replies", "slack_read_thread"),
        "The messages of a thread.",
    ),
    _Use(
        "list_channels",
        _READ,
        ("channels_list", "slack_list_channels", "slack_search_channels"),
        "Channels, with their ids.",
        {"query": "", "cursor": "", "channel_types": "public_channel, private_channel"},
    ),
    _Use(
        "find_users",
        _READ,
        ("users_search", "slack_get_users", "slack_search_users"),
        "People, with their ids.",
        {"query": "", "cursor": ""},
    ),
    _Use("get_user_profile", _READ, ("slack_get_user_profile", "slack_read_user_profile")),
    _Use("list_own_channels", _READ, ("channels_me",)),
    _Use("search_messages", _READ, ("conversations_search_messages", "slack_search_public_and_private")),
    _Use("search_public_messages", _READ, ("slack_search_public",)),
    _Use("list_unread", _READ, ("conversations_unreads",)),
    _Use("read_attachment", _READ, ("attachment_get_data",)),
    _Use("list_user_groups", _READ, ("usergroups_list",)),
    _Use("add_reaction", _WRITE, ("reactions_add", "slack_add_reaction"), verify="read_channel"),
    _Use("remove_reaction", _WRITE, ("reactions_remove",), verify="read_channel"),
    _Use("join_channel", _WRITE, ("conversations_join",), verify="list_own_channels"),
    _Use("mark_read", _WRITE, ("conversations_mark",)),
    _Use("draft_message", _WRITE, ("slack_send_message_draft",)),
    _Use("create_canvas", _WRITE, ("slack_create_canvas",)),
    _Use("leave_channel", _DESTRUCTIVE, ("conversations_leave",), verify="list_own_channels"),
    _Use("create_user_group", _WRITE, ("usergroups_create",), verify="list_user_groups"),
    # They take people out of a group, too.
    _Use("update_user_group", _DESTRUCTIVE, ("usergroups_update",), verify="list_user_groups"),
    _Use("set_user_group_members", _DESTRUCTIVE, ("usergroups_users_update",), verify="list_user_groups"),
    _Use("change_own_user_groups", _WRITE, ("usergroups_me",), verify="list_user_groups"),
)


def rules_of(provider: str, prefix: str) -> Mapping[str, Sequence[ToolRule]]:
    """The rules by the servers' names of their tools.

    Args:
        provider: The provider's name, which is the context that a policy goes by.
        prefix: What its tools' names begin with.
    """

    def targets(arguments: Mapping[str, Any]) -> Sequence[Target]:
        channel = arguments.get("channel_id")
        name = channel if isinstance(channel, str) else None
        return [Target(context=provider, namespace=name, kind="channel", name=name)]

    def rule(use: _Use) -> ToolRule:
        return ToolRule(
            use.effect,
            use.name,
            listed=use.description is not None,
            description=use.description,
            parameters=use.shown if use.description is not None else None,
            targets=targets,
            verify=f"Look with {prefix}_{use.verify} whether it is there" if use.verify else None,
        )

    return {upstream: [rule(use)] for use in _USES for upstream in use.upstream}
