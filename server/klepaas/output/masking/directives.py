"""Secrets behind the directives of devices and daemons, and behind the phrases of rarer commands and of calls.

Here a row of words means a secret, no name and no option alone: `snmp-server community x`, `: PSK "x"`, `net user a x`.
"""

from klepaas.output.masking.sign_rules import WORD, SignRule, apply_rules, behind, has_sign

__all__ = ["SIGNS", "redact_directives"]

_LINE = r"(?:^|(?<=[\n;\"'`>]))[ \t]{0,40}"
_LINE_END = r"(?=[ \t\r;\"']{0,8}(?:\n|\\n|\Z))"
_GAP = r"[ \t]{1,8}"
# The digit says how the secret is written: 0 as it is, 7 obscured.
_KIND = r"(?:\d[ \t]{1,8})?"
_QUOTED = r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}')"
# A sentence goes on with these, and a secret is none of them.
_NO_PROSE = (
    r"(?!(?:is|was|are|not|for|and|or|of|in|to|with|from|the|a|an|failed|failure|succeeded|mismatch|authentication|auth|login"
    r"|encryption|enabled|disabled|required|missing|invalid|expired|changed|set|policy|reset|rotation|error|ok|must|may|can"
    r"|will|should|does|did|has|command|again|first|successful|denied|done|here|now|prompt|page|screen|using|via)\b)"
)
_BARE = rf"{_NO_PROSE}(?![-/$({{<]){WORD}"
_LAST = _BARE + _LINE_END

_DEVICES = (
    SignRule(("snmp-server", "snmp_server"), behind(rf"snmp[-_]server{_GAP}community{_GAP}{_KIND}", _BARE)),
    SignRule(
        ("snmp-server",),
        behind(
            rf"snmp-server{_GAP}host{_GAP}\S{{1,64}}(?:{_GAP}(?:traps|informs|vrf{_GAP}\S{{1,40}}|version{_GAP}\S{{1,3}}))"
            rf"{{0,4}}{_GAP}",
            rf"(?!traps|informs|vrf|version|udp-port){_BARE}",
        ),
    ),
    SignRule(("community",), behind(rf"{_LINE}(?:ro|rw|trap)community6?{_GAP}", _BARE)),
    SignRule(
        ("community",), behind(r"(?i:snmp[-_]?(?:ro|rw)?[-_]?community(?:[-_]?string)?)[\"']?[ \t]{0,8}[:=][ \t]{0,8}")
    ),
    SignRule(
        ("com2sec",), behind(rf"com2sec6?{_GAP}(?:-Cn{_GAP}\S{{1,40}}{_GAP})?\S{{1,64}}{_GAP}\S{{1,64}}{_GAP}", _BARE)
    ),
    SignRule(
        ("createUser",),
        behind(rf"createUser{_GAP}(?:-e{_GAP}\S{{1,64}}{_GAP})?\S{{1,64}}{_GAP}(?:MD5|SHA[-\d]{{0,4}}){_GAP}"),
    ),
    SignRule(
        ("createUser",),
        behind(
            rf"createUser{_GAP}(?:-e{_GAP}\S{{1,64}}{_GAP})?\S{{1,64}}{_GAP}(?:MD5|SHA[-\d]{{0,4}}){_GAP}{WORD}{_GAP}"
            rf"(?:DES|AES[-\d]{{0,4}}){_GAP}"
        ),
    ),
    SignRule(
        ("enable secret", "enable password"),
        behind(rf"{_LINE}enable{_GAP}(?:secret|password){_GAP}(?:level{_GAP}\d{{1,2}}{_GAP})?{_KIND}", _LAST),
    ),
    SignRule(
        ("username ",),
        behind(
            rf"{_LINE}username{_GAP}(?!and\b|or\b)\S{{1,64}}{_GAP}(?:privilege{_GAP}\d{{1,2}}{_GAP})?"
            rf"(?:secret|password){_GAP}{_KIND}",
            _LAST,
        ),
    ),
    SignRule(
        ("PSK", "EAP", "XAUTH", ": RSA", ": ECDSA", ": PIN", "NTLM"),
        behind(
            r"(?:^|(?<=\n))[^\n:\"']{0,200}+:[ \t]{1,4}"
            rf"(?:PSK|EAP|XAUTH|NTLM|PIN|(?:RSA|ECDSA|P12)[ \t]\S{{1,100}}){_GAP}",
            rf"(?:{_QUOTED}|0[sx][A-Za-z0-9+/=]{{6,200}}|(?=[^\s0-9]{{0,60}}\d)[A-Za-z0-9+/=_-]{{16,200}}){_LINE_END}",
        ),
    ),
    SignRule(("crypto isakmp",), behind(rf"crypto{_GAP}isakmp{_GAP}key{_GAP}{_KIND}", _BARE)),
    SignRule(
        ("pre-shared-key",),
        behind(rf"pre-shared-key{_GAP}(?:(?:local|remote|ascii-text|hexadecimal|plain){_GAP}){{1,2}}{_KIND}", _BARE),
    ),
    SignRule(("pre-shared-key",), behind(rf"{_LINE}pre-shared-key{_GAP}{_KIND}", _LAST)),
    SignRule(
        ("-server",),
        behind(
            rf"(?:tacacs|radius)-server(?:{_GAP}host{_GAP}\S{{1,64}})?(?:{_GAP}[\w-]{{1,20}}{_GAP}\d{{1,6}}){{0,4}}{_GAP}key"
            rf"{_GAP}{_KIND}",
            _BARE,
        ),
    ),
    SignRule(("neighbor ",), behind(rf"neighbor{_GAP}\S{{1,64}}{_GAP}password{_GAP}{_KIND}", _LAST)),
    SignRule(("-digest-key",), behind(rf"message-digest-key{_GAP}\d{{1,3}}{_GAP}md5{_GAP}{_KIND}", _BARE)),
    SignRule(("authentication-key",), behind(rf"ip{_GAP}ospf{_GAP}authentication-key{_GAP}{_KIND}", _BARE)),
    SignRule(("key-string",), behind(rf"{_LINE}key-string{_GAP}{_KIND}", _LAST)),
)
_COMMANDS = (
    SignRule(("-pw ",), behind(rf"(?<![\w-])-pw{_GAP}", rf"(?!-){WORD}")),
    SignRule(
        ("mysqladmin", "mariadb-admin"),
        behind(rf"(?:mysqladmin|mariadb-admin)[^\n|;&]{{0,200}}?{_GAP}password{_GAP}", _BARE),
    ),
    SignRule(
        ("vault login",),
        behind(
            rf"(?:{_LINE}|[$#][ \t]|&&[ \t])vault{_GAP}login{_GAP}",
            rf"{_NO_PROSE}(?![-$({{<\w]{{0,40}}[=$({{<])[\w.!@#%^*+~-]{{4,200}}{_LINE_END}",
        ),
    ),
    SignRule(
        ("net user",),
        behind(
            rf"\bnet{_GAP}user{_GAP}[\w.-]{{1,64}}{_GAP}", rf"(?![/*]){WORD}(?=[ \t]{{1,8}}/|[ \t\r]{{0,8}}(?:\n|\Z))"
        ),
    ),
    SignRule(("/user:",), behind(rf"\bnet{_GAP}use{_GAP}[^\n]{{0,200}}?/user:\S{{1,64}}{_GAP}", rf"(?![/*]){WORD}")),
    SignRule(("/p:",), behind(r"\b[xw]?freerdp[^\n]{0,200}?[ \t]/p:")),
    SignRule(
        ("ConvertTo-SecureString",),
        behind(rf"ConvertTo-SecureString(?:{_GAP}-(?:String|AsPlainText|Force)){{0,3}}{_GAP}", rf"(?![-$(]){WORD}"),
    ),
    SignRule(
        ("openssl passwd",),
        behind(rf"openssl{_GAP}passwd(?:{_GAP}-(?:salt{_GAP}\S{{1,32}}|\w{{1,8}})){{0,4}}{_GAP}", _LAST),
    ),
    SignRule(("nmcli",), behind(rf"\bnmcli{_GAP}[^\n]{{0,200}}?{_GAP}password{_GAP}", _BARE)),
    SignRule(("wpa_passphrase",), behind(rf"wpa_passphrase{_GAP}{WORD}{_GAP}", _BARE)),
    SignRule(("rclone obscure",), behind(rf"rclone{_GAP}obscure{_GAP}", _BARE)),
    SignRule(
        ("encrypt_string",), behind(rf"ansible-vault{_GAP}encrypt_string{_GAP}(?:--?[\w-]{{1,40}}{_GAP}){{0,2}}", _BARE)
    ),
    SignRule(("addauth digest",), behind(rf"addauth{_GAP}digest{_GAP}[^\s:]{{1,64}}:", r"[^\s\"',\]]{1,200}")),
    SignRule(
        ("sqlplus", "expdp", "impdp", "rman", "sqlldr"),
        behind(
            r"\b(?:sqlplus|expdp|impdp|rman|sqlldr)\s(?:-\w{1,10}\s){0,3}[^\s/@:\"']{1,64}/",
            r"[^\s@\"'/]{1,128}(?=\s|\Z)",
        ),
    ),
)
_CALLS = (
    SignRule(
        ("auth", "Auth", "Credential", ".login("),
        behind(
            r"(?:\bauth[ \t]?=[ \t]?|[bB]asic_?[aA]uth(?:entication)?|HTTPDigestAuth|\.login"
            r"|UsernamePasswordCredentials|PasswordCredential|NetworkCredential|PasswordAuthentication|UsernamePasswordAuthenticationToken)"
            r"\([ \t\n]{0,16}[bru]?[\"'][^\"'\n]{0,64}[\"'][ \t]{0,4},[ \t\n]{0,16}[bru]?",
            _QUOTED,
        ),
    ),
    # Lisp: (define api-token "x").
    SignRule(
        ("(def", "(set"),
        behind(
            r"\((?:define|def|defvar|defparameter|defconst|setq|setf|set!)[ \t]{1,8}[\w:./*-]{0,60}?"
            r"(?i:pass(?:word|wd|phrase)?|secret|token|(?:api|secret|access|private|auth)-?key)[ \t]{1,8}",
            _QUOTED,
        ),
    ),
    # WordPress: NONCE_KEY, SECURE_AUTH_SALT.
    SignRule(
        ("define",),
        behind(
            r"\bdefine\([ \t]{0,8}[\"']\w{0,40}(?:KEY|SALT|SECRET|TOKEN|PASS|PASSWORD)[\"'][ \t]{0,8},[ \t]{0,16}",
            _QUOTED,
        ),
    ),
)
_RULES = (*_DEVICES, *_COMMANDS, *_CALLS)
# Without one of these no text has such a secret.
SIGNS = tuple(dict.fromkeys(sign for rule in _RULES for sign in rule.signs))


def redact_directives(text: str) -> str:
    """The text with the secrets behind directives, phrases and calls masked."""
    return apply_rules(text, _RULES) if has_sign(text, SIGNS) else text
