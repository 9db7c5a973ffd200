"""Secrets in shell commands: what short options of well-known tools mean, passwords that are piped, literals.

Long options with a secret's name are assignments; here are the options whose letters mean a secret to one tool only.
A command may be a line, a JSON list of words or a YAML list.
"""

import re

from klepaas.output.masking.sign_rules import WORD, SignRule, apply_rules, behind, mask_secret
from klepaas.output.vault import MARK

__all__ = ["redact_commands"]

_TOOL = re.compile(
    r"(?<![\w-])(?P<tool>curl|sshpass|mysql(?:dump|admin|import|check|show|pump|sh)?|mariadb(?:-\w{1,12})?|xtrabackup"
    r"|mongo(?:sh|dump|restore|import|export)?|redis-cli|valkey-cli|ldap(?:search|add|modify|delete|whoami|passwd)"
    r"|docker|podman|nerdctl|buildah|skopeo|crane|oc|helm|argocd|az|7za?|rar|unrar|zip|unzip|htpasswd|mosquitto_\w{3,6}"
    r"|smbclient|sqlcmd|bcp|ipmitool|etcdctl|rabbitmqctl|vault|cqlsh|influx|lftp|mc|kadmin(?:\.local)?|rpcclient|smbmap"
    r"|snmp(?:walk|get|getnext|set|table|trap|inform|bulkwalk|bulkget|status|test|df)|rdesktop|couchbase-cli)(?![\w.-])"
)
# To the end of the command: a backslash continues the line, an item of a YAML list continues the list.
_REST = re.compile(r"(?:(?!;[ \n]|&&)[^\n\\]|\\.|\\\n|\n(?=[ \t]{0,40}-[ \t])){0,1000}")
_BETWEEN = (
    r"(?:[ \t]{1,8}(?:\\\n[ \t]{0,16})?|=|\\?[\"'][ \t]{0,8},?[ \t\n]{0,8}\\?[\"']|[\"']?,[ \t]{0,8}[\"']?"
    r"|[\"']?[ \t]{0,8}\n[ \t]{0,40}-[ \t][\"']?)"
)
_AT = r"(?<![\w-])"
_PASSWORD_APART = behind(rf"{_AT}-p{_BETWEEN}")
_PASSWORD_BOTH = behind(rf"{_AT}-p{_BETWEEN}?")
# After a blank it would be the name of a database.
_PASSWORD_ATTACHED = behind(rf"{_AT}-p", rf"(?!-){WORD}")
_CAPITAL_BOTH = behind(rf"{_AT}-P{_BETWEEN}?")
_LOWER_W = behind(rf"{_AT}-w{_BETWEEN}?")
_LOWER_A = behind(rf"{_AT}-a{_BETWEEN}?", rf"(?!-){WORD}")
_SNMP = behind(rf"{_AT}-[cAX]{_BETWEEN}?")
_USER_AND_SECRET = behind(
    rf"{_AT}(?:-[uU]|--(?:proxy-)?user|--(?:src-|dest-)?creds){_BETWEEN}?[\"']?[^\s:\"'$]{{1,64}}[:%]",
    r"[^\s\"',\]]{1,200}",
)
_USER_COMMA_SECRET = behind(rf"{_AT}-u{_BETWEEN}?[\"']?[^\s,\"'$]{{1,64}},", r"[^\s\"',\]]{1,200}")
# Behind -b: a file, where there is one, a user, the password.
_AFTER_USER = behind(
    rf"{_AT}-\w{{0,6}}b\w{{0,6}}[ \t]{{1,8}}(?:-\w{{1,8}}[ \t]{{1,8}}(?:\d{{1,3}}[ \t]{{1,8}})?){{0,4}}"
    r"(?:[^\s|&;<>-]\S{0,200}[ \t]{1,8})?[^\s|&;<>-]\S{0,64}[ \t]{1,8}"
)
_REDIS = behind(rf"{_AT}(?i:auth|requirepass|masterauth)[ \t]{{1,8}}", rf"(?!-){WORD}")
_REDIS_USER = behind(rf"{_AT}(?i:auth)[ \t]{{1,8}}[\w.-]{{1,64}}[ \t]{{1,8}}", rf"(?!-){WORD}")
_MINIO = behind(r"(?:alias set|config host add)[ \t]{1,8}\S{1,100}[ \t]{1,8}\S{1,200}[ \t]{1,8}\S{1,200}[ \t]{1,8}")
_NEW_USER = behind(r"(?:add_user|change_password)[ \t]{1,8}\S{1,64}[ \t]{1,8}", r"\S{1,200}")
# A word of letters alone may go on a sentence: vault login failed.
_VAULT = behind(
    r"(?:login|unseal)[ \t]{1,8}(?:-no-\w{1,8}[ \t]{1,8}|-method=token[ \t]{1,8}){0,2}",
    rf"(?:[A-Za-z0-9+/=._]{{16,200}}|(?!-|[\w-]{{1,40}}=)(?=[^\s0-9]{{0,200}}[0-9]){WORD})",
)
_BY_TOOL = (
    (("mysql", "mariadb", "xtrabackup", "7z", "rar", "unrar"), _PASSWORD_ATTACHED),
    (("mongo", "sshpass", "cqlsh"), _PASSWORD_BOTH),
    (("redis-cli", "valkey-cli"), _LOWER_A),
    (("redis-cli", "valkey-cli"), _REDIS_USER),
    (("redis-cli", "valkey-cli"), _REDIS),
    (("mc",), _MINIO),
    (("ldap", "kadmin"), _LOWER_W),
    (("snmp",), _SNMP),
    (("rdesktop", "couchbase-cli", "smbmap"), _PASSWORD_APART),
    (("lftp",), _USER_COMMA_SECRET),
    (("zip", "unzip", "mosquitto_", "sqlcmd", "bcp", "ipmitool"), _CAPITAL_BOTH),
    (("curl", "etcdctl", "skopeo", "smbclient", "rpcclient", "lftp"), _USER_AND_SECRET),
    (("htpasswd", "mosquitto_"), _AFTER_USER),
    (("rabbitmqctl",), _NEW_USER),
    (("vault",), _VAULT),
)
# Without one of these no command has a secret. The expression begins with its dash, so that it is found fast.
_OPTION = re.compile(r"-(?<![\w-]-)(?:[pPuUawcAX]|-\w{0,8}-?(?:user|creds))")
_SIGNS = (
    *("unseal", "vault", "rabbitmqctl", "htpasswd", "mosquitto_", "redis-cli", "valkey-cli", "alias set"),
    "config host add",
)
_LOGINS = ("docker", "podman", "nerdctl", "buildah", "skopeo", "crane", "oc", "helm", "argocd", "az")
_LOGIN = re.compile(r"[\s\"',]login\b")
_ANY_RULES = (
    SignRule(("--from-literal",), behind(rf"--from-literal{_BETWEEN}[\"']?[\w.-]{{1,100}}=", r"[^\s\"',\]]{1,400}")),
    SignRule(("-pass",), behind(rf"-pass(?:in|out)?{_BETWEEN}[\"']?pass:", r"[^\s\"',\]]{1,200}")),
    SignRule(
        ("login",),
        behind(rf"{_AT}login(?=[ \t])[^\n;|&]{{0,200}}?(?<=[ \t])-p[ \t]{{1,8}}", rf"(?!-){WORD}"),
    ),
)
_PIPED = re.compile(
    rf"(?P<before>\b(?:echo|printf)[ \t](?:-\w{{1,3}}[ \t])?)(?P<secret>{WORD})(?=[ \t]{{0,4}}\|[ \t]{{0,4}}"
    r"(?:sudo[ \t]-S|[^\n|]{0,200}(?:--password-stdin|--passphrase-fd|--stdin|chpasswd|cryptsetup|kinit)))"
)


def redact_commands(text: str) -> str:
    """The text with the secrets in its commands masked."""
    if "|" in text and ("echo" in text or "printf" in text):
        text = _PIPED.sub(_mask_piped, text)
    text = apply_rules(text, _ANY_RULES)
    if _OPTION.search(text) is None and not any(sign in text for sign in _SIGNS):
        return text
    pieces: list[str] = []
    done = 0
    for tool in _TOOL.finditer(text):
        rest = _REST.match(text, tool.end()) if tool.start() >= done else None
        if rest is not None:
            pieces += [text[done : tool.end()], _redact_words(tool["tool"], rest.group())]
            done = rest.end()
    return "".join(pieces) + text[done:]


def _redact_words(tool: str, words: str) -> str:
    """The words of a command; one tool may start another, as in `docker exec db mysql -p...`."""
    tools = {tool, *(inner["tool"] for inner in _TOOL.finditer(words))}
    for names, option in _BY_TOOL:
        if any(name.startswith(names) for name in tools):
            words = option.sub(mask_secret, words)
    if not tools.isdisjoint(_LOGINS) and _LOGIN.search(words) is not None:
        words = _PASSWORD_APART.sub(mask_secret, words)
    return words


def _mask_piped(match: re.Match[str]) -> str:
    """Of user:password, as chpasswd reads it, only the password is masked."""
    user, colon, _ = match["secret"].partition(":")
    if not colon or "$" in match["secret"] or user.strip("\"'") == "":
        return mask_secret(match)
    quote = user[0] if user[0] in "\"'" else ""
    return f"{match['before']}{user}:{MARK}{quote}"
