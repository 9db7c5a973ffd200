"""The words that names of secrets are made of. `klepaas.output.masking.names` judges by them."""

from typing import Final

__all__ = [
    "ABOUT",
    "ASKS",
    "COUNTS",
    "DIGESTS",
    "HARD_PAIRS",
    "IN_THE_MIDDLE",
    "KEYS",
    "KOREAN",
    "KOREAN_ABOUT",
    "NO_SECRET_ENDS",
    "OFTEN_NO_SECRET_ENDS",
    "SECRET_ENDS",
    "SECRET_WORDS",
    "SOFT_ENDS",
    "SOFT_KEYS",
    "SOFT_WORDS",
    "TOKEN_OWNERS",
    "WHOSE",
    "words",
]


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


# A secret wherever they stand in a name.
SECRET_WORDS: Final = words("""
    password passwords passwd passwds passphrase passphrases passcode passcodes passwort pass pwd pswd pw pws
    secret token apikey apikeys accesskey secretkey privatekey privkey authkey psk psks htpasswd authtok
    credential credentials cred creds authtoken dockerconfigjson dockerconfig dockercfg mnemonic masterauth keypass
    storepass sshpass presharedkey accountkey signingkey totp identified rpcpassword bindpw rootpw userpw jaas
    githubpat gitlabpat sessionid connectionstring connectionstrings connstr
""")
# Written together with what stands before: PGPASSWORD, requirepass, userToken in lower case.
SECRET_ENDS: Final = (
    *("password", "passwords", "passwd", "passphrase", "secret", "token", "credential", "credentials"),
    *("apikey", "apikeys", "accesskey", "accesskeys", "secretkey", "privatekey", "privatekeys", "encryptionkey"),
    *("decryptionkey", "signingkey", "masterkey", "accountkey", "presharedkey", "sessionkey", "connectionstring"),
    *("dbpass", "userpass", "rootpass", "requirepass", "adminpass", "mysqlpass"),
)
# Each of these with "key" behind it.
KEYS: Final = words("""
    api access secret private priv client signing encryption master account shared preshared auth jwt hmac fernet
    webhook consumer crypto cipher aes unseal recovery session subscription instrumentation write ingest admin
    decryption sign cookie authorization
""")
SOFT_KEYS: Final = words(
    "tls ssl ssh app license licence service storage deploy rsa root p certificate security encrypted"
)
# Used for secrets and for other things.
SOFT_WORDS: Final = words("""
    auth authorization bearer cookie cookies dsn dsns sig signature hmac salt salts jwt jwts otp otps pin seed pat
    pats sid jsessionid phpsessid secrets
""")
SOFT_ENDS: Final = ("pass", "pwd", "secrets")
# Many tokens may be a number of them: these have tokens to log in with.
TOKEN_OWNERS: Final = words("api auth access refresh bearer user admin bot")
COUNTS: Final = words("""
    max min total num number count prompt completion input output new cached reasoning context generated used remaining
    stop special per
""")
HARD_PAIRS: Final = frozenset(
    {("connection", "string"), ("connection", "strings"), ("conn", "string"), ("conn", "str"), ("webhook", "url")}
    | {("session", "id"), ("webhook", "secret"), ("recovery", "code"), ("recovery", "codes"), ("backup", "codes")}
    | {("backup", "code"), ("key", "data"), ("jaas", "config"), ("docker", "config"), ("seed", "phrase")}
    | {("slack", "webhook"), ("teams", "webhook"), ("discord", "webhook"), ("incoming", "webhook")}
    | {("dsn", "url")}
)
# As the last word: where the secret is, or something about it.
ABOUT: Final = words("""
    file files filename path paths dir directory folder location mount volume store name names ref refs reference keyref
    selector template ttl policy policies type types kind length len size lifetime expiry expires expiration expire exp
    age ages timeout in interval period rotation rotate renewal enabled disabled enable disable required optional
    allowed url uri urls endpoint endpoints host hosts hostname port domain issuer issuers audience audiences scope
    scopes method methods mode modes provider providers driver backend engine manager algorithm algorithms alg header
    headers prefix suffix format encoding encoder version count counts total limit limits max min rate budget usage
    bucket window field fields column label labels placeholder hint prompt message msg error errors reason status state
    check checks validator validators validation strength complexity requirements rules reset change changed changes
    updated created at time date timestamp seconds secs minutes minute hours days ms namespace namespaces username email
    realm config configuration settings options class handler factory filter middleware review reviews reviewer
    reviewers request requests projection sources mapping attempts retries failures failed success duration latency
    controller operator csi generated generation generator samesite site secure httponly uid flow needed valid invalid
    missing only rounds parallelism exists by separator delimiter verification stdin sync syncer hook hooks annotations
    list authentication refresh hasher hashers sock socket depth nodes burst
    strategy source region description title signin proxy cache encryption hashing page lookup regex pattern level
""")
# As the last word: whose secret it is, or something about it.
WHOSE: Final = words("client service server role roles group plugin module input index memory user users")
# As the first word: the name asks for a secret, or counts it.
ASKS: Final = words("""
    use enable enabled disable allow allowed skip create require required needs has is max min num number generate
    rotate total mount automount ignore public without
""")
# In the middle of a name these say what it is about: auth-tls-verify-depth, cookieSameSite.
IN_THE_MIDDLE: Final = words("auth authorization oauth bearer cookie cookies authentication seed")
# Names of objects, of keys in them and of programs; words that only sound alike.
NO_SECRET_ENDS: Final = (
    *("tlssecret", "casecret", "sslsecret", "certsecret", "certssecret", "certificatesecret", "certificatessecret"),
    *("pullsecret", "pullsecrets", "tlssecrets", "fastcgipass", "uwsgipass", "grpcpass", "scgipass", "memcachedpass"),
    *("bypass", "compass", "surpass", "trespass", "overpass", "underpass", "passthrough", "askpass"),
    *("nopassword", "nopasswd", "nopass", "automountserviceaccounttoken"),
)
OFTEN_NO_SECRET_ENDS: Final = (
    *("registrysecret", "imagesecret", "externalsecret", "sealedsecret", "kubernetessecret", "k8ssecret"),
    *("issuersecret", "ingresssecret", "backendsecret", "sourcesecret", "targetsecret", "externalsecrets"),
    *("sealedsecrets", "secretkeys", "passwordkey", "passwordkeys", "passwdkey", "tokenkey", "tokenkeys"),
    *("credentialskey", "credentialkey", "usernamekey", "usernamekeys", "proxypass", "serviceaccounttoken"),
)
# What stands before a name that is that of a digest: checksum/secret.
DIGESTS: Final = ("checksum", "hash", "digest", "sha256")
# Other words may be written around them: 데이터베이스비밀번호, 암호값.
KOREAN: Final = (
    *("비밀번호", "패스워드", "암호화키", "암호", "인증키", "비밀키", "개인키", "접근키", "액세스키", "시크릿"),
    *("보안키", "서명키", "api키", "토큰", "비번", "비밀값", "시크릿키", "암호키"),
)
# What goes on a word so that it is no secret's name any more: 암호화 (encryption), 비밀번호길이 (its length).
KOREAN_ABOUT: Final = (
    *("화", "길이", "정책", "만료", "유효", "기한", "기간", "시간", "방식", "변경", "재설정", "초기화", "개수", "횟수"),
    *("파일", "경로", "이름", "종류", "유형", "힌트", "여부", "필수", "규칙", "안내", "찾기", "오류", "상태", "주기"),
    *("발급", "갱신", "검증", "사용", "수명", "최소", "최대", "강도", "필드", "주소", "위치", "저장소"),
)
