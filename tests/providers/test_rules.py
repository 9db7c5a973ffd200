"""What klepaas thinks of each tool of the real servers, version by version; what is unknown counts as destructive."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from klepaas.external import ToolRule
from klepaas.tools import Effect
from klepaas_providers.github.tools import rules_of as github_rules
from klepaas_providers.slack.tools import rules_of as slack_rules

LISTED: Mapping[str, Mapping[str, Any]] = json.loads((Path(__file__).parent / "listed.json").read_text())
GITHUB, SLACK = github_rules("github", "github"), slack_rules("slack", "slack")
# They stay destructive: nobody has a use for them here.
UNRULED = {
    *(
        "assign_copilot_to_issue",
        "assign_copilot_to_issue_with_intent",
        "delete_repository",
        "discussion_comment_write",
    ),
    *("dismiss_notification", "manage_notification_subscription", "manage_repository_notification_subscription"),
    *("mark_all_notifications_read", "projects_write"),
}
DESTROYS = ("delete", "remove_", "merge", "run_workflow", "rerun", "cancel", "leave")
KEEPS = ("remove_sub_issue", "remove_reaction", "list_workflow_runs")


def uses(rules: Mapping[str, Sequence[ToolRule]]) -> list[tuple[str, ToolRule]]:
    return [(rule.name or tool, rule) for tool, several in rules.items() for rule in several]


def offered(server: str) -> dict[str, ToolRule]:
    """The names under which the tools of a server are offered."""
    rules = GITHUB if server.startswith("github") else SLACK
    found: dict[str, ToolRule] = {}
    for tool, said in LISTED[server].items():
        for rule in rules.get(tool, [ToolRule()]):
            methods = said["methods"]
            if "method" in rule.fixed and methods is not None and rule.fixed["method"] not in methods:
                continue
            assert (rule.name or tool) not in found
            found[rule.name or tool] = rule
    return found


@pytest.mark.parametrize("rules", [GITHUB, SLACK])
def test_what_destroys_is_not_called_a_write(rules: Mapping[str, Sequence[ToolRule]]) -> None:
    soft = {
        name
        for name, rule in uses(rules)
        if rule.effect is not Effect.DESTRUCTIVE and name not in KEEPS and any(part in name for part in DESTROYS)
    }
    assert soft == {"download_workflow_run_artifact"} & soft


@pytest.mark.parametrize("server", list(LISTED))
def test_what_we_call_a_read_is_none_that_the_server_itself_calls_a_change(server: str) -> None:
    for tool, said in LISTED[server].items():
        rules = (GITHUB if server.startswith("github") else SLACK).get(tool, [ToolRule()])
        if any(rule.effect is Effect.READ for rule in rules):
            assert said["read_only"] is not False, tool


@pytest.mark.parametrize("server", list(LISTED))
def test_every_tool_of_the_real_server_has_a_rule(server: str) -> None:
    rules = GITHUB if server.startswith("github") else SLACK
    unknown = {tool for tool in LISTED[server] if tool not in rules}
    assert unknown <= UNRULED, unknown - UNRULED


@pytest.mark.parametrize("server", [name for name in LISTED if name.startswith("github")])
def test_the_names_that_clients_see_stay_when_the_server_merges_its_tools(server: str) -> None:
    names = offered(server)
    assert {name for name, rule in names.items() if rule.listed} == {
        *("get_file_contents", "list_commits", "list_issues", "get_issue", "create_issue", "add_issue_comment"),
        *("list_pull_requests", "create_pull_request", "list_workflow_runs", "get_job_logs", "get_latest_release"),
    }
    assert names["run_workflow"].effect is Effect.DESTRUCTIVE


@pytest.mark.parametrize("server", [name for name in LISTED if name.startswith("slack")])
def test_slack_is_the_same_through_each_server(server: str) -> None:
    listed = {name for name, rule in offered(server).items() if rule.listed}
    assert {"post_message", "read_channel", "read_thread", "list_channels", "find_users"} <= listed


@pytest.mark.parametrize("rules", [GITHUB, SLACK])
def test_a_change_says_where_to_look_with_a_tool_that_there_is(rules: Mapping[str, Sequence[ToolRule]]) -> None:
    reads = {name for name, rule in uses(rules) if rule.effect is Effect.READ}
    for _, rule in uses(rules):
        if rule.verify:
            word = next(word for word in rule.verify.split() if word.startswith(("github_", "slack_")))
            assert word.partition("_")[2] in reads
    assert all(rule.verify for _, rule in uses(rules) if rule.listed and rule.effect is not Effect.READ)


def test_found_secrets_are_not_offered() -> None:
    assert GITHUB["get_secret_scanning_alert"] == GITHUB["list_secret_scanning_alerts"] == []


def test_a_policy_can_name_a_repository_and_a_channel() -> None:
    issue, post = GITHUB["create_issue"][0], SLACK["conversations_add_message"][0]
    assert issue.targets is not None
    assert post.targets is not None
    (where,) = issue.targets({"owner": "acme", "repo": "shop", "title": "x"})
    assert (where.context, where.namespace) == ("github", "acme/shop")
    (where,) = post.targets({"channel_id": "#deployments"})
    assert (where.context, where.namespace) == ("slack", "#deployments")
    assert issue.targets({"owner": 1})[0].namespace is None
