"""What finds secrets in text; the public face is `klepaas.output.redaction`."""
