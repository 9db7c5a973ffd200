"""Notifications by e-mail: one plain text message over SMTP, in a thread and within limits.

The library's words about a failure are not repeated: a server may quote addresses or credentials in them.

Source: RFC 5321, RFC 3834 (Auto-Submitted).
"""

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import anyio.to_thread

from klepaas.errors import BadRequest, KlepaasError, Unauthorized, Unavailable
from klepaas.host import Host
from klepaas.notifications import Notification, NotificationSink
from klepaas.outbound import certificate_problem
from klepaas.output.safe import one_line
from klepaas.resilience import NotSent, Policy, Upstreams
from klepaas_plugins.notifications.settings import NotificationSettings, SmtpSecurity
from klepaas_plugins.notifications.wording import Dialect, Wording

__all__ = ["mail_sink"]

# Of each answer of the server; the whole message has the policy's limit.
_ANSWER_TIMEOUT_S = 10.0
_SUBJECT_CHARS = 200
ONCE = Policy(attempts=1, max_concurrent=1, attempt_timeout_s=25.0, total_timeout_s=30.0)


def mail_sink(host: Host, settings: NotificationSettings, wording: Wording) -> NotificationSink:
    """The sink.

    Args:
        host: The server's settings and shared services.
        settings: With a mail server and recipients.
        wording: What is written.
    """
    upstream = Upstreams.of(host).get("notifications/email", ONCE)

    async def send(notification: Notification) -> None:
        title, text = await wording.of(notification, Dialect.PLAIN)
        message = compose(notification, title, text, settings)

        async def hand_over() -> None:
            await anyio.to_thread.run_sync(_hand_over, settings, message, abandon_on_cancel=True)

        await upstream.call(hand_over, safe=False, what="hand a notification to the mail server")

    return NotificationSink("email", send, timeout_s=35.0, durable=True)


def compose(notification: Notification, title: str, text: str, settings: NotificationSettings) -> EmailMessage:
    """The message; the same notification has the same Message-ID each time.

    Args:
        notification: What it tells of.
        title: The subject.
        text: The rest.
        settings: From whom and to whom.
    """
    message, sender = EmailMessage(), settings.email_from or ""
    message["Subject"] = str(one_line(title, _SUBJECT_CHARS))
    message["From"], message["To"] = sender, ", ".join(settings.email_to)
    message["Date"] = format_datetime(datetime.fromtimestamp(notification.at, UTC))
    message["Message-ID"] = f"<{notification.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{title}\n\n{text}\n" if text else f"{title}\n")
    return message


def _hand_over(settings: NotificationSettings, message: EmailMessage) -> None:
    try:
        with _connected(settings) as server:
            if settings.smtp_username and settings.smtp_password:
                server.login(settings.smtp_username, settings.smtp_password.get_secret_value())
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as exc:
        raise _refused(max((code for code, _ in exc.recipients.values()), default=550), "every recipient") from exc
    except smtplib.SMTPAuthenticationError as exc:
        raise Unauthorized("The mail server does not accept the login") from exc
    except smtplib.SMTPNotSupportedError as exc:
        raise BadRequest("The mail server does not offer what the settings ask for (STARTTLS, a login)") from exc
    except smtplib.SMTPResponseException as exc:
        raise _refused(exc.smtp_code, "the message") from exc
    except smtplib.SMTPException as exc:
        raise Unavailable("The mail server broke off") from exc
    except ssl.SSLError as exc:
        problem = certificate_problem(exc)
        if problem is not None:
            raise NotSent(f"The mail server's certificate {problem.reason}", next_step=problem.next_step) from exc
        raise NotSent("There is no TLS connection to the mail server") from exc


def _connected(settings: NotificationSettings) -> smtplib.SMTP:
    host, port = settings.smtp_host or "", settings.smtp_port
    context = ssl.create_default_context(cafile=str(settings.smtp_ca_file) if settings.smtp_ca_file else None)
    if settings.smtp_security is SmtpSecurity.TLS:
        return smtplib.SMTP_SSL(host, port, timeout=_ANSWER_TIMEOUT_S, context=context)
    server = smtplib.SMTP(host, port, timeout=_ANSWER_TIMEOUT_S)
    if settings.smtp_security is SmtpSecurity.STARTTLS:
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _refused(code: int, what: str) -> KlepaasError:
    """A code of 4xx is for now, one of 5xx for good; the server has taken nothing in either case."""
    if 400 <= code < 500:
        return NotSent(f"The mail server refuses {what} for now ({code})")
    return BadRequest(f"The mail server refuses {what} ({code})")
