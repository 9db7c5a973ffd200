"""What klepaas thinks of the tools of GitHub's MCP server: their effect, and which clients are told of at once.

Version 1 of the server merged many tools of version 0 into one with a `method`. The names here stay: each is one use of
whichever tool the server has. A tool that is not here counts as destructive, one that shows found secrets is left out.

Source: github/github-mcp-server v0.12.1 as it lists its tools, v1.10.1 (pkg/github/__toolsnaps__).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas.external import ToolRule
from klepaas.tools import Effect, Target

__all__ = ["rules_of"]

_READ, _WRITE, _DESTRUCTIVE = Effect.READ, Effect.WRITE, Effect.DESTRUCTIVE
_PLACE = ("owner", "repo")


@dataclass(frozen=True)
class _Use:
    """One thing to do.

    Attributes:
        name: Its name after the prefix.
        effect: What it may do.
        upstream: The server's tools that do it, a method after a colon: "issue_write:create".
        description: What the model reads; only those that are listed have one of their own.
        shown: The parameters that are listed besides the required ones, and what to say of them.
        verify: The tool that shows whether it was done. None: there is nothing to look at.
        fixed: What else is always sent.
    """

    name: str
    effect: Effect
    upstream: tuple[str, ...]
    description: str | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    verify: str | None = None
    fixed: Mapping[str, Any] | None = None


_LISTED = (
    _Use(
        "get_file_contents",
        _READ,
        ("get_file_contents",),
        "Read a file, or list a folder.",
        {"path": "Of a folder: ends with /", "ref": ""},
    ),
    _Use(
        "list_commits", _READ, ("list_commits",), "Commits of a branch, newest first.", {"sha": "Branch, tag or commit"}
    ),
    _Use("list_issues", _READ, ("list_issues",), "Issues of a repository.", {"state": ""}),
    _Use("get_issue", _READ, ("get_issue", "issue_read:get"), "One issue."),
    _Use(
        "create_issue",
        _WRITE,
        ("create_issue", "issue_write:create"),
        "Open an issue.",
        {"title": "", "body": "", "labels": ""},
        "list_issues",
    ),
    _Use(
        "add_issue_comment",
        _WRITE,
        ("add_issue_comment",),
        "Comment on an issue or pull request.",
        {"body": ""},
        "get_issue_comments",
    ),
    _Use("list_pull_requests", _READ, ("list_pull_requests",), "Pull requests of a repository.", {"state": ""}),
    _Use(
        "create_pull_request",
        _WRITE,
        ("create_pull_request",),
        "Open a pull request.",
        {"body": ""},
        "list_pull_requests",
    ),
    _Use(
        "list_workflow_runs",
        _READ,
        ("list_workflow_runs", "actions_list:list_workflow_runs"),
        "Runs of a GitHub Actions workflow, newest first.",
        {"workflow_id": "Or its file, ci.yml", "resource_id": "Workflow, or its file, ci.yml"},
    ),
    _Use(
        "get_job_logs",
        _READ,
        ("get_job_logs",),
        "Logs of a job of GitHub Actions, or of all failed jobs of a run.",
        {"job_id": "", "run_id": "", "failed_only": "With run_id", "tail_lines": ""},
        fixed={"return_content": True},
    ),
    _Use("get_latest_release", _READ, ("get_latest_release",), "The latest release."),
)

_OTHERS = (
    _Use("get_issue_comments", _READ, ("get_issue_comments", "issue_read:get_comments")),
    _Use("list_sub_issues", _READ, ("list_sub_issues", "issue_read:get_sub_issues")),
    _Use("get_issue_parent", _READ, ("issue_read:get_parent",)),
    _Use("get_issue_labels", _READ, ("issue_read:get_labels",)),
    _Use("update_issue", _WRITE, ("update_issue", "issue_write:update"), verify="get_issue"),
    _Use("add_sub_issue", _WRITE, ("add_sub_issue", "sub_issue_write:add"), verify="list_sub_issues"),
    _Use("remove_sub_issue", _WRITE, ("remove_sub_issue", "sub_issue_write:remove"), verify="list_sub_issues"),
    _Use(
        "reprioritize_sub_issue",
        _WRITE,
        ("reprioritize_sub_issue", "sub_issue_write:reprioritize"),
        verify="list_sub_issues",
    ),
    _Use("get_pull_request", _READ, ("get_pull_request", "pull_request_read:get")),
    _Use("get_pull_request_diff", _READ, ("get_pull_request_diff", "pull_request_read:get_diff")),
    _Use("get_pull_request_status", _READ, ("get_pull_request_status", "pull_request_read:get_status")),
    _Use("get_pull_request_files", _READ, ("get_pull_request_files", "pull_request_read:get_files")),
    _Use("get_pull_request_commits", _READ, ("pull_request_read:get_commits",)),
    _Use("get_pull_request_comments", _READ, ("get_pull_request_comments", "pull_request_read:get_review_comments")),
    _Use("get_pull_request_reviews", _READ, ("get_pull_request_reviews", "pull_request_read:get_reviews")),
    _Use("get_pull_request_conversation", _READ, ("pull_request_read:get_comments",)),
    _Use("get_pull_request_check_runs", _READ, ("pull_request_read:get_check_runs",)),
    _Use(
        "review_pull_request",
        _WRITE,
        ("create_and_submit_pull_request_review", "pull_request_review_write:create"),
        verify="get_pull_request_reviews",
    ),
    _Use(
        "submit_pending_pull_request_review",
        _WRITE,
        ("submit_pending_pull_request_review", "pull_request_review_write:submit_pending"),
        verify="get_pull_request_reviews",
    ),
    _Use(
        "delete_pending_pull_request_review",
        _DESTRUCTIVE,
        ("delete_pending_pull_request_review", "pull_request_review_write:delete_pending"),
    ),
    _Use("resolve_review_thread", _WRITE, ("pull_request_review_write:resolve_thread",)),
    _Use("unresolve_review_thread", _WRITE, ("pull_request_review_write:unresolve_thread",)),
    _Use("update_pull_request", _WRITE, ("update_pull_request",), verify="get_pull_request"),
    _Use("update_pull_request_branch", _WRITE, ("update_pull_request_branch",), verify="get_pull_request"),
    _Use("merge_pull_request", _DESTRUCTIVE, ("merge_pull_request",), verify="get_pull_request"),
    _Use("create_branch", _WRITE, ("create_branch",), verify="list_branches"),
    _Use("create_or_update_file", _WRITE, ("create_or_update_file",), verify="get_file_contents"),
    _Use("push_files", _WRITE, ("push_files",), verify="list_commits"),
    _Use("delete_file", _DESTRUCTIVE, ("delete_file",), verify="get_file_contents"),
    _Use("create_repository", _WRITE, ("create_repository",), verify="search_repositories"),
    _Use("fork_repository", _WRITE, ("fork_repository",), verify="search_repositories"),
    _Use("list_workflows", _READ, ("list_workflows", "actions_list:list_workflows")),
    _Use("list_workflow_jobs", _READ, ("list_workflow_jobs", "actions_list:list_workflow_jobs")),
    _Use(
        "list_workflow_run_artifacts",
        _READ,
        ("list_workflow_run_artifacts", "actions_list:list_workflow_run_artifacts"),
    ),
    _Use("get_workflow", _READ, ("actions_get:get_workflow",)),
    _Use("get_workflow_run", _READ, ("get_workflow_run", "actions_get:get_workflow_run")),
    _Use("get_workflow_job", _READ, ("actions_get:get_workflow_job",)),
    _Use("get_workflow_run_usage", _READ, ("get_workflow_run_usage", "actions_get:get_workflow_run_usage")),
    _Use("get_workflow_run_logs", _READ, ("get_workflow_run_logs", "actions_get:get_workflow_run_logs_url")),
    _Use(
        "download_workflow_run_artifact",
        _READ,
        ("download_workflow_run_artifact", "actions_get:download_workflow_run_artifact"),
    ),
    # They run code with the repository's secrets, a deployment perhaps.
    _Use(
        "run_workflow", _DESTRUCTIVE, ("run_workflow", "actions_run_trigger:run_workflow"), verify="list_workflow_runs"
    ),
    _Use(
        "rerun_workflow_run",
        _DESTRUCTIVE,
        ("rerun_workflow_run", "actions_run_trigger:rerun_workflow_run"),
        verify="get_workflow_run",
    ),
    _Use(
        "rerun_failed_jobs",
        _DESTRUCTIVE,
        ("rerun_failed_jobs", "actions_run_trigger:rerun_failed_jobs"),
        verify="get_workflow_run",
    ),
    _Use(
        "cancel_workflow_run",
        _DESTRUCTIVE,
        ("cancel_workflow_run", "actions_run_trigger:cancel_workflow_run"),
        verify="get_workflow_run",
    ),
    _Use(
        "delete_workflow_run_logs",
        _DESTRUCTIVE,
        ("delete_workflow_run_logs", "actions_run_trigger:delete_workflow_run_logs"),
    ),
    _Use("create_label", _WRITE, ("label_write:create",), verify="list_label"),
    _Use("update_label", _WRITE, ("label_write:update",), verify="list_label"),
    _Use("delete_label", _DESTRUCTIVE, ("label_write:delete",), verify="list_label"),
)


def _names(said: str) -> frozenset[str]:
    return frozenset(said.split())


# Of both versions alike, or of one alone.
_ONLY_READ = _names(
    "get_code_quality_finding get_code_scanning_alert get_commit get_dependabot_alert get_discussion "
    "find_duplicate get_discussion_comments get_file_blame get_gist get_global_security_advisory get_label get_me "
    "get_notification_details get_release_by_tag get_repository_tree get_tag get_team_members get_teams "
    "issue_dependency_read list_branches list_code_scanning_alerts list_dependabot_alerts list_discussion_categories "
    "list_discussions list_gists list_global_security_advisories list_issue_fields list_issue_types list_label "
    "list_notifications list_org_repository_security_advisories list_releases list_repository_collaborators "
    "list_repository_security_advisories list_starred_repositories list_tags projects_get projects_list search_code "
    "search_commits search_issues search_orgs search_pull_requests search_repositories search_users ui_get"
)
_ONLY_WRITE = _names(
    "add_comment_to_pending_review add_issue_comment_reaction add_issue_reaction add_reply_to_pull_request_comment "
    "create_gist create_pending_pull_request_review issue_dependency_write request_copilot_review "
    "request_pull_request_reviewers star_repository unstar_repository update_gist"
)
_LEFT_OUT = frozenset({"get_secret_scanning_alert", "list_secret_scanning_alerts"})


def rules_of(provider: str, prefix: str) -> Mapping[str, Sequence[ToolRule]]:
    """The rules by the server's names of its tools.

    Args:
        provider: The provider's name, which is the context that a policy goes by.
        prefix: What its tools' names begin with.
    """

    def targets(arguments: Mapping[str, Any]) -> Sequence[Target]:
        return [_target(provider, arguments)]

    rules: dict[str, list[ToolRule]] = {name: [] for name in _LEFT_OUT}
    for name in _ONLY_READ | _ONLY_WRITE:
        rules[name] = [ToolRule(_READ if name in _ONLY_READ else _WRITE, targets=targets)]
    for use in (*_LISTED, *_OTHERS):
        for upstream in use.upstream:
            tool, _, method = upstream.partition(":")
            fixed = {**(use.fixed or {}), **({"method": method} if method else {})}
            rules.setdefault(tool, []).append(
                ToolRule(
                    use.effect,
                    use.name,
                    listed=use in _LISTED,
                    description=use.description,
                    fixed=fixed,
                    parameters=use.shown if use in _LISTED else None,
                    targets=targets,
                    verify=f"Look with {prefix}_{use.verify} whether it was done" if use.verify else None,
                )
            )
    return rules


def _target(provider: str, arguments: Mapping[str, Any]) -> Target:
    """The repository; a policy's `namespace` is a pattern of its full name, "acme/*"."""
    owner, repo = (arguments.get(name) for name in _PLACE)
    whole = f"{owner}/{repo}" if isinstance(owner, str) and isinstance(repo, str) else None
    return Target(context=provider, namespace=whole, kind="repository", name=whole)
