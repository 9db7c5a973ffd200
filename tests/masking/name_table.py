"""Names of secrets, of things that are none, and of what is used for both: the verdict that every way out must share.

Beside it, the forms of values under a secret's name. Each name stands in the forms that are met: camelCase, kebab-case,
SCREAMING, written together, in the plural, with prefixes and suffixes, in Korean.
"""

from klepaas.output.masking.names import Secrecy

__all__ = ["LEAD_ELSEWHERE", "SECRETS", "TABLE"]

_SECRET = """
    password passwords PASSWORD Password PASSWORD1 TOKEN2 apiKey3 DB_PASSWORD dbPassword db-password dbpassword
    DBPASSWORD PGPASSWORD spring.datasource.password passwd MYSQL_PWD pwd DB_PASS smtp_pass dbpass requirepass
    passphrase password_1 password2 PASSWORD_OLD newPassword confirm_password password_prod hashed_password
    passwordHash password_b64 passwordValue secret client_secret clientSecret client-secret clientsecret
    CLIENT_SECRET secretKey SECRET_KEY_BASE secretValue awsSecretAccessKey AWS_SECRET_ACCESS_KEY secretaccesskey
    webhookSecret cookieSecret JWT_SECRET jwtsecret APPSECRET token authToken auth_token access-token accesstoken
    refreshToken GITHUB_TOKEN SLACK_BOT_TOKEN npm_token x-vault-token csrfToken verify_token K3S_TOKEN tokenValue
    usertoken apikey apiKey api_key api-key x-api-key API_KEYS apiKeys openaiapikey OPENAI_API_KEY accessKey
    access_key accesskey privateKey private_key privatekey privKey privkey sshPrivateKey signingKey encryptionKey
    encryptionkey masterKey masterkey clientKey clientkey account_key SharedAccessKey preshared_key sessionKey
    unseal_keys client-key-data server.ssl.key-password keystorePassword truststorePassword
    GF_SECURITY_ADMIN_PASSWORD MINIO_ROOT_PASSWORD credential credentials creds awsCredentials GOOGLE_CREDENTIALS
    mnemonic wpa_psk seedPhrase totp connectionString connection_string connectionstring webhook_url
    SLACK_WEBHOOK_URL slackWebhook recoveryCodes session_id sessionid sasl.jaas.config masterauth basicAuthPassword
    auth-password dbSecret passwordSecret 비밀번호 암호 인증키 토큰 시크릿키 API키 암호화키 비밀값 암호값
"""
_SOFT = """
    auth basicAuth authorization Authorization Proxy-Authorization bearer cookie Set-Cookie cookies signature hmac
    salt SALT jwt otp pin cardPin githubPat dsn SENTRY_DSN database_dsn seed tokens apiTokens access_tokens secrets
    clientSecrets client_secrets mailpass dbpwd certificateKey certificate-key sshKey ssh_key tlsKey app_key
    DD_APP_KEY deployKey licenseKey storage_key RABBITMQ_ERLANG_COOKIE
"""
_UNCERTAIN = """
    accessKeyId AWS_ACCESS_KEY_ID private_key_id registrySecret backendSecret externalSecret secretKeys passwordKey
    adminPasswordKey tokenKey useSecret createSecret requirePassword allowEmptyPassword generate_password
    basicAuthUsers token_service githubTokens github_tokens proxy_pass
"""
_PLAIN = """
    existingSecret existing_secret EXISTING_SECRET existing-secret existingSecretName existingSecretPasswordKey
    auth.existingSecret tlsSecret tls-secret caSecret imagePullSecret imagePullSecrets secretName secret_name
    secret-name SECRET_NAME secretRef secret_ref passwordSecretRef credentialsSecretName secretClass secretStoreRef
    secretType secretNamespace secretLabels password_file passwordFile PASSWORD_FILE POSTGRES_PASSWORD_FILE
    PGPASSFILE token_path tokenPath TOKEN_URL tokenUrl token_uri tokenEndpoint token_ttl TOKEN_TTL accessTokenTtl
    tokenLifetime token_expires_in tokenType tokenAudience tokenIssuer token_name token_id passwordLength
    password_length PASSWORD_MIN_LENGTH passwordPolicy password_policy passwordPolicies passwordReset
    passwordRequired noPassword passwordField passwordHint passwordless passwordAuthentication PASSWORD_HASHERS
    credentialsFile credentialProvider apiKeyHeader apiKeyRef privateKeyPath max_tokens maxTokens MAX_TOKENS
    max-tokens min_tokens total_tokens promptTokens completion_tokens tokenCount tokens_per_second tokenizer
    tokenization tokenized TOKENIZERS_PARALLELISM tokenReview tokenBucket publicKey public_key PUBLIC_KEY publickey
    sshPublicKey ssh_public_key publishable_key keyboard monkey donkey key keys primaryKey partition_key cacheKey
    routing_key hotkey keyspace keystore author authority authors authMode auth-mode authType auth_url authEnabled
    authenticated authentication JWT_EXPIRES_IN JWT_ALGORITHM passed passing passenger passport compass bypass
    passThrough secretary session sessionTimeout session_affinity cookieName cookie_secure cookieSameSite
    signatureAlgorithm saltRounds seed_nodes pinned shipping mapping sidecar username userName clientId client_id
    GIT_ASKPASS SSH_AUTH_SOCK encryption connectionTimeout webhookPort dsnHost oauthUrl 암호화 토큰화 비밀번호길이
    비밀번호정책 토큰만료시간 비밀번호_길이 사용자
"""
TABLE: dict[str, Secrecy] = {
    name: secrecy
    for names, secrecy in (
        (_SECRET, Secrecy.SECRET),
        (_SOFT, Secrecy.SOFT),
        (_UNCERTAIN, Secrecy.UNCERTAIN),
        (_PLAIN, Secrecy.PLAIN),
    )
    for name in names.split()
}

# Under the name of a secret these are none: a switch, a type, a pointer, a place, a placeholder, a sentence, code.
LEAD_ELSEWHERE = (
    *("true", "false", "none", "null", "required", "1234", "30s", "str", "SecretStr", "md5", "***", "xxxxx"),
    *("${DB_PASSWORD}", "$(DB_PASSWORD)", "$DB_PASSWORD", "${env:DB_PASSWORD}", "${DB_PASSWORD:}", "${DB_PASSWORD:-}"),
    *("${file:/run/secrets/db:password}", "{{ .Values.password }}", "${{ secrets.DB }}", "%(db)s", "<your-password>"),
    *("/run/secrets/db", "./secrets/db.txt", "vault:secret/data/db#password", "op://vault/item/field"),
    *("db-credentials", "app-secret", "http://localhost:8080/token", "http://vault.team.svc:8200"),
    *("must be at least 8 characters", "is required", "get_token()", "z.string().min(8)", "settings.db.password"),
)
SECRETS = (
    *("hunter2", "internal", "postgres", "changeme", "correct horse battery", "123456789", "Zx9kqTr7wPd", "p@ss:w0rd"),
    *("${DB_PASSWORD:-hunter2}", "${DB_PASSWORD:changeit}", "${DB_PASSWORD:=hunter2}", "${db.password:secret9}"),
)
