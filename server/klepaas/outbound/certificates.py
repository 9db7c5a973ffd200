"""Why a server's certificate is refused: expired, for another name, or signed by nobody who is trusted.

Each has another remedy, and OpenSSL knows which it is: its code is behind the library's exception.

Source: OpenSSL, X509_STORE_CTX_get_error(3).
"""

import ssl
from dataclasses import dataclass

from klepaas.errors import chain_of

__all__ = ["CertificateProblem", "certificate_problem"]

_NOT_YET_VALID, _EXPIRED, _REVOKED = 9, 10, 23
_HOST_NAME, _IP_ADDRESS = 62, 64


@dataclass(frozen=True)
class CertificateProblem:
    """What is wrong with a server's certificate.

    Attributes:
        reason: To go after "the certificate": "has expired".
        next_step: What to do about it.
        is_name: Whether it is good, but for another name.
        is_trust: Whether nobody who is trusted has signed it.
    """

    reason: str
    next_step: str
    is_name: bool = False
    is_trust: bool = False


def certificate_problem(error: BaseException | None) -> CertificateProblem | None:
    """What is wrong with the server's certificate. None: the error is not about it.

    Args:
        error: A library's exception; those behind it are looked at too.
    """
    found = next((one for one in chain_of(error) if isinstance(one, ssl.SSLCertVerificationError)), None)
    return None if found is None else _problem(found)


def _problem(error: ssl.SSLCertVerificationError) -> CertificateProblem:
    said = str(error.verify_message or "").strip().rstrip(".")
    if error.verify_code == _EXPIRED:
        return CertificateProblem(
            "has expired", "Have the server's certificate renewed, or that of its authority; check this machine's clock"
        )
    if error.verify_code == _NOT_YET_VALID:
        return CertificateProblem("is not valid yet", "Check the clocks of this machine and of the server")
    if error.verify_code == _REVOKED:
        return CertificateProblem("has been revoked", "Have the server's certificate replaced")
    if error.verify_code in (_HOST_NAME, _IP_ADDRESS):
        name = said.rpartition("not valid for ")[2].strip("'")
        reason = f"is for another name, not for {name}" if name else "is for another name"
        return CertificateProblem(reason, "Use a name that the certificate holds in the address", is_name=True)
    reason = f"is not trusted ({said})" if said else "is not trusted"
    step = "Name the file of the authority that signed it in the settings (ca_file), or in SSL_CERT_FILE"
    return CertificateProblem(reason, step, is_trust=True)
